import { checkFunction, checkOneOf, checkOptions } from '../arguments.js'
import type { WeightGradient, WeightScale } from '../spec.js'
import { type Layer, one, recorderOf } from '../sym.js'
import { layer } from '../trace.js'
import { type Binarize, sign } from './binarize.js'
import { checkWindow, WINDOW_OPTIONS, type WindowOptions, weightShape } from './window.js'

export interface BinaryConv2dOptions extends WindowOptions {
  /** Input and output channels fall into this many independent parts. */
  readonly groups?: number
  /** The number that stands outside the image, among the codes. Default: 0. */
  readonly padValue?: 0 | 1
  /** How the input becomes codes: `sign('clip')` (default), `step('approx')`, … */
  readonly input?: Binarize
  /** Which weights share one `α = mean |w|`; `'none'` is α = 1. Default: `'tensor'`. */
  readonly scale?: WeightScale
  /** What a weight's gradient becomes on its way to the latent weight: itself (default), or 0 where `|w| > 1`. */
  readonly gradient?: WeightGradient
}

/**
 * The binary convolution: `α·(codes(x) ∗ sign(w))` by XOR and popcount, `[n, h, w, inPlanes]` to `[n, h', w', planes]`.
 * Keeps the latent `weight` `[planes, inPlanes/groups, kh, kw]`, Kaiming normal (fan-out), which ships as one bit each.
 */
export function binaryConv2d(inPlanes: number, planes: number, options: BinaryConv2dOptions): Layer {
  checkOptions('binaryConv2d', options, [...WINDOW_OPTIONS, 'groups', 'padValue', 'input', 'scale', 'gradient'])
  const { groups = 1, padValue = 0, input = sign('clip'), scale = 'tensor', gradient = 'identity' } = options
  const window = checkWindow('binaryConv2d', options)
  const shape = weightShape('binaryConv2d', window, {
    in: inPlanes,
    out: planes,
    groups,
  })
  checkOneOf('binaryConv2d', 'padValue', padValue, [0, 1])
  checkFunction('binaryConv2d', 'input', input)
  checkOneOf('binaryConv2d', 'scale', scale, ['none', 'tensor', 'group', 'channel'])
  checkOneOf('binaryConv2d', 'gradient', gradient, ['identity', 'clip'])
  return layer((x, own) => {
    const recorder = recorderOf(x)
    const codes = input(x, groups)
    const latent = own('weight', shape, 'kaiming_normal', 'latent')
    const weight = recorder.record({ binarize_weight: { scale, gradient, groups } }, [latent], 2)
    return one(recorder.record({ binary_conv2d: { window, pad_value: padValue } }, [codes, ...weight]))
  })
}
