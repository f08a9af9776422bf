// Prints the graphs of the networks in make_training_run.py and of their loss, as the compiled package traces them:
// npx tsc --build && node parity/trace.mjs > parity/specs.json
import {
  batchNorm2d,
  binaryConv2d,
  block,
  conv2d,
  image,
  linear,
  sign,
} from '../packages/binary-nets/dist/layers/index.js'
import { crossEntropy } from '../packages/binary-nets/dist/losses.js'
import { binaryResnet18, biRealResnet18 } from '../packages/binary-nets/dist/models/index.js'
import { trace, traceLoss } from '../packages/binary-nets/dist/trace.js'

const small = { stem: 'small', width: 2, classes: 10 }

/** One binary convolution in ones. */
const onePadding = block(
  {
    conv1: conv2d(2, 5, { kernel: 3, padding: 1 }),
    bn1: batchNorm2d(5),
    conv2: binaryConv2d(5, 7, { kernel: 3, stride: 2, padding: 1, padValue: 1, input: sign('clip') }),
    bn2: batchNorm2d(7),
    fc: linear(7, 10),
  },
  ({ conv1, bn1, conv2, bn2, fc }, x) => {
    const y = x.pipe(conv1, bn1, conv2, bn2)
    return { logits: fc(y.mul(y).mean([1, 2])) }
  },
)

const specs = {
  'binary-resnet18': trace(
    binaryResnet18(small),
    image({ height: 12, width: 16, channels: 1, normalize: { mean: [0.1307], std: [0.3081] } }),
  ),
  'bi-real-resnet18': trace(
    biRealResnet18(small),
    image({ height: 16, width: 16, channels: 3, normalize: { mean: [0.49, 0.48, 0.45], std: [0.25, 0.24, 0.26] } }),
  ),
  'one-padding': trace(
    onePadding,
    image({ height: 9, width: 8, channels: 2, normalize: { mean: [0.5, 0.4], std: [0.3, 0.2] } }),
  ),
  'cross-entropy': traceLoss(crossEntropy(), ['logits'], { classes: 10, labelled: true, targets: 0, teacher: [] }),
}

// One graph a line.
const lines = Object.entries(specs).map(([name, spec]) => `${JSON.stringify(name)}: ${JSON.stringify(spec)}`)
console.log(`{\n${lines.join(',\n')}\n}`)
