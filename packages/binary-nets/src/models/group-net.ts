import { checkBoolean, checkInteger, checkOneOf, checkOptions } from '../arguments.js'
import { BinaryNetsError } from '../errors.js'
import { batchNorm2d, binaryConv2d, block, pooledShortcut, relu, sequential, sign } from '../layers/index.js'
import type { Layer, Sym } from '../sym.js'
import { layer, type Own } from '../trace.js'
import {
  type BlockOptions,
  RESNET_18,
  RESNET_34,
  RESNET_OPTIONS,
  type ResNet,
  type ResNetBlock,
  resnet,
} from './resnet.js'
import type { SignResNetOptions } from './sign-resnet.js'

export interface GroupNetOptions extends SignResNetOptions {
  /** The number K of bases. Default: 1. */
  readonly parallel?: number
  /** The way around a block: a binary 1×1 convolution, or an average pool and a float one ("Group-Net**"). Default: `'binary'`. */
  readonly downsample?: 'binary' | 'float'
  /** Whether each base's input is a learned mix of its own last output and the merged one, by a gate for each block, or for each base. Default: true. */
  readonly gate?: boolean | 'per-base'
  /** Bases are merged by their mean, or by a sum with learned scales (`lambdas`; those of the first convolutions, in spans of a layer, `lambdas1`). Default: `'mean'`. */
  readonly merge?: 'mean' | 'scaled'
  /** How far a base goes alone: one block, two, the network; or bases meet after each convolution. Default: `'block'`. */
  readonly span?: 'block' | 'two-blocks' | 'network' | 'layer'
}

/** What blocks hand on: the map of each base and, where a span ends, the merged one. */
interface Bases {
  readonly bases: readonly Sym[]
  readonly merged?: Sym
}

const ZERO_TO_ONE = { uniform: { low: 0, high: 1 } } as const

const INPUT = sign('approx')

const OPTIONS = ['parallel', 'downsample', 'gate', 'merge', 'span', 'padValue']

/** Group-Net's ResNet-18 (Zhuang et al. 2019): each block is a group of K binary bases, each with convolutions and norms of its own. */
export function groupNetResnet18(options: GroupNetOptions = {}): ResNet {
  return groupNet('groupNetResnet18', RESNET_18, options)
}

/** Group-Net's ResNet-34. */
export function groupNetResnet34(options: GroupNetOptions = {}): ResNet {
  return groupNet('groupNetResnet34', RESNET_34, options)
}

function groupNet(name: string, layers: typeof RESNET_18 | typeof RESNET_34, options: GroupNetOptions): ResNet {
  checkOptions(name, options, [...RESNET_OPTIONS, ...OPTIONS])
  const {
    parallel = 1,
    downsample = 'binary',
    gate = true,
    merge = 'mean',
    span = 'block',
    padValue = 1,
    ...rest
  } = options
  checkInteger(name, 'parallel', parallel)
  checkOneOf(name, 'downsample', downsample, ['binary', 'float'])
  if (gate !== 'per-base') checkBoolean(name, 'gate', gate)
  checkOneOf(name, 'merge', merge, ['mean', 'scaled'])
  checkOneOf(name, 'span', span, ['block', 'two-blocks', 'network', 'layer'])
  checkOneOf(name, 'padValue', padValue, [0, 1])
  const blocks = layers.reduce((sum, count) => sum + count, 0)
  return resnet<Bases>({
    ...rest,
    name,
    block: groupBlock({ parallel, downsample, gate, merge, span, padValue, blocks }),
    layers,
    order: ({ norm, pool }) => [pool, norm],
    bases: { enter: (x) => ({ bases: Array<Sym>(parallel).fill(x), merged: x }), leave: mergedOf },
  })
}

interface Definition {
  readonly parallel: number
  readonly downsample: 'binary' | 'float'
  readonly gate: boolean | 'per-base'
  readonly merge: 'mean' | 'scaled'
  readonly span: 'block' | 'two-blocks' | 'network' | 'layer'
  readonly padValue: 0 | 1
  /** Blocks of the whole network. */
  readonly blocks: number
}

