import { checkBoolean, checkInteger, checkOneOf, checkOptions } from '../arguments.js'
import { batchNorm2d, binaryConv2d, block, identity, relu, shortcut, step } from '../layers/index.js'
import { baseScales, fusionGate, repeatBases, sumBases } from './bases.js'
import { RESNET_18, RESNET_OPTIONS, type ResNet, type ResNetBlock, type ResNetOptions, resnet } from './resnet.js'

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
const binaryBlock: ResNetBlock = ({ inPlanes, planes, stride, lastNorm }) =>
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
  return resnet({ head: 'classifier', ...options, name: 'binaryResnet18', block: binaryBlock, layers: RESNET_18 })
}

/** What a block of several bases is made of besides its planes. */
interface Bases {
  readonly parallel: number
  readonly multiplication: boolean
  /** Undefined for bases that stay apart. */
  readonly gate?: 'own' | 'last'
}

/** As {@link binaryBlock} for each base, then `Σₖ λₖ·yₖ` + shortcut. All bases read one map, so the first convolution has one input and K·planes outputs. */
const squeezeBlock =
  ({ parallel, multiplication }: Bases): ResNetBlock =>
  ({ inPlanes, planes, stride, lastNorm }) => {
    const all = parallel * planes
    return block(
      {
        conv1: binaryConv2d(inPlanes, all, { kernel: 3, stride, padding: 1, input: INPUT }),
        bn1: batchNorm2d(all),
        conv2: binaryConv2d(all, all, { kernel: 3, padding: 1, groups: parallel, input: INPUT }),
        bn2: batchNorm2d(all, lastNorm),
        lambdas: multiplication ? baseScales(parallel, planes) : identity,
        sum: sumBases(parallel),
        downsample: shortcut(inPlanes, planes, stride),
      },
      ({ conv1, bn1, conv2, bn2, lambdas, sum, downsample }, x) =>
        relu(x.pipe(conv1, bn1, relu, conv2, bn2, lambdas, sum).add(downsample(x))),
    )
  }

/** As {@link binaryBlock} for each base on a map of its own, then `λₖ·yₖ`, the gate if there is one, + shortcut. */
const separateBlock =
  ({ parallel, multiplication, gate }: Bases): ResNetBlock =>
  ({ inPlanes, planes, stride, lastNorm }) => {
    const allIn = parallel * inPlanes
    const all = parallel * planes
    return block(
      {
        conv1: binaryConv2d(allIn, all, { kernel: 3, stride, padding: 1, groups: parallel, input: INPUT }),
        bn1: batchNorm2d(all),
        conv2: binaryConv2d(all, all, { kernel: 3, padding: 1, groups: parallel, input: INPUT }),
        bn2: batchNorm2d(all, lastNorm),
        lambdas: multiplication ? baseScales(parallel, planes) : identity,
        C_s: gate === undefined ? identity : fusionGate(parallel, planes, gate),
        downsample: shortcut(allIn, all, stride, parallel),
      },
      ({ conv1, bn1, conv2, bn2, lambdas, C_s, downsample }, x) =>
        relu(x.pipe(conv1, bn1, relu, conv2, bn2, lambdas, C_s).add(downsample(x))),
    )
  }

/** Blocks of K bases that are summed at the end of each block: `Σₖ λₖ·yₖ` + shortcut. */
export function parallelResnet18WithSqueeze(options: ParallelOptions = {}): ResNet {
  return squeezeResnet('parallelResnet18WithSqueeze', options)
}

/** K bases that never meet inside the body; their last feature maps are summed. */
export function parallelResnet18NoSqueeze(options: ParallelOptions = {}): ResNet {
  return separateResnet('parallelResnet18NoSqueeze', options)
}

/** K bases, of which each keeps a learned part of its own at the end of a block and takes the rest from the sum of all: `cₖ·zₖ + (1 − cₖ)·Σⱼ zⱼ`. */
export function parallelResnet18WithFusionGate(options: FusionGateOptions = {}): ResNet {
  return fusionGateResnet('parallelResnet18WithFusionGate', options)
}

/** {@link parallelResnet18WithSqueeze} under a name for messages. */
export function squeezeResnet(name: string, options: ParallelOptions): ResNet {
  const { parallel, multiplication, ...rest } = checkParallel(name, options, [])
  const block = squeezeBlock({ parallel, multiplication })
  return resnet({ head: 'classifier', ...rest, name, block, layers: RESNET_18 })
}

/** {@link parallelResnet18NoSqueeze} under a name for messages. */
export function separateResnet(name: string, options: ParallelOptions, gate?: 'own' | 'last'): ResNet {
  const { parallel, multiplication, ...rest } = checkParallel(name, options, [])
  const block = separateBlock({ parallel, multiplication, ...(gate && { gate }) })
  const bases = { enter: repeatBases(parallel), leave: sumBases(parallel) }
  return resnet({ head: 'classifier', ...rest, name, block, bases, layers: RESNET_18 })
}

/** {@link parallelResnet18WithFusionGate} under a name for messages. */
export function fusionGateResnet(name: string, options: FusionGateOptions): ResNet {
  const { gate = 'own', ...rest } = checkParallel(name, options, ['gate'])
  checkOneOf(name, 'gate', gate, ['own', 'last'])
  return separateResnet(name, rest, gate)
}

function checkParallel<O extends ParallelOptions>(name: string, options: O, own: readonly string[]) {
  checkOptions(name, options, [...RESNET_OPTIONS, 'parallel', 'multiplication', ...own])
  const { parallel = 1, multiplication = true } = options
  checkInteger(name, 'parallel', parallel)
  checkBoolean(name, 'multiplication', multiplication)
  return { ...options, parallel, multiplication }
}
