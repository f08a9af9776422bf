// Losses against their formulas in plain numbers. The network gives its pixels as logits and features, so a loss sees what the test writes.
import test from 'ava'
import {
  amongTop,
  batchHardTriplet,
  binaryCrossEntropy,
  constants,
  counting,
  crossEntropy,
  distillation,
  fromArrays,
  image,
  type Loss,
  layer,
  meanSquaredError,
  Network,
  type Sym,
  squaredHinge,
  weightedSum,
} from 'binary-nets'

const SIZE = 4
const CLASSES = ['a', 'b', 'c', 'd']
const normalize = { mean: Array(SIZE).fill(0.5), std: Array(SIZE).fill(0.1) }
const input = image({ height: 1, width: 1, channels: SIZE, normalize })

type Outputs = { readonly logits: Sym; readonly features: Sym }
const create = () =>
  Network.create<Outputs>((x) => ({ logits: x.flatten(), features: x.flatten() }), { input, threads: 1 })

/** What the network makes of a pixel. */
const value = (pixel: number) => (pixel / 255 - 0.5) / 0.1
const PIXELS = [
  [100, 140, 90, 180],
  [200, 20, 125, 127],
  [99, 141, 92, 178],
  [60, 60, 60, 60],
  [210, 25, 120, 131],
  [15, 240, 3, 77],
]
const LABELS = [3, 0, 1, 2, 0, 1]
const LOGITS = PIXELS.map((row) => row.map(value))
const pixels = Uint8Array.from(PIXELS.flat())

const data = fromArrays({
  images: pixels,
  labels: Uint32Array.from(LABELS),
  ...{ height: 1, width: 1, channels: SIZE, classes: CLASSES },
})
const TARGETS = LOGITS.map((_, row) => CLASSES.map((_, column) => (row + column) % 2))
const targeted = fromArrays({
  images: pixels,
  targets: Float32Array.from(TARGETS.flat()),
  ...{ height: 1, width: 1, channels: SIZE, classes: CLASSES },
})

