// A network of one's own: a small VGG with binary convolutions and a binary linear layer, on handwritten digits.
// node build/examples/vgg.js --images 60000 --epochs 3
import { parseArgs } from 'node:util'
import {
  adam,
  batchNorm1d,
  batchNorm2d,
  binaryConv2d,
  binaryLinear,
  block,
  conv2d,
  cosine,
  fit,
  flatten,
  image,
  isBinary,
  type Layer,
  linear,
  maxPool2d,
  mnist,
  Network,
  progress,
  rest,
  scaledSign,
  sequential,
  sign,
} from 'binary-nets'

const { values } = parseArgs({
  options: { images: { type: 'string', default: '60000' }, epochs: { type: 'string', default: '2' } },
})
const { train, test } = await mnist()

/** A binary convolution between norms; every second one is followed by a pool. */
const convolution = (inPlanes: number, planes: number): Layer =>
  sequential(
    binaryConv2d(inPlanes, planes, {
      ...{ kernel: 3, padding: 1, padValue: 1 },
      input: sign('approx'),
      weight: scaledSign({ scale: 'channel' }),
    }),
    batchNorm2d(planes),
  )
const pool = maxPool2d({ kernel: 2 })

// 28×28 pixels, then 14×14, then 7×7.
const features = sequential(
  conv2d(1, 32, { kernel: 3, padding: 1 }),
  ...[batchNorm2d(32), convolution(32, 32), pool],
  ...[convolution(32, 64), convolution(64, 64), pool],
  ...[convolution(64, 64), flatten],
)
const classifier = sequential(
  binaryLinear(7 * 7 * 64, 128, { input: sign('approx'), weight: scaledSign({ scale: 'channel' }) }),
  ...[batchNorm1d(128), linear(128, 10)],
)
const model = block({ features, classifier }, ({ features, classifier }, pixels) => ({
  logits: pixels.pipe(features, classifier),
}))

await using net = await Network.create(model, {
  input: image({ height: 28, width: 28, channels: 1, normalize: { mean: [0.1307], std: [0.3081] } }),
  seed: 1,
})
console.log(`${net.summary()}\n`)

// Latent weights stay within ±1, where their gradients pass; the others decay.
const lr = cosine(5e-3)
await fit(net, {
  train: train.take(Number(values.images)),
  epochs: Number(values.epochs),
  optimizer: [
    [isBinary, adam({ lr, clamp: 1 })],
    [rest, adam({ lr, weightDecay: 1e-5 })],
  ],
  onStep: progress(),
}).done

const { top1, samples } = await net.evaluate(test)
console.log(`\n${(100 * top1).toFixed(2)} % of ${samples} test digits are right.`)
