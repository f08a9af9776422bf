import { checkBoolean, checkInteger, checkOneOf, checkOptions } from '../arguments.js'
import { batchNorm2d, binaryConv2d, block, identity, relu, shortcut, step } from '../layers/index.js'
import { baseScales, fusionGate, repeatBases, sumBases } from './bases.js'
import {
  ONE_MAP,
  RESNET_18,
  RESNET_OPTIONS,
  type ResNet,
  type ResNetBlock,
  type ResNetOptions,
  resnet,
} from './resnet.js'

// ResNet-18 whose 3×3 convolutions in blocks are binary. Their inputs come out of a ReLU, so codes are 0 and 1; each convolution has one α. With K bases the
// body is computed K times, as K groups. The last layer is `classifier`.

/** What the networks of several bases take besides. */
export interface ParallelOptions extends ResNetOptions {
  /** The number K of bases. Default: 1. */
  readonly parallel?: number
  /** A learned scale for each base, λ. Default: true. */
  readonly multiplication?: boolean
}

export interface FusionGateOptions extends ParallelOptions {
  /** The base that a gate keeps a part of: its own, or the last one, as in checkpoints of the original project. Default: `'own'`. */
  readonly gate?: 'own' | 'last'
}

const INPUT = step('approx')

/** conv, norm, relu, conv, norm, + shortcut, relu. */
const binaryBlock: ResNetBlock = (inPlanes, planes, stride, lastNorm) =>
  block(
    {
      conv1: binaryConv2d(inPlanes, planes, { kernel: 3, stride, padding: 1, input: INPUT }),
      bn1: batchNorm2d(planes),
      conv2: binaryConv2d(planes, planes, { kernel: 3, padding: 1, input: INPUT }),
      bn2: batchNorm2d(planes, lastNorm),
      downsample: shortcut(inPlanes, planes, stride),
    },
    ({ conv1, bn1, conv2, bn2, downsample }, x) => relu(x.pipe(conv1, bn1, relu, conv2, bn2).add(downsample(x))),
  )

/** The plain binary ResNet-18. */
export function binaryResnet18(options: ResNetOptions = {}): ResNet {
  checkOptions('binaryResnet18', options, RESNET_OPTIONS)
  return resnet({ ...options, ...ONE_MAP, block: binaryBlock, layers: RESNET_18, head: 'classifier' })
}

/** The block of {@link parallelResnet18WithSqueeze}. All bases read one map, so the first convolution has one input and K·planes outputs. */
const squeezeBlock =
  ({ parallel, multiplication }: Required<Bases>): ResNetBlock =>
  (inPlanes, planes, stride, lastNorm) =>
    block(
      {
        conv1: binaryConv2d(inPlanes, parallel * planes, { kernel: 3, stride, padding: 1, input: INPUT }),
        bn1: batchNorm2d(parallel * planes),
        conv2: binaryConv2d(parallel * planes, parallel * planes, {
          ...{ kernel: 3, padding: 1, groups: parallel, input: INPUT },
        }),
        bn2: batchNorm2d(parallel * planes, lastNorm),
        lambdas: multiplication ? baseScales(parallel, planes) : identity,
        sum: sumBases(parallel),
        downsample: shortcut(inPlanes, planes, stride),
      },
      ({ conv1, bn1, conv2, bn2, lambdas, sum, downsample }, x) =>
        relu(x.pipe(conv1, bn1, relu, conv2, bn2, lambdas, sum).add(downsample(x))),
    )

/** Blocks of K bases that are summed at the end of each block: `Σₖ λₖ·yₖ` + shortcut. */
export function parallelResnet18WithSqueeze(options: ParallelOptions = {}): ResNet {
  const { bases, rest } = split('parallelResnet18WithSqueeze', options, ['parallel', 'multiplication'])
  return resnet({ ...rest, ...ONE_MAP, block: squeezeBlock(bases), layers: RESNET_18, head: 'classifier' })
}

/** The block of bases that stay apart; with a gate, each sees the others. */
const separateBlock =
  ({ parallel, multiplication }: Required<Bases>, gate?: 'own' | 'last'): ResNetBlock =>
  (inPlanes, planes, stride, lastNorm) => {
    const [inAll, all] = [parallel * inPlanes, parallel * planes]
    const binary = { kernel: 3, padding: 1, groups: parallel, input: INPUT } as const
    return block(
      {
        conv1: binaryConv2d(inAll, all, { ...binary, stride }),
        bn1: batchNorm2d(all),
        conv2: binaryConv2d(all, all, binary),
        bn2: batchNorm2d(all, lastNorm),
        lambdas: multiplication ? baseScales(parallel, planes) : identity,
        C_s: gate === undefined ? identity : fusionGate(parallel, planes, gate),
        downsample: shortcut(inAll, all, stride, parallel),
      },
      ({ conv1, bn1, conv2, bn2, lambdas, C_s, downsample }, x) =>
        relu(x.pipe(conv1, bn1, relu, conv2, bn2, lambdas, C_s).add(downsample(x))),
    )
  }

/** K bases that never meet inside the body; their last feature maps are summed. */
export function parallelResnet18NoSqueeze(options: ParallelOptions = {}): ResNet {
  const { bases, rest } = split('parallelResnet18NoSqueeze', options, ['parallel', 'multiplication'])
  return separate({ ...rest, bases, block: separateBlock(bases) })
}

/** K bases, of which each keeps a learned part of its own at the end of a block and takes the rest from the sum of all: `cₖ·zₖ + (1 − cₖ)·Σⱼ zⱼ`. */
export function parallelResnet18WithFusionGate(options: FusionGateOptions = {}): ResNet {
  const { gate = 'own', ...others } = options
  checkOneOf('parallelResnet18WithFusionGate', 'gate', gate, ['own', 'last'])
  const { bases, rest } = split('parallelResnet18WithFusionGate', others, ['parallel', 'multiplication', 'gate'])
  return separate({ ...rest, bases, block: separateBlock(bases, gate) })
}

type Bases = Pick<ParallelOptions, 'parallel' | 'multiplication'>

function separate({
  bases,
  ...rest
}: ResNetOptions & { readonly bases: Required<Bases>; readonly block: ResNetBlock }): ResNet {
  const flow = { enter: repeatBases(bases.parallel), leave: sumBases(bases.parallel) }
  return resnet({ ...rest, ...flow, layers: RESNET_18, head: 'classifier' })
}

/** The options of the bases, and the others. */
function split(owner: string, options: ParallelOptions, own: readonly string[]) {
  checkOptions(owner, options, [...RESNET_OPTIONS, ...own])
  const { parallel = 1, multiplication = true, ...rest } = options
  checkInteger(owner, 'parallel', parallel)
  checkBoolean(owner, 'multiplication', multiplication)
  return { bases: { parallel, multiplication }, rest }
}
