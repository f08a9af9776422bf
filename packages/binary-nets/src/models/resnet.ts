import { checkBoolean, checkInteger, checkOneOf, checkOptions } from '../arguments.js'
import {
  batchNorm2d,
  binaryConv2d,
  block,
  conv2d,
  globalAvgPool,
  identity,
  linear,
  maxPool2d,
  pooledShortcut,
  relu,
  sequential,
  shortcut,
  sign,
  step,
} from '../layers/index.js'
import type { Layer, Sym } from '../sym.js'
import type { Model } from '../trace.js'

/** What every builder takes. */
export interface ResNetOptions {
  /** Default: 1000. */
  readonly classes?: number
  /** `'imagenet'`: 7×7 convolution, stride 2, and a max-pool. `'small'`: 3×3, stride 1, no pool, for images up to 64 px. Default: `'imagenet'`. */
  readonly stem?: 'imagenet' | 'small'
  /** Planes of the stem and of layer1; each later layer has twice those of the one before. Default: 64. */
  readonly width?: number
  /** The last norm of each block starts at 0, so that the block starts as its shortcut. Default: false. */
  readonly zeroInitResidual?: boolean
}

/** Builds a residual block; `lastNorm` is its last norm's options. */
export type ResNetBlock = (
  inPlanes: number,
  planes: number,
  stride: number,
  lastNorm: { readonly gamma: number },
) => Layer

/** What makes one residual network differ from another. */
export interface ResNetDefinition extends ResNetOptions {
  readonly block: ResNetBlock
  /** Blocks of layer1 to layer4: `[2, 2, 2, 2]` is ResNet-18, `[3, 4, 6, 3]` is 34. */
  readonly layers: readonly [number, number, number, number]
  /** What follows the first norm. Default: `relu`. */
  readonly activation?: Layer
  /** The name of the last layer. Default: `'fc'`, torchvision's. */
  readonly head?: 'fc' | 'classifier'
}

/** What every residual network returns, `[n, classes]` and the pooled `[n, features]`. */
export type ResNetOutputs = { readonly logits: Sym; readonly features: Sym }

const OPTIONS = ['classes', 'stem', 'width', 'zeroInitResidual'] as const

/** A residual network in torchvision's layout (He et al. 2016): `conv1`, `bn1`, `layer1` … `layer4`, and its head. */
export function resnet(definition: ResNetDefinition): Model<ResNetOutputs> {
  checkOptions('resnet', definition, [...OPTIONS, 'block', 'layers', 'activation', 'head'])
  const {
    classes = 1000,
    stem = 'imagenet',
    width = 64,
    zeroInitResidual = false,
    layers,
    activation = relu,
    head = 'fc',
  } = definition
  checkInteger('resnet', 'classes', classes)
  checkInteger('resnet', 'width', width)
  checkOneOf('resnet', 'stem', stem, ['imagenet', 'small'])
  checkOneOf('resnet', 'head', head, ['fc', 'classifier'])
  checkBoolean('resnet', 'zeroInitResidual', zeroInitResidual)
  const lastNorm = { gamma: zeroInitResidual ? 0 : 1 }

  const layer = (inPlanes: number, planes: number, blocks: number, stride: number): Layer => {
    checkInteger('resnet', 'layers', blocks)
    const first = definition.block(inPlanes, planes, stride, lastNorm)
    return sequential(first, ...Array.from({ length: blocks - 1 }, () => definition.block(planes, planes, 1, lastNorm)))
  }
  const [conv, pool]: [(channels: number) => Layer, Layer] =
    stem === 'small'
      ? [(channels) => conv2d(channels, width, { kernel: 3, padding: 1 }), identity]
      : [
          (channels) => conv2d(channels, width, { kernel: 7, stride: 2, padding: 3 }),
          maxPool2d({ kernel: 3, stride: 2, padding: 1 }),
        ]
  const body = {
    bn1: batchNorm2d(width),
    relu: activation,
    maxpool: pool,
    layer1: layer(width, width, layers[0], 1),
    layer2: layer(width, 2 * width, layers[1], 2),
    layer3: layer(2 * width, 4 * width, layers[2], 2),
    layer4: layer(4 * width, 8 * width, layers[3], 2),
    avgpool: globalAvgPool,
  }
  const classify = block({ [head]: linear(8 * width, classes) }, (named, x) => x.pipe(...Object.values(named)))
  return (image, { channels }) =>
    block({ conv1: conv(channels), ...body }, (net, x) => {
      const stem = x.pipe(net.conv1, net.bn1, net.relu, net.maxpool)
      const features = stem.pipe(net.layer1, net.layer2, net.layer3, net.layer4, net.avgpool)
      return { logits: classify(features), features }
    })(image)
}

