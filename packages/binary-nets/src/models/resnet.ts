import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkString,
  reject,
} from '../arguments.js'
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
  /** The last norm of each block starts at 0: a block without a shortcut inside starts as the shortcut around it. Default: false. */
  readonly zeroInitResidual?: boolean
  /** Hidden sizes between pool and last layer: each a linear layer, norm, ReLU and, with `dropout`, dropout, in one sequence `fc`. Default: none. */
  readonly fcDims?: readonly number[]
  /** The probability with which hidden values are dropped in training. Default: 0. */
  readonly dropout?: number
  /** The name of the last layer. Default: `classifier` behind `fcDims`, else that of the builder's checkpoints. */
  readonly head?: 'fc' | 'classifier'
  /** A file of weights that `Network.create` loads, as far as they fit; see {@link Network.loadWeights}. Nothing is downloaded. */
  readonly pretrained?: string
}

/** What a residual block is built of. */
export interface BlockOptions {
  readonly inPlanes: number
  readonly planes: number
  readonly stride: number
  /** The options of the block's last norm. */
  readonly lastNorm: { readonly gamma: number }
  /** The block's place among all blocks of the network, from 0. */
  readonly index: number
}

/** Builds a residual block, which takes and gives a T: one feature map, or several bases. */
export type ResNetBlock<T = Sym> = (options: BlockOptions) => (x: T) => T

/** The layers of a stem behind its convolution. */
export interface Stem {
  readonly norm: Layer
  readonly relu: Layer
  readonly pool: Layer
}

/** What makes one residual network differ from another. */
export interface ResNetDefinition<T = Sym> extends ResNetOptions {
  /** What messages call the network. Default: `'resnet'`. */
  readonly name?: string
  readonly block: ResNetBlock<T>
  /** Blocks of layer1 to layer4: `[2, 2, 2, 2]` is ResNet-18, `[3, 4, 6, 3]` is 34. */
  readonly layers: readonly [number, number, number, number]
  /** What the stem does behind its convolution. Default: norm, ReLU, pool. */
  readonly order?: (stem: Stem) => readonly Layer[]
  /** From the stem's feature map to what the first block takes, and from what the last one gives to the map that is pooled. Default: the map itself. */
  readonly bases?: { readonly enter: (x: Sym) => T; readonly leave: (x: T) => Sym }
}

/** What every residual network returns: `[n, classes]`, and what its last layer sees, `[n, features]`. */
export type ResNetOutputs = { readonly logits: Sym; readonly features: Sym }

export type ResNet = Model<ResNetOutputs>

/** The options that every builder takes. */
export const RESNET_OPTIONS: readonly string[] = [
  'classes',
  'stem',
  'width',
  'zeroInitResidual',
  'fcDims',
  'dropout',
  'head',
  'pretrained',
]

export const RESNET_18 = [2, 2, 2, 2] as const
export const RESNET_34 = [3, 4, 6, 3] as const

/** A residual network in torchvision's layout (He et al. 2016): `conv1`, `bn1`, `layer1` … `layer4`, and its head, `fc` unless another is named. */
export function resnet(definition: ResNetDefinition): ResNet
/** The same of blocks that take and give something else than one feature map. */
export function resnet<T>(definition: ResNetDefinition<T> & Required<Pick<ResNetDefinition<T>, 'bases'>>): ResNet
export function resnet<T>(definition: ResNetDefinition<T>): ResNet {
  checkDefinition(definition)
  const { classes = 1000, stem = 'imagenet', width = 64, zeroInitResidual = false, pretrained } = definition
  const { block: build, layers, order = normReluPool, bases = ONE_MAP as unknown as Flow<T> } = definition
  let index = 0
  const stage = (inPlanes: number, planes: number, count: number, stride: number): ((x: T) => T) => {
    const lastNorm = { gamma: zeroInitResidual ? 0 : 1 }
    const blocks = Array.from({ length: count }, (_, place) =>
      build(
        place === 0
          ? { inPlanes, planes, stride, lastNorm, index: index++ }
          : { inPlanes: planes, planes, stride: 1, lastNorm, index: index++ },
      ),
    )
    return sequential(...blocks)
  }
  const isSmall = stem === 'small'
  const body = {
    bn1: batchNorm2d(width),
    relu,
    maxpool: isSmall ? identity : maxPool2d({ kernel: 3, stride: 2, padding: 1 }),
    enter: bases.enter,
    layer1: stage(width, width, layers[0], 1),
    layer2: stage(width, 2 * width, layers[1], 2),
    layer3: stage(2 * width, 4 * width, layers[2], 2),
    layer4: stage(4 * width, 8 * width, layers[3], 2),
    leave: bases.leave,
    avgpool: globalAvgPool,
  }
  const head = classifier(8 * width, classes, definition)
  const model: ResNet = (image, { channels }) => {
    const conv1 = isSmall
      ? conv2d(channels, width, { kernel: 3, padding: 1 })
      : conv2d(channels, width, { kernel: 7, stride: 2, padding: 3 })
    const network = block({ conv1, ...body }, (net, x) => {
      const stem = x.pipe(net.conv1, ...order({ norm: net.bn1, relu: net.relu, pool: net.maxpool }))
      const maps = net.layer4(net.layer3(net.layer2(net.layer1(net.enter(stem)))))
      return head(net.avgpool(net.leave(maps)))
    })
    return network(image)
  }
  return pretrained === undefined ? model : Object.assign(model, { pretrained })
}

