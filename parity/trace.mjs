// Prints the graphs of the networks in make_training_run.py and of their loss, and of a few more that fusion is tested with, as the compiled package traces them:
// npx tsc --build && node parity/trace.mjs > parity/specs.json
import {
  batchNorm1d,
  batchNorm2d,
  binaryConv2d,
  binaryLinear,
  block,
  conv2d,
  flatten,
  image,
  linear,
  prelu,
  relu,
  sequential,
  sign,
  ternary,
} from '../packages/binary-nets/dist/layers/index.js'
import { crossEntropy } from '../packages/binary-nets/dist/losses.js'
import {
  binaryResnet18,
  biRealResnet18,
  groupNetResnet18,
  parallelResnet18WithFusionGate,
  parallelResnet18WithSqueeze,
  reactNetResnet18,
  xnorResnet18,
} from '../packages/binary-nets/dist/models/index.js'
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

/** Ternary weights, a PReLU in front of a sign, grouped codes, and binary layers behind pixels that were flattened. */
const mixed = block(
  {
    conv1: conv2d(1, 6, { kernel: 3, padding: 1 }),
    bn1: batchNorm2d(6),
    conv2: binaryConv2d(6, 12, { kernel: 3, stride: 2, padding: 1, input: sign('clip'), weight: ternary() }),
    bn2: batchNorm2d(12),
    prelu2: prelu(12),
    conv3: binaryConv2d(12, 6, { kernel: 3, groups: 2, padding: 1, padValue: 1, input: sign('clip') }),
    bn3: batchNorm2d(6),
    flatten,
    fc1: binaryLinear(6 * 16, 70),
    bn4: batchNorm1d(70),
    fc2: binaryLinear(70, 20),
    bn5: batchNorm1d(20),
    head: sequential(relu, linear(20, 10)),
  },
  (n, x) => ({
    logits: x.pipe(
      n.conv1,
      n.bn1,
      n.conv2,
      n.bn2,
      n.prelu2,
      n.conv3,
      n.bn3,
      n.flatten,
      n.fc1,
      n.bn4,
      n.fc2,
      n.bn5,
      n.head,
    ),
  }),
)

const digit = image({ height: 8, width: 8, channels: 1, normalize: { mean: [0.1307], std: [0.3081] } })

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
  'group-net-resnet18': trace(groupNetResnet18({ ...small, parallel: 2 }), digit),
  'squeeze-resnet18': trace(parallelResnet18WithSqueeze({ ...small, parallel: 2 }), digit),
  'fusion-gate-resnet18': trace(parallelResnet18WithFusionGate({ ...small, parallel: 2 }), digit),
  'react-net-resnet18': trace(reactNetResnet18(small), digit),
  'xnor-resnet18': trace(xnorResnet18(small), digit),
  mixed: trace(mixed, digit),
  'cross-entropy': traceLoss(crossEntropy(), ['logits'], { classes: 10, labelled: true, targets: 0, teacher: [] }),
}

// One graph a line.
const lines = Object.entries(specs).map(([name, spec]) => `${JSON.stringify(name)}: ${JSON.stringify(spec)}`)
console.log(`{\n${lines.join(',\n')}\n}`)