/** conv, norm, relu, conv, norm, + shortcut, relu. */
const basicBlock: ResNetBlock = (inPlanes, planes, stride, lastNorm) =>
  block(
    {
      conv1: conv2d(inPlanes, planes, { kernel: 3, stride, padding: 1 }),
      bn1: batchNorm2d(planes),
      conv2: conv2d(planes, planes, { kernel: 3, padding: 1 }),
      bn2: batchNorm2d(planes, lastNorm),
      downsample: shortcut(inPlanes, planes, stride),
    },
    ({ conv1, bn1, conv2, bn2, downsample }, x) => relu(x.pipe(conv1, bn1, relu, conv2, bn2).add(downsample(x))),
  )

/** The same with binary convolutions, whose inputs come out of a ReLU: codes 0 and 1. */
const binaryBlock: ResNetBlock = (inPlanes, planes, stride, lastNorm) => {
  const input = step('approx')
  return block(
    {
      conv1: binaryConv2d(inPlanes, planes, {
        kernel: 3,
        stride,
        padding: 1,
        input,
      }),
      bn1: batchNorm2d(planes),
      conv2: binaryConv2d(planes, planes, { kernel: 3, padding: 1, input }),
      bn2: batchNorm2d(planes, lastNorm),
      downsample: shortcut(inPlanes, planes, stride),
    },
    ({ conv1, bn1, conv2, bn2, downsample }, x) => relu(x.pipe(conv1, bn1, relu, conv2, bn2).add(downsample(x))),
  )
}

/** For each binary convolution: sign, conv, norm, + shortcut (Bi-Real Net, Liu et al. 2018). The float sums never pass a ReLU. */
const biRealBlock: ResNetBlock = (inPlanes, planes, stride, lastNorm) => {
  const binary = {
    kernel: 3,
    padding: 1,
    input: sign('approx'),
    scale: 'channel',
    gradient: 'clip',
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

/** The float ResNet-18, with torchvision's parameter names. */
export function resnet18(options: ResNetOptions = {}): Model<ResNetOutputs> {
  checkOptions('resnet18', options, OPTIONS)
  return resnet({ ...options, block: basicBlock, layers: [2, 2, 2, 2] })
}

/** ResNet-18 whose 3×3 convolutions in blocks are binary, with codes 0 and 1; its last layer is `classifier`. */
export function binaryResnet18(options: ResNetOptions = {}): Model<ResNetOutputs> {
  checkOptions('binaryResnet18', options, OPTIONS)
  return resnet({
    ...options,
    block: binaryBlock,
    layers: [2, 2, 2, 2],
    head: 'classifier',
  })
}

/** Bi-Real ResNet-18 (Liu et al. 2018): codes −1 and +1, a shortcut around each convolution. No ReLU follows the stem, or all codes would be +1. */
export function biRealResnet18(options: ResNetOptions = {}): Model<ResNetOutputs> {
  checkOptions('biRealResnet18', options, OPTIONS)
  return resnet({
    ...options,
    block: biRealBlock,
    layers: [2, 2, 2, 2],
    activation: identity,
  })
}
