import { checkFunction, checkInteger, checkNumber, checkOptions, reject } from './arguments.js'
import { constants, one, recorderOf, Sym, select } from './sym.js'
import type { LossBatch, Outputs } from './trace.js'

/** What a loss returns: a number to minimise, and further numbers, which are counts: an epoch's is the sum over its batches. */
export type LossResult = Outputs & { readonly loss: Sym }

/** A network whose answers a loss reads as `batch.teacher`; see {@link distillation}. */
export interface Teacher {
  /** Its outputs by name. */
  readonly outputs: Readonly<Record<string, string>>
}

/** From a model's outputs and the values of a batch to the loss. It is called once, with symbolic values, as a model is. */
export interface Loss<O extends Outputs = Outputs> {
  (outputs: O, batch: LossBatch): LossResult
  /** The network that answers `batch.teacher`, on the same augmented images. */
  readonly teacher?: Teacher
}

type Logits = { readonly logits: Sym }

/** An output that a loss needs. */
function output(owner: string, name: string, value: Sym): Sym {
  return value instanceof Sym ? value : reject(owner, 'the model', `one with an output named ${name}`, value)
}

export interface CrossEntropyOptions {
  /** e in the target `(1 − e)·onehot + e/classes`. Default: 0. */
  readonly labelSmoothing?: number
  /** A weight for each class, which the mean over the batch is weighted by. Default: all alike. */
  readonly weights?: readonly number[]
}

/** The batch mean of the cross-entropy of `logits` and labels, as PyTorch defines it; `correct` counts the samples whose largest logit is their label's. */
export function crossEntropy(options: CrossEntropyOptions = {}): Loss<Logits> {
  checkOptions('crossEntropy', options, ['labelSmoothing', 'weights'])
  const { labelSmoothing = 0, weights } = options
  checkNumber('crossEntropy', 'labelSmoothing', labelSmoothing, { min: 0, max: 1 })
  if (weights !== undefined) {
    if (!Array.isArray(weights)) reject('crossEntropy', 'weights', 'a list of numbers, one for each class', weights)
    for (const weight of weights) checkNumber('crossEntropy', 'weights', weight, { min: 0 })
    if (weights.every((weight) => weight === 0)) reject('crossEntropy', 'weights', 'not all 0', weights)
  }
  return ({ logits }, { label }) => {
    output('crossEntropy', 'logits', logits)
    const correct = countCorrect(logits, label)
    if (weights !== undefined) return { loss: weightedCrossEntropy(logits, label, weights, labelSmoothing), correct }
    const op = { softmax_cross_entropy: { label_smoothing: labelSmoothing } }
    return { loss: one(recorderOf(logits).record(op, [logits, label])), correct }
  }
}

/** `Σ wᵧ(1 − e)·nll + e/classes·Σ_c w_c·(−log p_c)` over the batch, by `Σ wᵧ`. */
function weightedCrossEntropy(logits: Sym, label: Sym, weights: readonly number[], smoothing: number): Sym {
  const each = constants(logits, weights)
  const weighted = logSoftmax(logits).mul(each).neg()
  const onehot = label.oneHot()
  const target = onehot.mul(1 - smoothing).add(smoothing / weights.length)
  return weighted
    .mul(target)
    .sum([0, 1])
    .div(onehot.mul(each).sum([0, 1]))
}

/** The logarithms of the classes' probabilities, `[n, classes]`. */
function logSoftmax(logits: Sym): Sym {
  // What is taken away changes nothing but the range of numbers.
  const shifted = logits.sub(logits.max(1, { keep: true }).stopGradient())
  return shifted.sub(shifted.exp().sum(1, { keep: true }).log())
}

/** How many samples have their label among their `k` largest logits; of equal logits the first counts as larger. */
export function countCorrect(logits: Sym, label: Sym, k = 1): Sym {
  checkInteger('countCorrect', 'k', k)
  return one(recorderOf(logits).record({ count_correct: { k } }, [logits, label]))
}

