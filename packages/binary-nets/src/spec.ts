// The graph that is traced here and run by the Rust core, which reads it as JSON.
import { BinaryNetsError } from './errors.js'

/** Which output of which node: `[node, output]`. */
export type ValueRef = readonly [node: number, output: number]

/** Extents of a window, a stride, …: `[height, width]`. */
export type Extents = readonly [height: number, width: number]

/** Where the taps of a convolution or pool lie. */
export interface WindowSpec {
  readonly kernel: Extents
  readonly stride: Extents
  readonly padding: Extents
  readonly dilation: Extents
}

/** What the elements of a value mean. */
export type MeaningSpec =
  | 'f32'
  | { readonly int: { readonly min: number; readonly max: number } }
  | { readonly index: { readonly classes: number } }

/** How a state tensor starts. */
export type InitSpec =
  | 'kaiming_normal'
  | { readonly constant: number }
  | { readonly uniform: { readonly low: number; readonly high: number } }

/** What a state tensor is for: a latent is the float shadow of a binary weight. */
export type StateKind = 'parameter' | 'latent' | 'statistic'

/** A tensor that outlives the step. */
export interface StateSpec {
  readonly path: string
  readonly shape: readonly number[]
  readonly kind: StateKind
  readonly init: InitSpec
}

/** A gradient of one's own: a graph from `x` and the gradient `g` that arrives to `dx`. */
export interface CustomGradient {
  readonly custom: GraphSpec
}

/** The pseudo-gradient of a binarised activation. */
export type Surrogate = 'identity' | 'clip' | 'approx' | { readonly swish: { readonly beta: number } } | CustomGradient

/** Which weights share one scale α. */
export type WeightScale = 'none' | 'tensor' | 'group' | 'channel'

/** How gradients pass the sign of a weight. */
export type WeightGradient = 'identity' | 'clip' | 'magnitude' | 'xnor' | CustomGradient

type Empty = Readonly<Record<string, never>>

interface Attributes {
  input: { name: string; shape: readonly number[]; meaning: MeaningSpec }
  scalar: { name: string }
  state: StateSpec
  fill: { value: number; shape: readonly number[] }
  constant: { values: readonly number[]; shape: readonly number[] }
  normalize_image: { mean: readonly number[]; std: readonly number[] }
  conv2d: { window: WindowSpec; groups: number }
  sign: { gradient: Surrogate; groups: number }
  step: { gradient: Surrogate; groups: number }
  binarize_weight: {
    scale: WeightScale
    gradient: WeightGradient
    groups: number
  }
  binary_conv2d: { window: WindowSpec; pad_value: 0 | 1 }
  ternarize_weight: { threshold: number; negative_gradient: 'exact' | 'published' }
  ternary_conv2d: { window: WindowSpec; pad_value: 0 | 1 }
  batch_norm: { eps: number; momentum: number }
  relu: Empty
  prelu: Empty
  max_pool2d: { window: WindowSpec }
  avg_pool2d: { window: WindowSpec; ceil?: true }
  dropout: { p: number; stream: number }
  softmax_cross_entropy: { label_smoothing: number }
  count_correct: { k: number }
  matmul: { transpose_a: boolean; transpose_b: boolean }
  arithmetic: { function: 'add' | 'sub' | 'mul' | 'div' | 'min' | 'max' }
  unary: { function: 'neg' | 'abs' | 'exp' | 'log' | 'sqrt' | 'tanh' | 'power_of_two' }
  clamp: { min: number; max: number }
  compare: {
    comparison: 'less' | 'less_equal' | 'greater' | 'greater_equal' | 'equal'
  }
  select: Empty
  transpose: { permutation: readonly number[] }
  reshape: { dims: readonly number[] }
  slice: { axis: number; start: number; end: number }
  concat: { axis: number }
  repeat: { axis: number; times: number }
  reduce: {
    reduction: 'sum' | 'mean' | 'max'
    axes: readonly number[]
    keep: boolean
  }
  gather: { axis: number }
  one_hot: Empty
  stop_gradient: Empty
}

/** An op: its name as the one key, its attributes as the value. */
export type OpSpec = {
  [Name in keyof Attributes]: {
    readonly [Key in Name]: Readonly<Attributes[Name]>
  }
}[keyof Attributes]

/** One application of an op. */
export interface NodeSpec {
  readonly op: OpSpec
  readonly inputs?: readonly ValueRef[]
  /** The path of the layer. */
  readonly path?: string
}

/** A traced graph. Shapes leave out the batch, which is always the first axis. */
export interface GraphSpec {
  readonly version: 1
  readonly nodes: readonly NodeSpec[]
  readonly outputs: Readonly<Record<string, ValueRef>>
  readonly layers: Readonly<Record<string, ValueRef>>
}

/** The extents of the image that a graph looks at. */
export function imageSize({ nodes }: GraphSpec): { height: number; width: number; channels: number } {
  const [[height, width, channels] = []] = nodes.flatMap(({ op }) => ('input' in op ? [op.input.shape] : []))
  if (height === undefined || width === undefined || channels === undefined) {
    throw new BinaryNetsError('BNETS_FORMAT', 'the network has no image as its input')
  }
  return { height, width, channels }
}

/** The scalars of a graph and of the gradients in it. */
export function scalarsOf(spec: GraphSpec): string[] {
  const gradients = (op: NodeSpec['op']) => {
    if ('sign' in op) return op.sign.gradient
    if ('step' in op) return op.step.gradient
    return 'binarize_weight' in op ? op.binarize_weight.gradient : 'identity'
  }
  return spec.nodes.flatMap(({ op }) => {
    if ('scalar' in op) return op.scalar.name
    const gradient = gradients(op)
    return typeof gradient === 'object' && 'custom' in gradient ? scalarsOf(gradient.custom) : []
  })
}
