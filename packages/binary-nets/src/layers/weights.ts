import { checkNumber, checkOneOf, checkOptions, reject } from '../arguments.js'
import type { WeightGradient as WeightGradientSpec, WeightScale } from '../spec.js'
import { recorderOf, type Sym, select } from '../sym.js'
import { type Own, traceGradient } from '../trace.js'
import { type EdeOptions, ede, type OwnGradient } from './binarize.js'

/** What a binary layer shows to the quantizer of its weights. */
export interface LatentWeight {
  /** The latent weights `[planes, inPlanes/groups, kh, kw]`; for a linear layer kh = kw = 1. */
  readonly latent: Sym
  readonly planes: number
  /** Weights of one plane. */
  readonly fanIn: number
  readonly groups: number
  /** Makes further tensors of the layer. */
  readonly own: Own
  /** The product of the layer's input with weights of one bit and their scale α, `[1]`, `[groups]` or `[planes]`. */
  readonly product: (bits: Sym, alpha: Sym) => Sym
  /** The product with weights `positive` − `negative`, two planes of one bit, scaled by `[1]` each. */
  readonly ternaryProduct: (planes: TernaryPlanes) => Sym
}

export interface TernaryPlanes {
  readonly positive: Sym
  readonly negative: Sym
  readonly positiveScale: Sym
  readonly negativeScale: Sym
}

/** From latent weights to a product with bits. */
export type WeightQuantizer = (weight: LatentWeight) => Sym

/**
 * What a latent weight w gets for the gradient g of its quantised value `α·sign(w)`: `'identity'`: g · `'clip'`: g where |w| ≤ 1, else 0 ·
 * `'magnitude'`: α·g where |w| ≤ 1, else 0 · `'xnor'`: `sign(w)/n·Σⱼ gⱼ sign(wⱼ) + α·g·1[|w| ≤ 1]` over the n weights that share an α (XNOR-Net's rule with
 * the derivative of α that is right) · `{ gradient: (w, g) => … }`: a formula of your own.
 */
export type WeightGradient = 'identity' | 'clip' | 'magnitude' | 'xnor' | OwnGradient

export interface ScaledSignOptions {
  /** Which weights share one `α = mean |w|`; `'none'` is α = 1. Default: `'tensor'`. */
  readonly scale?: WeightScale
  /** What a weight's gradient becomes on its way to the latent weight. Default: `'identity'`. */
  readonly gradient?: WeightGradient
}

/** `α·sign(w)` (XNOR-Net, Rastegari et al. 2016; DoReFa-Net, Zhou et al. 2016). */
export function scaledSign(options: ScaledSignOptions = {}): WeightQuantizer {
  checkOptions('scaledSign', options, ['scale', 'gradient'])
  const { scale = 'tensor', gradient = 'identity' } = options
  checkOneOf('scaledSign', 'scale', scale, ['none', 'tensor', 'group', 'channel'])
  const given = checkWeightGradient('scaledSign', gradient)
  return ({ latent, groups, product }) => product(...binarize(latent, groups, scale, given))
}

/**
 * IR-Net's Libra (Qin et al. 2020): weights standardised by output channel, `ŵ = (w − mean)/std`, then `2ˢ·sign(ŵ)` with the power of two that is nearest to mean |ŵ|.
 * For the gradient g of that product, ŵ gets {@link ede}'s slope times `2ˢ·g`, and w what the standardisation makes of it. It reads the scalar `progress`.
 */
export function libra(options: EdeOptions = {}): WeightQuantizer {
  checkOptions('libra', options, ['start', 'end'])
  const { gradient } = ede(options)
  const scale = (w: Sym, keep: boolean) => w.abs().mean([1, 2, 3], { keep }).powerOfTwo()
  const given = checkWeightGradient('libra', {
    gradient: (w, g, scalar) => gradient(w, g.mul(scale(w, true)), scalar),
  })
  return ({ latent, fanIn, groups, product }) => {
    const w = standardised('libra', latent, fanIn)
    const [bits] = binarize(w, groups, 'none', given)
    return product(bits, scale(w, false))
  }
}

export interface RecuOptions {
  /** τ at the begin of a run. Default: 0.85. */
  readonly start?: number
  /** τ at its end. Default: 0.99. */
  readonly end?: number
}