/** For {@link counting}: the samples whose label is among their `k` largest logits. */
export function amongTop(k: number): (outputs: Logits, batch: LossBatch) => Sym {
  checkInteger('amongTop', 'k', k)
  return ({ logits }, { label }) => countCorrect(logits, label, k)
}

/** Adds counts to what a loss gives: `counting(crossEntropy(), { top5: amongTop(5) })`. Means over the samples stand in an evaluation's `metrics`. */
export function counting<O extends Outputs>(
  loss: Loss<O>,
  counts: Readonly<Record<string, (outputs: O, batch: LossBatch) => Sym>>,
): Loss<O> {
  checkFunction('counting', 'loss', loss)
  if (typeof counts !== 'object' || counts === null) reject('counting', 'counts', 'functions by name', counts)
  for (const [name, count] of Object.entries(counts)) checkFunction('counting', name, count)
  return withTeacher(loss.teacher, (outputs, batch) => {
    const result = loss(outputs, batch)
    const taken = Object.keys(counts).find((name) => name in result)
    if (taken !== undefined) reject('counting', 'a count', 'of a name that the loss does not give itself', taken)
    const counted = Object.entries(counts).map(([name, count]) => [name, count(outputs, batch)])
    return { ...result, ...Object.fromEntries(counted) }
  })
}

/** The mean over batch and classes of `max(0, 1 − t·logit)²`, with t = +1 for the label and −1 for the others; `correct` as in {@link crossEntropy}. */
export function squaredHinge(): Loss<Logits> {
  return ({ logits }, { label }) => {
    output('squaredHinge', 'logits', logits)
    const target = label.oneHot().mul(2).sub(1)
    const margin = target.mul(logits).neg().add(1).maximum(0)
    return { loss: margin.mul(margin).mean([0, 1]), correct: countCorrect(logits, label) }
  }
}

/**
 * The mean over batch and labels of the binary cross-entropy of `logits` and the data's targets in [0, 1], for images with several labels.
 * `correct` counts labels that are told right, by `logit ≥ 0` and `target ≥ ½`, as parts of an image.
 */
export function binaryCrossEntropy(): Loss<Logits> {
  return ({ logits }, { target }) => {
    output('binaryCrossEntropy', 'logits', logits)
    // max(x, 0) − x·t + log(1 + e^−|x|), which never overflows.
    const tail = logits.abs().neg().exp().add(1).log()
    const loss = logits.maximum(0).sub(logits.mul(target)).add(tail).mean([0, 1])
    const said = select(logits.greaterEqual(0), 1, -1)
    const right = said.mul(select(target.greaterEqual(0.5), 1, -1)).maximum(0)
    return { loss, correct: right.mean(1).sum(0) }
  }
}

/** The mean over batch and outputs of `(logits − target)²`, for numbers that are predicted. */
export function meanSquaredError(): Loss<Logits> {
  return ({ logits }, { target }) => {
    const error = output('meanSquaredError', 'logits', logits).sub(target)
    return { loss: error.mul(error).mean([0, 1]) }
  }
}

/** Farther than any image: near the largest float. */
const FAR = 3e38

export interface TripletOptions {
  /** How much nearer an image's own person should be than any other. Default: 0.3. */
  readonly margin?: number
}

/**
 * Batch-hard triplet loss on `features` (Hermans et al. 2017): for each image, `max(0, margin + d(farthest of its class) − d(nearest of another))`, meaned.
 * Distances are Euclidean. Batches need several images of several classes: {@link identityBalanced}.
 */
