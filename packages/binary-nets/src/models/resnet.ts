import { checkBoolean, checkInteger, checkNumber, checkOneOf, checkOptions, checkString, reject } from '../arguments.js'
import {
  batchNorm1d,
  batchNorm2d,
  block,
  conv2d,
  dropout,
  globalAvgPool,
  identity,
  linear,
  maxPool2d,
  relu,
  sequential,
  shortcut,
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
  /** Hidden sizes between pool and last layer: each a linear layer, norm, ReLU and, with `dropout`, dropout, in one sequence `fc`. Default: none. */
  readonly fcDims?: readonly number[]
  /** The probability with which hidden values are dropped in training. Default: 0. */
  readonly dropout?: number
  /** A file of weights that `Network.create` loads, as far as they fit; see {@link Network.loadWeights}. Nothing is downloaded. */
  readonly pretrained?: string
}

/** The last norm's options. */
export interface LastNorm {
  readonly gamma: number
}

/** Builds the residual block that stands at `index`, from 0, among all blocks of the network. */
export type ResNetBlock<T = Sym> = (
  inPlanes: number,
  planes: number,
  stride: number,
  lastNorm: LastNorm,
  index: number,
) => (x: T) => T

/** What makes one residual network differ from another. Blocks take and give a T: one feature map, or several bases. */
export interface ResNetDefinition<T> extends ResNetOptions {
  readonly block: ResNetBlock<T>
  /** Blocks of layer1 to layer4: `[2, 2, 2, 2]` is ResNet-18, `[3, 4, 6, 3]` is 34. */
  readonly layers: readonly [number, number, number, number]
  /** What the stem does after its convolution. Default: `norm, relu, pool`. */
  readonly order?: (stem: { readonly norm: Layer; readonly relu: Layer; readonly pool: Layer }) => readonly Layer[]
  /** From the stem's feature map to what the first block takes. Default: the map itself, with T a {@link Sym}. */
  readonly enter: (x: Sym) => T
  /** From what the last block gives to the feature map that is pooled. */
  readonly leave: (x: T) => Sym
  /** The name of the last layer: torchvision's `fc`, or `classifier`. */
  readonly head: 'fc' | 'classifier'
}

/** What every residual network returns: `[n, classes]`, and what its last layer sees, `[n, features]`. */
export type ResNetOutputs = { readonly logits: Sym; readonly features: Sym }

export type ResNet = Model<ResNetOutputs>

/** The options that every builder takes. */
export const RESNET_OPTIONS = [
  ...['classes', 'stem', 'width', 'zeroInitResidual', 'fcDims', 'dropout', 'pretrained'],
] as const

export const RESNET_18 = [2, 2, 2, 2] as const
export const RESNET_34 = [3, 4, 6, 3] as const

/** For blocks that take one feature map and give one. */
export const ONE_MAP = { enter: identity, leave: identity } as const

/** A residual network in torchvision's layout (He et al. 2016): `conv1`, `bn1`, `layer1` … `layer4`, and its head. */
export function resnet<T = Sym>(definition: ResNetDefinition<T>): ResNet {
  checkOptions('resnet', definition, [...RESNET_OPTIONS, 'block', 'layers', 'order', 'enter', 'leave', 'head'])
  const {
    classes = 1000,
    stem = 'imagenet',
    width = 64,
    zeroInitResidual = false,
    fcDims = [],
    dropout: p = 0,
    pretrained,
    layers,
    order = ({ norm, relu, pool }) => [norm, relu, pool],
    enter,
    leave,
    head,
  } = definition
  checkInteger('resnet', 'classes', classes)
  checkInteger('resnet', 'width', width)
  checkOneOf('resnet', 'stem', stem, ['imagenet', 'small'])
  checkOneOf('resnet', 'head', head, ['fc', 'classifier'])
  checkBoolean('resnet', 'zeroInitResidual', zeroInitResidual)
  if (!Array.isArray(fcDims)) reject('resnet', 'fcDims', 'a list of sizes', fcDims)
  for (const size of fcDims) checkInteger('resnet', 'fcDims', size)
  if (head === 'fc' && fcDims.length > 0) reject('resnet', 'fcDims', 'empty where the last layer is fc', fcDims)
  checkNumber('resnet', 'dropout', p, { min: 0, max: 1 - Number.EPSILON })
  if (pretrained !== undefined) checkString('resnet', 'pretrained', pretrained)

  const lastNorm = { gamma: zeroInitResidual ? 0 : 1 }
  let blocks = 0
  const stage = (inPlanes: number, planes: number, count: number, stride: number): ((x: T) => T) => {
    checkInteger('resnet', 'layers', count)
    const first = definition.block(inPlanes, planes, stride, lastNorm, blocks++)
    const others = Array.from({ length: count - 1 }, () => definition.block(planes, planes, 1, lastNorm, blocks++))
    return sequential(first, ...others)
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
    relu,
    maxpool: pool,
    layer1: stage(width, width, layers[0], 1),
    layer2: stage(width, 2 * width, layers[1], 2),
    layer3: stage(2 * width, 4 * width, layers[2], 2),
    layer4: stage(4 * width, 8 * width, layers[3], 2),
    avgpool: globalAvgPool,
  }
  const sizes = [8 * width, ...fcDims]
  const hidden = fcDims.flatMap((size, index) => [
    ...[linear(sizes[index] as number, size), batchNorm1d(size), relu],
    ...(p > 0 ? [dropout(p)] : []),
  ])
  const fc = hidden.length === 0 ? identity : block({ fc: sequential(...hidden) }, ({ fc }, x) => fc(x))
  const classify = block({ [head]: linear(sizes.at(-1) as number, classes) }, (named, x) =>
    x.pipe(...Object.values(named)),
  )
  const model: ResNet = (image, { channels }) =>
    block({ conv1: conv(channels), ...body }, (net, x) => {
      const stem = x.pipe(net.conv1, ...order({ norm: net.bn1, relu: net.relu, pool: net.maxpool }))
      const maps = net.layer4(net.layer3(net.layer2(net.layer1(enter(stem)))))
      const features = fc(net.avgpool(leave(maps)))
      return { logits: classify(features), features }
    })(image)
  return pretrained === undefined ? model : Object.assign(model, { pretrained })
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

/** The float ResNet-18, with torchvision's parameter names. */
export function resnet18(options: ResNetOptions = {}): ResNet {
  checkOptions('resnet18', options, RESNET_OPTIONS)
  return resnet({ ...options, ...ONE_MAP, block: basicBlock, layers: RESNET_18, head: 'fc' })
}

/** The float ResNet-34, with torchvision's parameter names. */
export function resnet34(options: ResNetOptions = {}): ResNet {
  checkOptions('resnet34', options, RESNET_OPTIONS)
  return resnet({ ...options, ...ONE_MAP, block: basicBlock, layers: RESNET_34, head: 'fc' })
}
