// One line of JSON: the training step and the evaluation of the digit example's network, as it is trained there, on a given number of threads, in a process of its own
// so that its peak memory is theirs. `node bench/step.mjs 2`
import { adam, biRealResnet18, fit, image, mnist, Network } from 'binary-nets'
import { peakMiB } from './peak-memory.mjs'

const STEPS = 60
const BATCH = 256

const threads = Number(process.argv[2] ?? 1)
const { train, test } = await mnist()
const net = await Network.create(biRealResnet18({ classes: 10, width: 32 }), {
  input: image({ height: 28, width: 28, channels: 1, normalize: { mean: [0.1307], std: [0.3081] } }),
  seed: 1,
  threads,
})

const steps = []
let last = performance.now()
const onStep = () => {
  const now = performance.now()
  steps.push(now - last)
  last = now
}
await fit(net, {
  train: train.take(STEPS * BATCH),
  epochs: 1,
  batchSize: BATCH,
  optimizer: adam({ lr: 1e-3 }),
  gradients: 'fixed',
  onStep,
}).done
const step = Math.min(...steps)

const evaluations = []
for (let run = 0; run < 3; run++) {
  const start = performance.now()
  await net.evaluate(test.take(4096))
  evaluations.push(performance.now() - start)
}

const singles = []
const digit = test.at(0)
for (let run = 0; run < 300; run++) {
  const start = performance.now()
  await net.predict(digit)
  singles.push(performance.now() - start)
}

console.log(
  JSON.stringify({
    threads,
    isa: net.device.isa,
    batch: BATCH,
    stepMs: step,
    trainImagesPerSecond: (BATCH / step) * 1e3,
    evaluateImagesPerSecond: (4096 / Math.min(...evaluations)) * 1e3,
    predictMs: Math.min(...singles),
    peakMiB: peakMiB(),
  }),
)
