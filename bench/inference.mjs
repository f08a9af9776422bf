// `npm run bench:inference`: one image of 224×224, from raw pixels to 1000 logits, on one core: frozen networks against onnxruntime on the float ResNet-18 and,
// where BINARY_NETS_PYTHON names a Python with numpy, onnx, onnxruntime and openvino, against onnxruntime's int8 and OpenVINO's binary network. Each in a process of its
// own, in turn, several rounds, the best of all. `-- --record` also writes bench/record/<date>-bench-inference-<instruction set>.md.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { binaryResnet18, biRealResnet18, fromArrays, groupNetResnet18, image, Network, resnet18 } from 'binary-nets'
import { measured } from './measured.mjs'
import { progress, Report } from './report.mjs'

const ROUNDS = 5
const RUNS = 60

/** Runs of 32 images. */
const BATCHES = 8

const folder = mkdtempSync(join(tmpdir(), 'bnets-bench-'))
const file = (name) => join(folder, name)
const python = process.env.BINARY_NETS_PYTHON
const input = image({
  height: 224,
  width: 224,
  channels: 3,
  normalize: { mean: [0.46, 0.46, 0.46], std: [0.23, 0.23, 0.23] },
})

/** Any images: what ends of 8 bits are measured on has no say in how fast they are. */
const calibration = fromArrays({
  images: Uint8Array.from({ length: 8 * 224 * 224 * 3 }, (_, i) => (i * 2654435761) >>> 24),
  labels: new Uint32Array(8),
  classes: ['any'],
  height: 224,
  width: 224,
  channels: 3,
})

/** Freezes a network of random weights. */
async function frozen(model, options = {}) {
  const net = await Network.create(model, { input, seed: 1 })
  const frozen = await net.freeze(options)
  net.dispose()
  return frozen
}

await (await frozen(resnet18({ classes: 1000 }))).exportOnnx(file('float.onnx'))
for (const [name, model] of [
  ['binary', binaryResnet18({ classes: 1000 })],
  ['bi-real', biRealResnet18({ classes: 1000 })],
  ['group-net', groupNetResnet18({ classes: 1000, parallel: 4 })],
]) {
  await (await frozen(model)).save(file(`${name}.bnn`))
  await (await frozen(model, { ends: 'int8', calibration })).save(file(`${name}-int8.bnn`))
}

const ours = (name, threads, runs = RUNS, images = 1, atATime = 1) => [
  process.execPath,
  'bench/frozen.mjs',
  file(`${name}.bnn`),
  ...[threads, runs, images, atATime].map(String),
]
const contenders = [
  { name: 'biRealResnet18', command: ours('bi-real', 1) },
  { name: 'binaryResnet18', command: ours('binary', 1) },
  { name: 'groupNetResnet18, K = 4', command: ours('group-net', 1) },
  { name: "biRealResnet18, ends: 'int8'", command: ours('bi-real-int8', 1) },
  { name: "binaryResnet18, ends: 'int8'", command: ours('binary-int8', 1) },
  { name: "groupNetResnet18, K = 4, ends: 'int8'", command: ours('group-net-int8', 1) },
  { name: 'biRealResnet18, AVX2', command: ours('bi-real', 1), environment: { BINARY_NETS_ISA: 'avx2' } },
  { name: 'binaryResnet18, AVX2', command: ours('binary', 1), environment: { BINARY_NETS_ISA: 'avx2' } },
  { name: 'biRealResnet18, two threads', command: ours('bi-real', 2), threads: 2 },
  // Both take as long, so that both are as likely to meet a quiet moment.
  { name: 'biRealResnet18, 32 images, each', command: ours('bi-real', 1, BATCHES, 32, 32), images: 32 },
  { name: 'biRealResnet18, one by one, each of 32', command: ours('bi-real', 1, BATCHES, 32, 1), images: 32 },
  {
    name: 'onnxruntime, float',
    command: [process.execPath, 'bench/peers/onnxruntime.mjs', file('float.onnx'), '1', String(RUNS)],
  },
  ...(python === undefined
    ? []
    : [
        {
          name: 'onnxruntime, int8',
          command: [python, 'bench/peers/onnxruntime_int8.py', file('float.onnx'), '1', String(RUNS)],
        },
        { name: 'OpenVINO, binary', command: [python, 'bench/peers/openvino_binary.py', '1', String(RUNS)] },
      ]),
]

const best = new Map()
for (let round = 0; round < ROUNDS; round++) {
  for (const { name, command, threads, environment, images = 1 } of contenders) {
    progress(`${name}, round ${round + 1} of ${ROUNDS}`)
    const { ms, peakMiB } = measured(command, threads, environment)
    const before = best.get(name)
    best.set(name, { ms: Math.min(ms / images, before?.ms ?? Number.POSITIVE_INFINITY), peakMiB })
  }
}
rmSync(folder, { recursive: true })

// No package has Larq's engine: what it took once, where onnxruntime took 34.2 ms for the float network, in proportion.
const larq = (24.4 * best.get('onnxruntime, float').ms) / 34.2
best.set('Larq Compute Engine, scaled', { ms: larq })

const report = new Report('bench:inference')
const peers = [...best.keys()].filter((name) => /^(onnxruntime|OpenVINO|Larq)/.test(name))
const times = (name, peer) => `${(best.get(peer).ms / best.get(name).ms).toFixed(2)} ×`
/** Peers have one thread, and nothing to say to networks that have two. */
const isFair = (name) => (contenders.find((one) => one.name === name)?.threads ?? 1) === 1
report.say(
  `One image of 224×224, one core, the best of ${ROUNDS} rounds of ${RUNS}, or of ${BATCHES} where there are 32 images; how many times faster than a peer`,
)
report.table(
  ['', 'ms', 'peak memory', ...peers],
  [...best].map(([name, { ms, peakMiB }]) => [
    name,
    ms.toFixed(2),
    peakMiB === undefined ? '' : `${peakMiB.toFixed(0)} MiB`,
    ...peers.map((peer) => (peer === name || !isFair(name) ? '' : times(name, peer))),
  ]),
)
report.say(
  '\nLarq Compute Engine did not run: its 24.4 ms, where onnxruntime took 34.2, in proportion, are its row and column.',
)
if (python === undefined) report.say('\nBINARY_NETS_PYTHON names no Python: int8 and OpenVINO are left out.')
report.end()
