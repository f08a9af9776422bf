import { checkOneOf } from '../arguments.js'
import type { Surrogate } from '../spec.js'
import { one, recorderOf, type Sym } from '../sym.js'

/** From numbers to codes of one bit, packed in the groups of the convolution that reads them. */
export type Binarize = (x: Sym, groups?: number) => Sym

const SURROGATES = ['identity', 'clip', 'approx'] as const

/**
 * Codes −1 where `x < 0`, else +1, so `sign(0) = +1`. For the gradient g, x gets
 * `'identity'`: g (Bengio et al. 2013) · `'clip'`: g where |x| ≤ 1, else 0 (Hubara et al. 2016) ·
 * `'approx'`: g·(2 − 2|x|) where |x| ≤ 1, else 0 (Bi-Real Net, Liu et al. 2018).
 */
export function sign(gradient: Surrogate): Binarize {
  checkOneOf('sign', 'gradient', gradient, SURROGATES)
  return (x, groups = 1) => one(recorderOf(x).record({ sign: { gradient, groups } }, [x]))
}

/** Codes 1 where `x > 0`, else 0: for inputs that come out of a ReLU. The gradients are those of {@link sign}. */
export function step(gradient: Surrogate): Binarize {
  checkOneOf('step', 'gradient', gradient, SURROGATES)
  return (x, groups = 1) => one(recorderOf(x).record({ step: { gradient, groups } }, [x]))
}
