import { checkOneOf, checkOptions } from '../arguments.js'
import { batchNorm2d, binaryConv2d, block, pooledShortcut, relu, scaledSign, sign } from '../layers/index.js'
import type { SignResNetOptions } from './bi-real-resnet.js'
import { ONE_MAP, RESNET_18, RESNET_OPTIONS, type ResNet, type ResNetBlock, resnet } from './resnet.js'

/** For each binary convolution: norm, sign, conv, ReLU; one shortcut around both. */
const xnorBlock =
  (padValue: 0 | 1): ResNetBlock =>
  (inPlanes, planes, stride, lastNorm) => {
    const binary = {
      ...{ kernel: 3, padding: 1, padValue },
      input: sign('clip'),
      weight: scaledSign({ scale: 'channel', gradient: 'xnor' }),
    } as const
    return block(
      {
        bn1: batchNorm2d(inPlanes),
        conv1: binaryConv2d(inPlanes, planes, { ...binary, stride }),
        bn2: batchNorm2d(planes, lastNorm),
        conv2: binaryConv2d(planes, planes, binary),
        downsample: pooledShortcut(inPlanes, planes, stride),
      },
      ({ bn1, conv1, bn2, conv2, downsample }, x) => x.pipe(bn1, conv1, relu, bn2, conv2, relu).add(downsample(x)),
    )
  }

/** XNOR-Net's ResNet-18 (Rastegari et al. 2016): norms stand in front of the signs. */
export function xnorResnet18(options: SignResNetOptions = {}): ResNet {
  checkOptions('xnorResnet18', options, [...RESNET_OPTIONS, 'padValue'])
  const { padValue = 0, ...rest } = options
  checkOneOf('xnorResnet18', 'padValue', padValue, [0, 1])
  return resnet({ ...rest, ...ONE_MAP, block: xnorBlock(padValue), layers: RESNET_18, head: 'fc' })
}
