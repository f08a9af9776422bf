import { checkInteger, checkNumber, checkOneOf, checkOptions, reject } from '../arguments.js'
import type { Surrogate } from '../spec.js'
import { type Layer, one, recorderOf, type Sym } from '../sym.js'
import { layer, type PseudoGradient, traceGradient } from '../trace.js'

/** From numbers to codes of one bit, packed in the groups of the convolution that reads them. */
export type Binarize = (x: Sym, groups?: number) => Sym

/** {@link swish} with its number. */
export interface Swish {
  readonly swish: { readonly beta: number }
}

/** A gradient of one's own, composed of small ops; see {@link PseudoGradient}. */
export interface OwnGradient {
  readonly gradient: PseudoGradient
}

/**
 * What x gets for the gradient g of its code:
 * `'identity'`: g (Bengio et al. 2013) · `'clip'`: g where |x| ≤ 1, else 0 (Hubara et al. 2016) ·
 * `'approx'`: g·(2 − 2|x|) where |x| ≤ 1, else 0 (Bi-Real Net, Liu et al. 2018) · `'swish'`: {@link swish} · `'ede'`: {@link ede} ·
 * `{ gradient: (x, g) => … }`: a formula of your own.
 */
export type CodeGradient = 'identity' | 'clip' | 'approx' | 'swish' | 'ede' | Swish | OwnGradient

const NAMES = ['identity', 'clip', 'approx', 'swish', 'ede'] as const

/** Codes −1 where `x < 0`, else +1, so `sign(0) = +1`. */
export function sign(gradient: CodeGradient): Binarize {
  const surrogate = checkGradient('sign', gradient)
  return (x, groups = 1) => one(recorderOf(x).record({ sign: { gradient: surrogate, groups } }, [x]))
}

/** Codes 1 where `x > 0`, else 0: for inputs that come out of a ReLU. */
export function step(gradient: CodeGradient): Binarize {
  const surrogate = checkGradient('step', gradient)
  return (x, groups = 1) => one(recorderOf(x).record({ step: { gradient: surrogate, groups } }, [x]))
}

/** Codes 1 where `x > 0`, else 0, with the gradient g where |x| ≤ 1, else 0: `step('clip')`. */
export function heaviside(): Binarize {
  return step('clip')
}

export interface RSignOptions {
  /** Default: `'approx'`. */
  readonly gradient?: CodeGradient
  /** The groups of the convolution that reads the codes. Default: 1. */
  readonly groups?: number
}

/**
 * RSign (ReActNet, Liu et al. 2020): the sign of `x + b` with a learned b for each of the channels; keeps `bias` `[channels]`. It stands as a layer in front of a
 * binary convolution whose `input` is `identity`, and so has a path of its own.
 */
export function rsign(channels: number, options: RSignOptions = {}): Layer {
  checkInteger('rsign', 'channels', channels)
  checkOptions('rsign', options, ['gradient', 'groups'])
  const { gradient = 'approx', groups = 1 } = options
  checkInteger('rsign', 'groups', groups)
  const codes = sign(gradient)
  return layer((x, own) => codes(x.add(own('bias', [channels], { constant: 0 })), groups))
}

/** The slope of a swish-like curve, `g·β(2 − βx·tanh(βx/2))/(1 + cosh βx)` (BNN+, Darabi et al. 2018); β is 5 by default. */
export function swish(options: { readonly beta?: number } = {}): Swish {
  checkOptions('swish', options, ['beta'])
  return { swish: { beta: checkNumber('swish', 'beta', options.beta ?? 5, { min: Number.MIN_VALUE }) } }
}

export interface EdeOptions {
  /** t at the begin of a run. Default: 0.1. */
  readonly start?: number
  /** t at its end. Default: 10. */
  readonly end?: number
}

/**
 * The slope of a tanh that grows steeper during the run, `g·kt(1 − tanh²(tx))` with `k = max(1/t, 1)` and t going from `start` to `end` in equal
 * ratios (EDE of IR-Net, Qin et al. 2020). It reads the scalar `progress`.
 */
export function ede(options: EdeOptions = {}): OwnGradient {
  checkOptions('ede', options, ['start', 'end'])
  const { start = 0.1, end = 10 } = options
  checkNumber('ede', 'start', start, { min: Number.MIN_VALUE })
  checkNumber('ede', 'end', end, { min: Number.MIN_VALUE })
  return {
    gradient(x, g, scalar) {
      const t = scalar('progress')
        .mul(Math.log(end / start))
        .exp()
        .mul(start)
      // k·t, for k = max(1/t, 1).
      const height = t.maximum(1)
      const curve = x.mul(t).tanh()
      return g.mul(height.sub(curve.mul(curve).mul(height)))
    },
  }
}

/** The gradient as the graph has it. */
export function checkGradient(owner: string, gradient: CodeGradient): Surrogate {
  if (typeof gradient === 'string') {
    const name = checkOneOf(owner, 'gradient', gradient, NAMES)
    if (name === 'ede') return checkGradient(owner, ede())
    return name === 'swish' ? swish() : name
  }
  if (typeof gradient !== 'object' || gradient === null) {
    return reject(owner, 'gradient', 'a name or { gradient: (x, g) => … }', gradient)
  }
  if ('swish' in gradient) return swish(gradient.swish)
  if (typeof gradient.gradient === 'function') return { custom: traceGradient(gradient.gradient) }
  return reject(owner, 'gradient', 'a name or { gradient: (x, g) => … }', gradient)
}