type Flow<T> = NonNullable<ResNetDefinition<T>['bases']>

const ONE_MAP: Flow<Sym> = { enter: identity, leave: identity }

const normReluPool = ({ norm, relu, pool }: Stem): readonly Layer[] => [norm, relu, pool]

/** From the pooled map to features and logits. */
function classifier(
  planes: number,
  classes: number,
  { fcDims = [], dropout: p = 0, head = fcDims.length > 0 ? 'classifier' : 'fc' }: ResNetOptions,
): (x: Sym) => ResNetOutputs {
  const sizes = [planes, ...fcDims]
  const hidden = fcDims.flatMap((size, place) => {
    const layers = [linear(sizes[place] as number, size), batchNorm1d(size), relu]
    return p > 0 ? [...layers, dropout(p)] : layers
  })
  const last = linear(sizes.at(-1) as number, classes)
  if (hidden.length === 0) {
    return block({ [head]: last }, (layers, features) => ({ logits: (layers[head] as Layer)(features), features }))
  }
  return block({ fc: sequential(...hidden), classifier: last }, ({ fc, classifier }, x) => {
    const features = fc(x)
    return { logits: classifier(features), features }
  })
}

function checkDefinition<T>(definition: ResNetDefinition<T>): void {
  const { name = 'resnet' } = definition
  checkOptions(name, definition, [...RESNET_OPTIONS, 'name', 'block', 'layers', 'order', 'bases'])
  const { classes, stem, width, zeroInitResidual, fcDims = [], dropout, head, pretrained } = definition
  if (classes !== undefined) checkInteger(name, 'classes', classes)
  if (stem !== undefined) checkOneOf(name, 'stem', stem, ['imagenet', 'small'])
  if (width !== undefined) checkInteger(name, 'width', width)
  if (zeroInitResidual !== undefined) checkBoolean(name, 'zeroInitResidual', zeroInitResidual)
  if (!Array.isArray(fcDims)) reject(name, 'fcDims', 'a list of sizes', fcDims)
  for (const size of fcDims) checkInteger(name, 'fcDims', size)
  if (dropout !== undefined) checkNumber(name, 'dropout', dropout, { min: 0, max: 1 - Number.EPSILON })
  if (dropout && fcDims.length === 0) reject(name, 'dropout', '0 where there are no fcDims', dropout)
  if (head !== undefined) checkOneOf(name, 'head', head, ['fc', 'classifier'])
  if (head === 'fc' && fcDims.length > 0) reject(name, 'head', "'classifier' where fcDims are the fc", head)
  if (pretrained !== undefined) checkString(name, 'pretrained', pretrained)
  const { block, layers, order, bases } = definition
  checkFunction(name, 'block', block)
  if (!Array.isArray(layers) || layers.length !== 4) reject(name, 'layers', 'four numbers of blocks', layers)
  for (const count of layers) checkInteger(name, 'layers', count)
  if (order !== undefined) checkFunction(name, 'order', order)
  if (bases !== undefined) {
    checkFunction(name, 'bases: enter', bases.enter)
    checkFunction(name, 'bases: leave', bases.leave)
  }
}

/** conv, norm, relu, conv, norm, + shortcut, relu. */
const basicBlock: ResNetBlock = ({ inPlanes, planes, stride, lastNorm }) =>
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
  return resnet({ ...options, name: 'resnet18', block: basicBlock, layers: RESNET_18 })
}

/** The float ResNet-34, with torchvision's parameter names. */
export function resnet34(options: ResNetOptions = {}): ResNet {
  checkOptions('resnet34', options, RESNET_OPTIONS)
  return resnet({ ...options, name: 'resnet34', block: basicBlock, layers: RESNET_34 })
}