/**
 * ReCU (Xu et al. 2021): the sign of weights standardised by output channel, whose gradient passes where they are within `±Q`, `Q = −mean|w|·ln(2 − 2τ)`;
 * τ goes from `start` to `end` during the run (it reads the scalar `progress`). Keeps a learned scale of each output channel, `alpha` `[planes]`.
 */
export function recu(options: RecuOptions = {}): WeightQuantizer {
  checkOptions('recu', options, ['start', 'end'])
  const { start = 0.85, end = 0.99 } = options
  for (const [option, value] of Object.entries({ start, end }))
    checkNumber('recu', option, value, { min: 0.5, max: 1 - 1e-9 })
  const given = checkWeightGradient('recu', {
    gradient(w, g, scalar) {
      // τ = A·eᵖ + B, through both ends.
      const a = (end - start) / (Math.E - 1)
      const tau = scalar('progress')
        .exp()
        .mul(a)
        .add(start - a)
      const q = w.abs().mean([0, 1, 2, 3]).mul(tau.mul(-2).add(2).log().neg())
      return select(w.abs().lessEqual(q), g, 0)
    },
  })
  return ({ latent, fanIn, planes, groups, own, product }) => {
    const w = standardised('recu', latent, fanIn).mul(2 * Math.SQRT2)
    const y = product(...binarize(w, groups, 'none', given))
    return y.mul(own('alpha', [planes], { uniform: { low: 0, high: 1 } }))
  }
}

export interface TernaryOptions {
  /** The part of the largest magnitude up to which a weight counts as 0. Default: 0.05. */
  readonly threshold?: number
  /** The gradient of the negative weights' scale: the derivative, or its opposite as the paper has it. Default: `'exact'`. */
  readonly negativeGradient?: 'exact' | 'published'
}

/**
 * Trained ternary weights (Zhu et al. 2017): `+Wₚ` where `w > Δ`, `−Wₙ` where `w < −Δ`, else 0, with `Δ = threshold·max|w|`. Keeps the learned
 * scales `w_p` and `w_n`, each `[1]`, which start at 1. They run as two planes of one bit.
 */
export function ternary(options: TernaryOptions = {}): WeightQuantizer {
  checkOptions('ternary', options, ['threshold', 'negativeGradient'])
  const { threshold = 0.05, negativeGradient = 'exact' } = options
  checkNumber('ternary', 'threshold', threshold, { min: 0, max: 1 })
  checkOneOf('ternary', 'negativeGradient', negativeGradient, ['exact', 'published'])
  return ({ latent, own, ternaryProduct }) => {
    const positiveScale = own('w_p', [1], { constant: 1 })
    const negativeScale = own('w_n', [1], { constant: 1 })
    const op = { threshold, negative_gradient: negativeGradient }
    const inputs = [latent, positiveScale, negativeScale]
    const [positive, negative] = recorderOf(latent).record({ ternarize_weight: op }, inputs, 2) as [Sym, Sym]
    return ternaryProduct({ positive, negative, positiveScale, negativeScale })
  }
}

/** Bits and α. */
function binarize(
  latent: Sym,
  groups: number,
  scale: WeightScale,
  gradient: WeightGradientSpec,
): [bits: Sym, alpha: Sym] {
  const op = { binarize_weight: { scale, gradient, groups } }
  return recorderOf(latent).record(op, [latent], 2) as [Sym, Sym]
}

/** Weights with mean 0 and (unbiased) standard deviation 1 in each output channel. */
function standardised(owner: string, latent: Sym, fanIn: number): Sym {
  if (fanIn < 2) reject(owner, 'the weights of a plane', 'two or more', fanIn)
  const centred = latent.sub(latent.mean([1, 2, 3], { keep: true }))
  const variance = centred
    .mul(centred)
    .sum([1, 2, 3], { keep: true })
    .div(fanIn - 1)
  return centred.div(variance.sqrt())
}

const GRADIENTS = ['identity', 'clip', 'magnitude', 'xnor'] as const

function checkWeightGradient(owner: string, gradient: WeightGradient): WeightGradientSpec {
  if (typeof gradient === 'string') {
    return checkOneOf(owner, 'gradient', gradient, GRADIENTS)
  }
  if (typeof gradient?.gradient !== 'function') {
    return reject(owner, 'gradient', 'a name or { gradient: (w, g) => … }', gradient)
  }
  return { custom: traceGradient(gradient.gradient) }
}
