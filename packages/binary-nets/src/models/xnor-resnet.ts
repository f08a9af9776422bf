import { reject } from '../arguments.js'
import { batchNorm2d, binaryConv2d, block, pooledShortcut, relu, scaledSign, sign } from '../layers/index.js'
import type { ResNet, ResNetBlock } from './resnet.js'
import { type SignResNetOptions, signResnet18 } from './sign-resnet.js'

const INPUT = sign('clip')
const WEIGHT = scaledSign({ scale: 'channel', gradient: 'xnor' })

/** For each binary convolution: norm, sign, conv, ReLU; one shortcut around both. */
const xnorBlock =
  (padValue: 0 | 1): ResNetBlock =>
  ({ inPlanes, planes, stride }) => {
    const binary = { kernel: 3, padding: 1, padValue, input: INPUT, weight: WEIGHT }
    return block(
      {
        bn1: batchNorm2d(inPlanes),
        conv1: binaryConv2d(inPlanes, planes, { ...binary, stride }),
        bn2: batchNorm2d(planes),
        conv2: binaryConv2d(planes, planes, binary),
        downsample: pooledShortcut(inPlanes, planes, stride),
      },
      ({ bn1, conv1, bn2, conv2, downsample }, x) => x.pipe(bn1, conv1, relu, bn2, conv2, relu).add(downsample(x)),
    )
  }

/** XNOR-Net's ResNet-18 (Rastegari et al. 2016): norms stand in front of the signs, so no norm can start a block as its shortcut. */
export function xnorResnet18(options: Omit<SignResNetOptions, 'zeroInitResidual'> = {}): ResNet {
  const { zeroInitResidual = false }: SignResNetOptions = options
  if (zeroInitResidual) reject('xnorResnet18', 'zeroInitResidual', 'left out: its norms stand in front of signs', true)
  return signResnet18('xnorResnet18', options, xnorBlock)
}
