import { checkOptions } from '../arguments.js'
import type { Layer } from '../sym.js'
import { layer } from '../trace.js'
import { type BinaryOptions, binaryProduct } from './binary-product.js'
import { checkWindow, WINDOW_OPTIONS, type WindowOptions, weightShape } from './window.js'

export interface BinaryConv2dOptions extends WindowOptions, BinaryOptions {
  /** Input and output channels fall into this many independent parts. */
  readonly groups?: number
  /** The number that stands outside the image, among the codes. Default: 0. */
  readonly padValue?: 0 | 1
}

/**
 * The binary convolution: `codes(x) ∗ α·sign(w)` by XOR and popcount, `[n, h, w, inPlanes]` to `[n, h', w', planes]`.
 * Keeps the latent `weight` `[planes, inPlanes/groups, kh, kw]`, Kaiming normal (fan-out), which ships as one bit each, or two where ternary.
 */
export function binaryConv2d(inPlanes: number, planes: number, options: BinaryConv2dOptions): Layer {
  checkOptions('binaryConv2d', options, [...WINDOW_OPTIONS, 'groups', 'padValue', 'input', 'weight'])
  const { groups = 1, padValue = 0 } = options
  const window = checkWindow('binaryConv2d', options)
  const shape = weightShape('binaryConv2d', window, { in: inPlanes, out: planes, groups })
  const product = binaryProduct('binaryConv2d', { window, inPlanes, planes, groups, padValue }, options)
  return layer((x, own) => product(x, own('weight', shape, 'kaiming_normal', 'latent'), own))
}
