// A short run with one of the two ways to compute gradients, in a process of its own so that its memory is its own:
// `node bench/gradient-run.mjs digits|cifar f32|fixed <seed> <threads> [<folder>]` prints a line of JSON, a point for each epoch. The seed is that of the weights and of the order.
import { adam, binaryResnet18, fit, image, imageFolder, mnist, Network, oneCycle } from 'binary-nets'
import { peakMiB } from './peak-memory.mjs'
import { networks } from './training-networks.mjs'

const [task, gradients, seed, threads, folder] = process.argv.slice(2)

/** So many of a dataset's images, from all over it: a folder lists its classes one after the other. */
function spread(data, count) {
  return data.subset(Array.from({ length: count }, (_, i) => Math.floor((i * data.length) / count)))
}

async function digits() {
  const { train, test } = await mnist()
  return {
    ...{ model: networks.digits.build({ classes: 10 }), train: train.take(5000), test, epochs: 3 },
    input: image({ height: 28, width: 28, channels: 1, normalize: { mean: [0.1307], std: [0.3081] } }),
  }
}

async function cifar() {
  const size = { height: 32, width: 32, channels: 3 }
  const [train, test] = await Promise.all([imageFolder(`${folder}/train`, size), imageFolder(`${folder}/test`, size)])
  return {
    model: binaryResnet18({ classes: 10, stem: 'small', width: 16 }),
    ...{ train: spread(train, 3000), test: spread(test, 2000), epochs: 5 },
    input: image({ ...size, normalize: { mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] } }),
    loader: { augment: { crop: { padding: 4 }, flip: true } },
  }
}

const { model, train, test, epochs, input, loader = {} } = await { digits, cifar }[task]()
const net = await Network.create(model, { input, seed: Number(seed), threads: Number(threads) })
const run = fit(net, {
  ...{ train, validation: test, epochs, loader, seed: Number(seed), gradients },
  optimizer: adam({ lr: oneCycle(5e-3) }),
})
const curve = []
for await (const { train, validation } of run) {
  curve.push({
    loss: train.loss,
    right: train.top1,
    test: validation.top1,
    imagesPerSecond: train.imagesPerSecond,
    peakMiB: peakMiB(),
  })
}
console.log(JSON.stringify({ images: train.length, tested: test.length, curve }))