async function evaluate(loss: Loss<Outputs>, dataset = data) {
  await using net = await create()
  return await net.evaluate(dataset, { loss })
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
const mean = (values: readonly number[]) => sum(values) / values.length
const logSoftmax = (row: readonly number[]) => {
  const total = Math.log(sum(row.map(Math.exp)))
  return row.map((value) => value - total)
}
const close = (got: number, expected: number) => Math.abs(got - expected) <= 1e-5 * Math.max(1, Math.abs(expected))

/** Whether a loss is the number that a formula gives. */
function check(name: string, loss: Loss<Outputs>, expected: number, dataset = data) {
  test(name, async (t) => {
    const got = await evaluate(loss, dataset)
    t.true(close(got.loss, expected), `${got.loss}, expected ${expected}`)
  })
}

const entropies = (smoothing: number, weights = Array<number>(SIZE).fill(1)) => {
  const each = LOGITS.map((row, n) => {
    const nll = logSoftmax(row).map((value, c) => -value * (weights[c] as number))
    return (1 - smoothing) * (nll[LABELS[n] as number] as number) + (smoothing / SIZE) * sum(nll)
  })
  return sum(each) / sum(LABELS.map((label) => weights[label] as number))
}
const WEIGHTS = [0.5, 2, 0, 1.25]
check('cross-entropy', crossEntropy(), entropies(0))
check('cross-entropy with label smoothing', crossEntropy({ labelSmoothing: 0.1 }), entropies(0.1))
check('cross-entropy with class weights', crossEntropy({ weights: WEIGHTS }), entropies(0, WEIGHTS))
const both = { labelSmoothing: 0.2, weights: WEIGHTS }
check('cross-entropy with class weights and label smoothing', crossEntropy(both), entropies(0.2, WEIGHTS))

const hinges = LOGITS.map((row, n) => mean(row.map((x, c) => Math.max(0, 1 - (c === LABELS[n] ? x : -x)) ** 2)))
check('squared hinge', squaredHinge(), mean(hinges))

const distance = (a: readonly number[], b: readonly number[]) => Math.hypot(...a.map((x, i) => x - (b[i] as number)))
const triplets = (margin: number) =>
  mean(
    LOGITS.map((anchor, n) => {
      const to = (same: boolean) =>
        LOGITS.filter((_, m) => (LABELS[m] === LABELS[n]) === same).map((other) => distance(anchor, other))
      return Math.max(0, margin + Math.max(...to(true)) - Math.min(...to(false)))
    }),
  )
check('batch-hard triplets', batchHardTriplet(), triplets(0.3))
check('batch-hard triplets with a wide margin', batchHardTriplet({ margin: 9 }), triplets(9))
const terms = [
  [0.5, crossEntropy()],
  [2, batchHardTriplet({ margin: 9 })],
] as const
check('a weighted sum', weightedSum(terms), 0.5 * entropies(0) + 2 * triplets(9))

const binary = LOGITS.map((row, n) =>
  mean(
    row.map((x, c) => {
      const target = TARGETS[n]?.[c] as number
      const p = 1 / (1 + Math.exp(-x))
      return -(target * Math.log(p) + (1 - target) * Math.log(1 - p))
    }),
  ),
)
check('binary cross-entropy', binaryCrossEntropy(), mean(binary), targeted)
const squares = LOGITS.map((row, n) => mean(row.map((x, c) => (x - (TARGETS[n]?.[c] as number)) ** 2)))
check('mean squared error', meanSquaredError(), mean(squares), targeted)

test('labels that are told right are counted', async (t) => {
  const right = LOGITS.map((row, n) => mean(row.map((x, c) => (x >= 0 === (TARGETS[n]?.[c] === 1) ? 1 : 0))))
  const { top1 } = await evaluate(binaryCrossEntropy(), targeted)
  t.true(close(top1, mean(right)))
  const place = (row: readonly number[], label: number) =>
    row.filter((x, c) => x > (row[label] as number) || (x === row[label] && c < label)).length
  const within = (k: number) => mean(LOGITS.map((row, n) => (place(row, LABELS[n] as number) < k ? 1 : 0)))
  const counted = await evaluate(counting<Outputs>(crossEntropy(), { top2: amongTop(2) }))
  t.true(close(counted.top1, within(1)))
  t.true(close(counted.metrics['top2'] ?? Number.NaN, within(2)))
})

test('distillation asks a teacher about the same images', async (t) => {
  const temperature = 3
  const factors = [0.5, -1, 2, 1]
  const scaled = layer((x) => x.mul(constants(x, factors)))
  await using teacher = await Network.create((x) => ({ logits: scaled(x.flatten()) }), { input, threads: 1 })
  const divergence = LOGITS.map((row) => {
    const told = logSoftmax(row.map((x, c) => (x * (factors[c] as number)) / temperature))
    const said = logSoftmax(row.map((x) => x / temperature))
    return sum(told.map((p, c) => Math.exp(p) * (p - (said[c] as number))))
  })
  const got = await evaluate(distillation(teacher, { temperature }))
  const expected = temperature ** 2 * mean(divergence)
  t.true(close(got.loss, expected), `${got.loss}, expected ${expected}`)
  const half = weightedSum([
    [0.5, distillation(teacher, { temperature })],
    [0.5, crossEntropy()],
  ])
  t.true(close((await evaluate(half)).loss, (expected + entropies(0)) / 2))
})

test('what a loss cannot do is refused, naming it', async (t) => {
  const code = { code: 'BNETS_ARGUMENT' }
  t.throws(() => crossEntropy({ labelSmoothing: 2 }), { ...code, message: /labelSmoothing/ })
  t.throws(() => crossEntropy({ weights: [0, 0] }), { ...code, message: /weights should be not all 0/ })
  t.throws(() => weightedSum([]), { ...code, message: /weightedSum: terms/ })
  const only = { ...code, message: /reads the label of each sample, and the data has only targets/ }
  await t.throwsAsync(evaluate(crossEntropy(), targeted), only)
  await t.throwsAsync(evaluate(crossEntropy(), targeted.take(2)), only)
  t.throws(() => weightedSum([1, crossEntropy()] as never), {
    ...code,
    message: /a term should be \[weight, loss\], got 1/,
  })
  const alone: Loss<Outputs> = (_, { teacher }) => ({ loss: teacher['logits'] as Sym })
  await t.throwsAsync(evaluate(alone), { ...code, message: /reads what a teacher says, and has none/ })
  t.throws(() => distillation({ outputs: {} }), { ...code, message: /teacher should be a network/ })
  await t.throwsAsync(evaluate(meanSquaredError()), { ...code, message: /reads the target .* the data has none/ })
  await t.throwsAsync(evaluate(crossEntropy({ weights: [1, 2] })), { code: 'BNETS_SHAPE', message: /at 'loss'/ })
  await using other = await Network.create((x) => ({ logits: x.flatten() }), {
    input: image({ height: 2, width: 1, channels: 4 }),
  })
  await t.throwsAsync(evaluate(distillation(other)), { message: /teacher/ })
})

test('a confusion matrix counts truths by row and predictions by column', async (t) => {
  await using net = await create()
  const matrix = await net.confusion(data)
  const counts = CLASSES.map(() => CLASSES.map(() => 0))
  LOGITS.forEach((row, n) => {
    const predicted = row.indexOf(Math.max(...row))
    ;(counts[LABELS[n] as number] as number[])[predicted] = (counts[LABELS[n] as number]?.[predicted] ?? 0) + 1
  })
  t.deepEqual(matrix.counts, counts)
  t.is(matrix.top1, sum(counts.map((row, truth) => row[truth] as number)) / LABELS.length)
  await t.throwsAsync(net.confusion(targeted), { code: 'BNETS_ARGUMENT', message: /dataset should be one with labels/ })
  t.is(matrix.toString().split('\n').length, 2 + SIZE)
})
