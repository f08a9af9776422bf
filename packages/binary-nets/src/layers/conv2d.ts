import { checkBoolean, checkOptions } from '../arguments.js'
import { type Layer, one, recorderOf } from '../sym.js'
import { layer } from '../trace.js'
import { checkWindow, taps, WINDOW_OPTIONS, type WindowOptions, weightShape } from './window.js'

export interface Conv2dOptions extends WindowOptions {
  /** Input and output channels fall into this many independent parts. */
  readonly groups?: number
  /** A number added to each output channel. Default: false, for a norm follows most convolutions. */
  readonly bias?: boolean
}

/**
 * The float convolution, `[n, h, w, inPlanes]` to `[n, h', w', planes]`, zeros outside the image.
 * Keeps `weight` `[planes, inPlanes/groups, kh, kw]`, Kaiming normal (fan-out), and `bias` `[planes]`.
 */
export function conv2d(inPlanes: number, planes: number, options: Conv2dOptions): Layer {
  checkOptions('conv2d', options, [...WINDOW_OPTIONS, 'groups', 'bias'])
  const { groups = 1, bias = false } = options
  const window = checkWindow('conv2d', options)
  const shape = weightShape('conv2d', window, {
    in: inPlanes,
    out: planes,
    groups,
  })
  checkBoolean('conv2d', 'bias', bias)
  const bound = 1 / Math.sqrt((inPlanes / groups) * taps(window))
  return layer((x, own) => {
    const weight = own('weight', shape, 'kaiming_normal')
    const y = one(recorderOf(x).record({ conv2d: { window, groups } }, [x, weight]))
    return bias ? y.add(own('bias', [planes], { uniform: { low: -bound, high: bound } })) : y
  })
}
