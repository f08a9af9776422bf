import { checkInteger, checkNumber, checkOptions, reject } from './arguments.js'
import { one, recorderOf, Sym } from './sym.js'
import type { Outputs } from './trace.js'

/** What a loss returns: a number to minimise, and further numbers, which are counts: an epoch's is the sum over its batches. */
export type LossResult = Outputs & { readonly loss: Sym }

/** From a model's outputs and the batch's labels `[n]` to the loss. It is called once, with symbolic values, as a model is. */
export type Loss<O extends Outputs = Outputs> = (outputs: O, batch: { readonly label: Sym }) => LossResult

export interface CrossEntropyOptions {
  /** e in the target `(1 − e)·onehot + e/classes`. Default: 0. */
  readonly labelSmoothing?: number
}

/** The batch mean of the cross-entropy of `logits` and labels; `correct` counts the samples whose largest logit is their label's. */
export function crossEntropy(options: CrossEntropyOptions = {}): Loss<{ readonly logits: Sym }> {
  checkOptions('crossEntropy', options, ['labelSmoothing'])
  const { labelSmoothing = 0 } = options
  checkNumber('crossEntropy', 'labelSmoothing', labelSmoothing, {
    min: 0,
    max: 1,
  })
  return ({ logits }, { label }) => {
    if (!(logits instanceof Sym)) return reject('crossEntropy', 'the model', 'one with an output named logits', logits)
    const softmax = {
      softmax_cross_entropy: { label_smoothing: labelSmoothing },
    }
    return {
      loss: one(recorderOf(logits).record(softmax, [logits, label])),
      correct: countCorrect(logits, label),
    }
  }
}

/** How many samples have their label among their `k` largest logits; of equal logits the first counts as larger. */
export function countCorrect(logits: Sym, label: Sym, k = 1): Sym {
  checkInteger('countCorrect', 'k', k)
  return one(recorderOf(logits).record({ count_correct: { k } }, [logits, label]))
}