export function batchHardTriplet(options: TripletOptions = {}): Loss<{ readonly features: Sym }> {
  checkOptions('batchHardTriplet', options, ['margin'])
  const margin = checkNumber('batchHardTriplet', 'margin', options.margin ?? 0.3, { min: 0 })
  return ({ features }, { label }) => {
    output('batchHardTriplet', 'features', features)
    const squares = features.mul(features).sum(1)
    const products = features.matmul(features, { transposeB: true })
    const squared = squares
      .reshape([-1, 1])
      .add(squares.reshape([1, -1]))
      .sub(products.mul(2))
    const distance = squared.maximum(1e-12).sqrt()
    const classes = label.oneHot()
    const same = classes.matmul(classes, { transposeB: true }).greater(0.5)
    const farthest = select(same, distance, 0).max(1)
    const nearest = select(same, FAR, distance).neg().max(1).neg()
    return { loss: farthest.sub(nearest).add(margin).maximum(0).mean(0) }
  }
}

/** The outputs that all of some losses need. */
type OutputsOf<L> = (
  L extends (outputs: infer O, batch: LossBatch) => LossResult
    ? (outputs: O) => void
    : never
) extends (outputs: infer All) => void
  ? All extends Outputs
    ? All
    : never
  : never

/** A weighted sum of losses, `[[1, crossEntropy()], [0.5, batchHardTriplet()]]`; their counts are all given, the first of one name. */
export function weightedSum<const T extends readonly (readonly [weight: number, loss: Loss<never>])[]>(
  terms: T,
): Loss<OutputsOf<T[number][1]>> {
  if (!Array.isArray(terms) || terms.length === 0) reject('weightedSum', 'terms', 'a list of [weight, loss]', terms)
  for (const term of terms) {
    if (!Array.isArray(term) || term.length !== 2) reject('weightedSum', 'a term', '[weight, loss]', term)
    const [weight, loss] = term
    checkNumber('weightedSum', 'a weight', weight)
    checkFunction('weightedSum', 'a loss', loss)
  }
  const teachers = new Set(terms.flatMap(([, loss]) => loss.teacher ?? []))
  if (teachers.size > 1) reject('weightedSum', 'terms', 'losses of one teacher', terms)
  return withTeacher([...teachers][0], (outputs, batch) => {
    const results = terms.map(([weight, term]) => [weight, term(outputs as never, batch)] as const)
    const counts = Object.assign({}, ...results.map(([, result]) => result).toReversed())
    const weighted = results.map(([weight, { loss }]) => loss.mul(weight))
    return { ...counts, loss: weighted.reduce((sum, loss) => sum.add(loss)) }
  })
}

export interface DistillationOptions {
  /** What logits are divided by before they become probabilities. Default: 1. */
  readonly temperature?: number
}

/**
 * `T²` times the batch mean of `KL(teacher ‖ student)` between the probabilities of logits divided by the temperature T (Hinton et al. 2015). The teacher's frozen program sees the
 * very images, augmented as they are, that the student is trained on. `correct` as in {@link crossEntropy}.
 */
export function distillation(teacher: Teacher, options: DistillationOptions = {}): Loss<Logits> {
  if (typeof teacher?.outputs !== 'object' || !('logits' in teacher.outputs)) {
    reject('distillation', 'teacher', 'a network with an output named logits', teacher)
  }
  checkOptions('distillation', options, ['temperature'])
  const temperature = checkNumber('distillation', 'temperature', options.temperature ?? 1, { min: Number.MIN_VALUE })
  return withTeacher(teacher, ({ logits }, { label, teacher: { logits: taught } }) => {
    output('distillation', 'logits', logits)
    const told = logSoftmax((taught as Sym).div(temperature))
    const said = logSoftmax(logits.div(temperature))
    const divergence = told.exp().mul(told.sub(said)).sum(1).mean(0)
    return { loss: divergence.mul(temperature ** 2), correct: countCorrect(logits, label) }
  })
}

function withTeacher<O extends Outputs>(
  teacher: Teacher | undefined,
  loss: (outputs: O, batch: LossBatch) => LossResult,
): Loss<O> {
  return teacher === undefined ? loss : Object.assign(loss, { teacher })
}
