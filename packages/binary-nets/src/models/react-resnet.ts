import {
  batchNorm2d,
  binaryConv2d,
  block,
  identity,
  pooledShortcut,
  rprelu,
  rsign,
  scaledSign,
} from '../layers/index.js'
import type { ResNet, ResNetBlock } from './resnet.js'
import { type SignResNetOptions, signResnet18, withoutRelu } from './sign-resnet.js'

const WEIGHT = scaledSign({ scale: 'channel', gradient: 'clip' })

/** For each binary convolution: sign with a learned threshold, conv, norm, + shortcut, PReLU with learned shifts. */
const reactBlock =
  (padValue: 0 | 1): ResNetBlock =>
  ({ inPlanes, planes, stride, lastNorm }) => {
    // `rsign1` and `rsign2` make the codes.
    const binary = { kernel: 3, padding: 1, padValue, input: identity, weight: WEIGHT }
    return block(
      {
        rsign1: rsign(inPlanes),
        conv1: binaryConv2d(inPlanes, planes, { ...binary, stride }),
        bn1: batchNorm2d(planes),
        rprelu1: rprelu(planes),
        rsign2: rsign(planes),
        conv2: binaryConv2d(planes, planes, binary),
        bn2: batchNorm2d(planes, lastNorm),
        rprelu2: rprelu(planes),
        downsample: pooledShortcut(inPlanes, planes, stride),
      },
      ({ rsign1, conv1, bn1, rprelu1, rsign2, conv2, bn2, rprelu2, downsample }, x) => {
        const h = rprelu1(x.pipe(rsign1, conv1, bn1).add(downsample(x)))
        return rprelu2(h.pipe(rsign2, conv2, bn2).add(h))
      },
    )
  }

/** ReActNet's ResNet-18 (Liu et al. 2020): {@link biRealResnet18} with learned thresholds in front of the signs and learned shifts around a PReLU. */
export function reactNetResnet18(options: SignResNetOptions = {}): ResNet {
  return signResnet18('reactNetResnet18', options, reactBlock, withoutRelu)
}
