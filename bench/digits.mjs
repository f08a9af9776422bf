// `npm run bench:digits [-- <model> …]`: every model, or those named, learns from 10,000 digits for three epochs, at small width. Prints the accuracy on the
// 10,000 test digits, and fails where a model stays below 90 %.
import {
  adam,
  binaryResnet18,
  biRealResnet18,
  crossEntropy,
  fit,
  groupNetResnet18,
  groupNetResnet34,
  image,
  mnist,
  Network,
  oneCycle,
  parallelResnet18NoSqueeze,
  parallelResnet18WithFusionGate,
  parallelResnet18WithSqueeze,
  reactNetResnet18,
  reidBinaryResnet18,
  reidParallelResnet18NoSqueeze,
  reidParallelResnet18WithFusionGate,
  reidParallelResnet18WithFusionGateFc,
  reidParallelResnet18WithSqueeze,
  resnet18,
  resnet34,
  xnorResnet18,
} from 'binary-nets'
import { Report } from './report.mjs'

const IMAGES = 10_000
const EPOCHS = 3
const PEAK = 5e-3
const LEAST = 0.9

// As re-identification is trained where there is no triplet loss.
const people = { loss: crossEntropy({ labelSmoothing: 0.1 }) }
const bases = { parallel: 2 }

const models = [
  [binaryResnet18],
  [parallelResnet18WithSqueeze, bases],
  [parallelResnet18NoSqueeze, bases],
  [parallelResnet18WithFusionGate, bases],
  [reidBinaryResnet18, {}, people],
  [reidParallelResnet18WithSqueeze, bases, people],
  [reidParallelResnet18NoSqueeze, bases, people],
  [reidParallelResnet18WithFusionGate, bases, people],
  [reidParallelResnet18WithFusionGateFc, bases, people],
  [groupNetResnet18, bases],
  [groupNetResnet34],
  [biRealResnet18],
  [reactNetResnet18],
  [xnorResnet18],
  [resnet18],
  [resnet34],
]

const { train, test } = await mnist()
const input = image({ height: 28, width: 28, channels: 1, normalize: { mean: [0.1307], std: [0.3081] } })
const report = new Report('bench:digits')
report.say(`${IMAGES.toLocaleString('en-US')} digits, ${EPOCHS} epochs, width 16, Adam, one cycle to ${PEAK}`)
report.say()

const rows = []
for (const [build, options = {}, run = {}] of report.chosen(models, ([build]) => build.name)) {
  const net = await Network.create(build({ classes: 10, stem: 'small', width: 16, ...options }), { input, seed: 1 })
  const optimizer = adam({ lr: oneCycle(PEAK) })
  const { epochs } = await fit(net, { train: train.take(IMAGES), epochs: EPOCHS, optimizer, ...run }).done
  const { top1 } = await net.evaluate(test)
  const { binaryParameters, floatParameters } = net.summary()
  const seconds = epochs.reduce((sum, { train }) => sum + train.seconds, 0)
  const flipped = epochs.map(({ train }) => (train.flipped === undefined ? '' : `${(100 * train.flipped).toFixed(1)}`))
  rows.push([
    build.name,
    String(options.parallel ?? 1),
    binaryParameters.toLocaleString('en-US'),
    floatParameters.toLocaleString('en-US'),
    `${seconds.toFixed(0)} s`,
    flipped.join(' '),
    `${(100 * top1).toFixed(2)} %`,
  ])
  console.log(rows.at(-1).join('  '))
  if (top1 < LEAST) process.exitCode = 1
  net.dispose()
}
console.log()
report.table(['model', 'K', '1-bit', '32-bit', 'training', 'flipped signs, %', 'test'], rows)
report.end()
