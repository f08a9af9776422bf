import { checkBoolean, checkOptions } from '../arguments.js'
import { type Layer, one, recorderOf, type Sym } from '../sym.js'
import { checkWindow, WINDOW_OPTIONS, type WindowOptions } from './window.js'

/** The largest value under each window, `[n, h, w, c]` to `[n, h', w', c]`; what is outside never wins. The stride's default is the kernel. */
export function maxPool2d(options: WindowOptions): Layer {
  checkOptions('maxPool2d', options, WINDOW_OPTIONS)
  const window = checkWindow('maxPool2d', options, options.kernel)
  return (x) => one(recorderOf(x).record({ max_pool2d: { window } }, [x]))
}

export interface AvgPool2dOptions extends WindowOptions {
  /** Whether a last window that reaches over the end counts too, with the mean of what it has. Default: false. */
  readonly ceil?: boolean
}

/** The mean under each window, `[n, h, w, c]` to `[n, h', w', c]`; padding counts as 0. The stride's default is the kernel. */
export function avgPool2d(options: AvgPool2dOptions): Layer {
  checkOptions('avgPool2d', options, [...WINDOW_OPTIONS, 'ceil'])
  const { ceil = false } = options
  checkBoolean('avgPool2d', 'ceil', ceil)
  const window = checkWindow('avgPool2d', options, options.kernel)
  return (x) => one(recorderOf(x).record({ avg_pool2d: { window, ...(ceil && { ceil }) } }, [x]))
}

/** The mean over the whole image, `[n, h, w, c]` to `[n, c]`. */
export function globalAvgPool(x: Sym): Sym {
  return x.mean([1, 2])
}
