import { batchNorm2d, binaryConv2d, block, pooledShortcut, scaledSign, sign } from '../layers/index.js'
import type { ResNet, ResNetBlock } from './resnet.js'
import { type SignResNetOptions, signResnet18, withoutRelu } from './sign-resnet.js'

const INPUT = sign('approx')
const WEIGHT = scaledSign({ scale: 'channel', gradient: 'clip' })

/** For each binary convolution: sign, conv, norm, + shortcut. The float sums never pass a ReLU. */
const biRealBlock =
  (padValue: 0 | 1): ResNetBlock =>
  ({ inPlanes, planes, stride, lastNorm }) => {
    const binary = { kernel: 3, padding: 1, padValue, input: INPUT, weight: WEIGHT }
    return block(
      {
        conv1: binaryConv2d(inPlanes, planes, { ...binary, stride }),
        bn1: batchNorm2d(planes),
        conv2: binaryConv2d(planes, planes, binary),
        bn2: batchNorm2d(planes, lastNorm),
        downsample: pooledShortcut(inPlanes, planes, stride),
      },
      ({ conv1, bn1, conv2, bn2, downsample }, x) => {
        const h = x.pipe(conv1, bn1).add(downsample(x))
        return h.pipe(conv2, bn2).add(h)
      },
    )
  }

/** Bi-Real ResNet-18 (Liu et al. 2018): codes −1 and +1, a shortcut around each convolution. No ReLU follows the stem. */
export function biRealResnet18(options: SignResNetOptions = {}): ResNet {
  return signResnet18('biRealResnet18', options, biRealBlock, withoutRelu)
}
