// A network of one's own: three layers that are all but the last binary, weights and activations, on handwritten digits.
// node build/examples/mlp.js --images 60000 --epochs 3
import { parseArgs } from 'node:util'
import {
  adam,
  batchNorm1d,
  binaryLinear,
  cosine,
  fit,
  flatten,
  image,
  linear,
  mnist,
  Network,
  progress,
  type Sym,
  scaledSign,
  sequential,
  sign,
} from 'binary-nets'

const { values } = parseArgs({
  options: { images: { type: 'string', default: '60000' }, epochs: { type: 'string', default: '3' } },
})
const { train, test } = await mnist()

const binary = { input: sign('clip'), weight: scaledSign({ scale: 'channel' }) }
const layers = sequential(
  flatten,
  // The first layer sees each pixel as one bit: darker or brighter than the mean.
  ...[binaryLinear(28 * 28, 1024, binary), batchNorm1d(1024)],
  ...[binaryLinear(1024, 1024, binary), batchNorm1d(1024)],
  linear(1024, 10),
)
const model = (pixels: Sym) => ({ logits: layers(pixels) })

await using net = await Network.create(model, {
  input: image({ height: 28, width: 28, channels: 1, normalize: { mean: [0.1307], std: [0.3081] } }),
  seed: 1,
})
console.log(`${net.summary()}\n`)

await fit(net, {
  train: train.take(Number(values.images)),
  epochs: Number(values.epochs),
  optimizer: adam({ lr: cosine(3e-3) }),
  onStep: progress(),
}).done

const { top1, samples } = await net.evaluate(test)
console.log(`\n${(100 * top1).toFixed(2)} % of ${samples} test digits are right.`)
