import { checkInteger } from './arguments.js'
import { BinaryNetsError } from './errors.js'
import type { Abortable } from './run-options.js'

export interface PredictOptions extends Abortable {
  /** How many classes to give for each image, likeliest first. Default: 5, or all where there are fewer. */
  readonly topK?: number
}

/** A class that an image may show. */
export interface Prediction {
  /** The class's name, or its number where names are not known. */
  readonly label: string
  readonly index: number
  /** From 0 to 1; over all classes they sum to 1. */
  readonly probability: number
}

export function checkTopK({ topK = 5 }: PredictOptions): number {
  return checkInteger('predict', 'topK', topK)
}

/** The likeliest classes of each of `count` images, by the softmax of their logits; BNETS_NOT_FINITE where one of these is NaN or +∞, or all are −∞. */
export function likeliest(
  logits: Float32Array,
  count: number,
  topK: number,
  classes: readonly string[] | null,
): Prediction[][] {
  const width = logits.length / count
  return Array.from({ length: count }, (_, image) => {
    const own = logits.subarray(image * width, (image + 1) * width)
    const top = own.reduce((most, logit) => Math.max(most, logit), Number.NEGATIVE_INFINITY)
    const exps = Array.from(own, (logit) => Math.exp(logit - top))
    const total = exps.reduce((sum, exp) => sum + exp, 0)
    // A logit that is NaN, or too large for a float, leaves nothing to compare.
    if (Number.isNaN(total))
      throw new BinaryNetsError('BNETS_NOT_FINITE', `predict: the logits of image ${image} are not finite`)
    return exps
      .map((exp, index) => ({ label: classes?.[index] ?? String(index), index, probability: exp / total }))
      .toSorted((a, b) => b.probability - a.probability || a.index - b.index)
      .slice(0, topK)
  })
}
