import { checkFunction, checkOneOf } from '../arguments.js'
import type { WindowSpec } from '../spec.js'
import { one, recorderOf, type Sym } from '../sym.js'
import type { Own } from '../trace.js'
import { type Binarize, sign } from './binarize.js'
import { scaledSign, type WeightQuantizer } from './weights.js'
import { taps } from './window.js'

/** How a binary layer makes bits of its input and its weights. */
export interface BinaryOptions {
  /** How the input becomes codes: `sign('clip')` (default), `step('approx')`, …; `identity` where it is codes already, such as those of `rsign`. */
  readonly input?: Binarize
  /** How the latent weights become bits and scales: `scaledSign()` (default), `libra()`, `recu()`, `ternary()`. */
  readonly weight?: WeightQuantizer
}

interface Geometry {
  readonly window: WindowSpec
  readonly inPlanes: number
  readonly planes: number
  readonly groups: number
  /** The number that stands outside the image. */
  readonly padValue: 0 | 1
}

/** The product of an input `[n, h, w, inPlanes]` with latent weights `[planes, inPlanes/groups, kh, kw]`, in bits. */
export function binaryProduct(
  owner: string,
  { window, inPlanes, planes, groups, padValue }: Geometry,
  { input = sign('clip'), weight = scaledSign() }: BinaryOptions,
): (x: Sym, latent: Sym, own: Own) => Sym {
  checkOneOf(owner, 'padValue', padValue, [0, 1])
  checkFunction(owner, 'input', input)
  checkFunction(owner, 'weight', weight)
  const op = { window, pad_value: padValue }
  const fanIn = (inPlanes / groups) * taps(window)
  return (x, latent, own) => {
    const recorder = recorderOf(x)
    const codes = input(x, groups)
    return weight({
      ...{ latent, planes, fanIn, groups, own },
      product: (bits, alpha) => one(recorder.record({ binary_conv2d: op }, [codes, bits, alpha])),
      ternaryProduct: ({ positive, negative, positiveScale, negativeScale }) =>
        one(recorder.record({ ternary_conv2d: op }, [codes, positive, negative, positiveScale, negativeScale])),
    })
  }
}
