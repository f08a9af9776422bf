import { checkOneOf, checkOptions } from '../arguments.js'
import { batchNorm2d, binaryConv2d, block, pooledShortcut, scaledSign, sign } from '../layers/index.js'
import {
  ONE_MAP,
  RESNET_18,
  RESNET_OPTIONS,
  type ResNet,
  type ResNetBlock,
  type ResNetOptions,
  resnet,
} from './resnet.js'

/** What the networks with codes −1 and +1 take besides. */
export interface SignResNetOptions extends ResNetOptions {
  /** The number that stands outside the image in binary convolutions. */
  readonly padValue?: 0 | 1
}

/** For each binary convolution: sign, conv, norm, + shortcut. The float sums never pass a ReLU. */
const biRealBlock =
  (padValue: 0 | 1): ResNetBlock =>
  (inPlanes, planes, stride, lastNorm) => {
    const binary = {
      ...{ kernel: 3, padding: 1, padValue },
      input: sign('approx'),
      weight: scaledSign({ scale: 'channel', gradient: 'clip' }),
    } as const
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

/** Bi-Real ResNet-18 (Liu et al. 2018): codes −1 and +1, a shortcut around each convolution. No ReLU follows the stem, or all codes would be +1. */
export function biRealResnet18(options: SignResNetOptions = {}): ResNet {
  checkOptions('biRealResnet18', options, [...RESNET_OPTIONS, 'padValue'])
  const { padValue = 0, ...rest } = options
  checkOneOf('biRealResnet18', 'padValue', padValue, [0, 1])
  return resnet({
    ...{ ...rest, ...ONE_MAP },
    block: biRealBlock(padValue),
    layers: RESNET_18,
    order: ({ norm, pool }) => [norm, pool],
    head: 'fc',
  })
}
