// The networks of `npm run bench:training`, by name: how each is built, what it looks at, the size of a batch, and the classes.
import {
  batchNorm2d,
  binaryConv2d,
  binaryResnet18,
  block,
  conv2d,
  flatten,
  groupNetResnet18,
  linear,
  maxPool2d,
  scaledSign,
  sequential,
  sign,
} from 'binary-nets'

/** A float convolution, two binary ones, each with a pool and a norm behind it, and a linear layer. */
function digits({ classes }) {
  const binary = (planes) => [
    binaryConv2d(planes, 64, {
      kernel: 3,
      padding: 1,
      input: sign('approx'),
      weight: scaledSign({ scale: 'channel' }),
    }),
    maxPool2d({ kernel: 2 }),
    batchNorm2d(64),
  ]
  const features = sequential(conv2d(1, 32, { kernel: 3, padding: 1 }), batchNorm2d(32), ...binary(32), ...binary(64))
  const classifier = linear(7 * 7 * 64, classes)
  return block({ features, classifier }, ({ features, classifier }, image) => ({
    logits: image.pipe(features, flatten, classifier),
  }))
}

const small = { size: 32, channels: 3, batch: 128, classes: 10 }

export const networks = {
  small: {
    ...small,
    name: 'binaryResnet18, small stem, 32×32, batch 128',
    build: (options) => binaryResnet18({ ...options, stem: 'small' }),
  },
  imagenet: {
    ...{ size: 224, channels: 3, batch: 8, classes: 1000 },
    name: 'binaryResnet18, 224×224, batch 8',
    build: binaryResnet18,
  },
  digits: {
    ...{ size: 28, channels: 1, batch: 128, classes: 10 },
    name: 'two binary convolutions, 28×28, batch 128',
    build: digits,
  },
  bases: {
    ...small,
    name: 'groupNetResnet18, K = 4, 32×32, batch 128',
    build: (options) => groupNetResnet18({ ...options, stem: 'small', parallel: 4 }),
  },
}
