// `npm run bench:bases`: what K bases cost. Times the binary convolutions of the training step of `parallelResnet18WithSqueeze`, forward and backward, with K = 4
// bases and with one, op by op on one core, the best of several runs in turn. K bases are K times the work; the aim is no more than 1.1 · K times the time.
// `npm run bench:bases -- --record` also writes bench/record/<date>-bench-bases-<instruction set>.md.
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { NativeNetwork } from '@binary-nets/native'
import { image, parallelResnet18WithSqueeze, trace } from 'binary-nets'
import { Report } from './report.mjs'

const K = 4
const AIM = 1.1
const BATCH = 16
const SIDE = 32
const CLASSES = 10
const ROUNDS = 5
const REPEATS = 3
const DONE = {
  binary_conv2d: 'forward',
  binary_conv2d_grad_input: 'backward',
  binary_conv2d_grad_weight: 'backward',
  sign: 'codes',
  step: 'codes',
  binarize_weight: 'weights',
}

const PINNED = '--pinned'
if (process.platform === 'linux' && !process.argv.includes(PINNED)) {
  const core = String(availableParallelism() - 1)
  const self = [process.execPath, ...process.argv.slice(1), PINNED]
  const { status, error } = spawnSync('taskset', ['-c', core, ...self], { stdio: 'inherit' })
  if (error) console.error(`not pinned to a core: ${error.message}`)
  else process.exit(status ?? 1)
}
process.chdir(join(import.meta.dirname, '..'))

/** The mean cross-entropy, as `crossEntropy()` is traced. */
const objective = {
  version: 1,
  nodes: [
    { op: { input: { name: 'logits', shape: [], meaning: 'f32' } } },
    { op: { input: { name: 'label', shape: [], meaning: { index: { classes: CLASSES } } } } },
    // biome-ignore format: pairs
    { op: { softmax_cross_entropy: { label_smoothing: 0 } }, inputs: [[0, 0], [1, 0]], path: 'loss' },
  ],
  outputs: { loss: [2, 0] },
}

const input = image({ height: SIDE, width: SIDE, channels: 3 })
const batch = {
  image: Uint8Array.from({ length: BATCH * SIDE * SIDE * 3 }, (_, i) => (i * 7919) % 251),
  label: Uint32Array.from({ length: BATCH }, (_, i) => i % CLASSES),
}

/** A network with its training step, for one thread. */
async function open(model) {
  const network = await NativeNetwork.create(JSON.stringify(trace(model, input)), { seed: 1, threads: 1 })
  const trained = network.parameters().filter(({ kind }) => kind !== 'statistic')
  const sgd = { momentum: 0, nesterov: false, weight_decay: 0, clamp: null }
  const updates = trained.map(({ path }) => ({ path, rule: { sgd }, lr: 'lr' }))
  await network.compileTraining(JSON.stringify(objective), JSON.stringify(updates), BATCH, '{}')
  // What is timed is the step of the last update.
  await network.trainBatch(batch, { lr: 0 })
  return network
}

/** Adds the best times of some runs, in ms, to the best so far, by layer and what is done there. */
async function time(network, best) {
  const now = new Map()
  for (const { op, path, seconds } of JSON.parse(await network.profileStep(REPEATS))) {
    const what = DONE[op]
    if (what === undefined) continue
    const key = `${path} ${what}`
    now.set(key, { path, what, ms: (now.get(key)?.ms ?? 0) + seconds * 1e3 })
  }
  for (const [key, step] of now) best.set(key, { ...step, ms: Math.min(step.ms, best.get(key)?.ms ?? step.ms) })
}

const builder = (parallel) => parallelResnet18WithSqueeze({ classes: CLASSES, stem: 'small', parallel })
const [one, many] = [await open(builder(1)), await open(builder(K))]
const times = [new Map(), new Map()]
for (let round = 0; round < ROUNDS; round++) {
  await time(one, times[0])
  await time(many, times[1])
}

/** The steps of both networks that do one of some things, added up. */
function sum(...what) {
  const ms = times.map((best) => [...best.values()].filter((step) => what.includes(step.what)))
  return ms.map((steps) => steps.reduce((total, step) => total + step.ms, 0))
}

/** The times of two networks, and how they stand to K. */
function cells([one, many]) {
  const ratio = many / one / K
  return [one.toFixed(3), many.toFixed(3), `${ratio.toFixed(2)}${ratio > AIM ? ' !' : '  '}`]
}

const of = (path, what) => times.map((best) => best.get(`${path} ${what}`).ms)
const plus = (a, b) => a.map((ms, i) => ms + b[i])
const layers = [...times[0].values()].filter(({ what }) => what === 'forward').map(({ path }) => path)
const rows = layers.map((path) => [path, of(path, 'forward'), of(path, 'backward')])
const ratio = `/ ${K}  `
const report = new Report('bench:bases')
report.say(`parallelResnet18WithSqueeze, ${SIDE}×${SIDE}, batch ${BATCH}, ${one.isa}, one core`)
report.say(
  `Times in ms with K = 1 and K = ${K}, best of ${ROUNDS * REPEATS}, and their ratio / ${K}; ! is above ${AIM}`,
)
report.say()
report.table(
  ['binary convolution', ...['forward', 'backward', 'together'].flatMap((title) => [title, `K = ${K}`, ratio])],
  [...rows, ['all', sum('forward'), sum('backward')]].map(([name, forward, backward]) => {
    return [name, ...cells(forward), ...cells(backward), ...cells(plus(forward, backward))]
  }),
)
report.say()
report.table(
  ['packing', 'K = 1', `K = ${K}`, ratio],
  [
    ['codes of activations', ...cells(sum('codes'))],
    ['signs and α of weights', ...cells(sum('weights'))],
  ],
)
report.end()
const [whole, several] = sum('forward', 'backward')
if (several / whole / K > AIM) process.exitCode = 1