/**
 * For each base: sign, conv, relu, norm, + shortcut, twice. At the ends of a span the bases are merged; at its begin each takes a gated mix of its own map and the
 * merged one. With spans of a layer they are merged behind either convolution.
 */
const groupBlock =
  (definition: Definition): ResNetBlock<Bases> =>
  ({ inPlanes, planes, stride, lastNorm, index }) => {
    const { parallel, span, blocks } = definition
    const length = { block: 1, layer: 1, 'two-blocks': 2, network: blocks }[span]
    const begins = index > 0 && index % length === 0
    const ends = index % length === length - 1 || index === blocks - 1
    const layers = {
      bases: Array.from({ length: parallel }, () => base(inPlanes, planes, stride, lastNorm, definition.padValue)),
      downsample: groupShortcut(inPlanes, planes, stride, definition),
      gate: mix(definition),
      lambdas: merge(definition),
      lambdas1: merge(definition),
    }
    return block(layers, ({ bases, downsample, gate, lambdas, lambdas1 }, x: Bases): Bases => {
      const inputs = begins ? gate(x) : x.bases
      const h = bases.map(({ conv1, bn1 }, k) => {
        const input = inputs[k] as Sym
        return input.pipe(conv1, relu, bn1).add(downsample(input))
      })
      const middle = span === 'layer' ? h.fill(lambdas1(h)) : h
      const y = bases.map(({ conv2, bn2 }, k) => {
        const input = middle[k] as Sym
        return input.pipe(conv2, relu, bn2).add(input)
      })
      return ends ? { bases: y, merged: lambdas(y) } : { bases: y }
    })
  }

/** The layers of one base: twice sign, conv, relu, norm. */
function base(inPlanes: number, planes: number, stride: number, lastNorm: BlockOptions['lastNorm'], padValue: 0 | 1) {
  const binary = { kernel: 3, padding: 1, padValue, input: INPUT } as const
  return {
    conv1: binaryConv2d(inPlanes, planes, { ...binary, stride }),
    bn1: batchNorm2d(planes),
    conv2: binaryConv2d(planes, planes, binary),
    bn2: batchNorm2d(planes, lastNorm),
  }
}

/** The way around the first convolution, which the bases share. */
function groupShortcut(inPlanes: number, planes: number, stride: number, { downsample }: Definition): Layer {
  if (downsample === 'float' || (stride === 1 && inPlanes === planes)) return pooledShortcut(inPlanes, planes, stride)
  return sequential(binaryConv2d(inPlanes, planes, { kernel: 1, stride, input: INPUT }), batchNorm2d(planes))
}

/** The bases' inputs at the begin of a span: `σ(θ)·y_k + (1 − σ(θ))·m`, or m alone where there is no gate. Keeps θ under its own path, `[1]` or `[K]`. */
function mix({ parallel, gate, span }: Definition): (x: Bases) => readonly Sym[] {
  return layer((x: Bases, own: Own) => {
    const m = mergedOf(x)
    if (gate === false || span === 'layer') return x.bases.map(() => m)
    const open = own('', [gate === 'per-base' ? parallel : 1], ZERO_TO_ONE).sigmoid()
    const shut = open.neg().add(1)
    return x.bases.map((y, k) => {
      const of = (part: Sym) => (gate === 'per-base' ? part.slice(0, k, k + 1) : part)
      return y.mul(of(open)).add(m.mul(of(shut)))
    })
  })
}

/** The mean of the bases, or `Σₖ λₖ·yₖ`; keeps λ as `0` … `K−1`, each `[1]`. */
function merge({ merge, parallel }: Definition): (y: readonly Sym[]) => Sym {
  return layer((y: readonly Sym[], own: Own) => {
    const sum = (terms: readonly Sym[]) => terms.reduce((total, term) => total.add(term))
    if (merge === 'scaled') return sum(y.map((value, k) => value.mul(own(String(k), [1], ZERO_TO_ONE))))
    return parallel === 1 ? sum(y) : sum(y).mul(1 / parallel)
  })
}

function mergedOf({ merged }: Bases): Sym {
  if (merged === undefined) throw new BinaryNetsError('BNETS_INTERNAL', 'a span without an end')
  return merged
}
