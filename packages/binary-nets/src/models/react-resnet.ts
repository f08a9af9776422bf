import { checkOneOf, checkOptions } from '../arguments.js'
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
import type { SignResNetOptions } from './bi-real-resnet.js'
import { ONE_MAP, RESNET_18, RESNET_OPTIONS, type ResNet, type ResNetBlock, resnet } from './resnet.js'

/** For each binary convolution: sign with a learned threshold, conv, norm, + shortcut, PReLU with learned shifts. */
const reactBlock =
  (padValue: 0 | 1): ResNetBlock =>
  (inPlanes, planes, stride, lastNorm) => {
    const binary = {
      ...{ kernel: 3, padding: 1, padValue },
      // `rsign1` and `rsign2` make the codes.
      input: identity,
      weight: scaledSign({ scale: 'channel', gradient: 'clip' }),
    } as const
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
  checkOptions('reactNetResnet18', options, [...RESNET_OPTIONS, 'padValue'])
  const { padValue = 0, ...rest } = options
  checkOneOf('reactNetResnet18', 'padValue', padValue, [0, 1])
  return resnet({
    ...{ ...rest, ...ONE_MAP },
    block: reactBlock(padValue),
    layers: RESNET_18,
    order: ({ norm, pool }) => [norm, pool],
    head: 'fc',
  })
}
