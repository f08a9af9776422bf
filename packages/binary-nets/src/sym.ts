import { checkBoolean, checkFunction, checkInteger, checkNumber, checkOptions, reject } from './arguments.js'
import { BinaryNetsError } from './errors.js'
import type { InitSpec, OpSpec, StateKind, ValueRef } from './spec.js'

/** A function from symbolic value to symbolic value. */
export type Layer = (x: Sym) => Sym

/** A function of any symbolic values, such as a block that takes and gives several bases. */
export type AnyLayer = (x: never) => unknown

/** A tensor that a layer keeps: its shape, how it starts and what it is for. */
export interface StateOptions {
  readonly shape: readonly number[]
  readonly init: InitSpec
  readonly kind: StateKind
}

/** What symbolic values write themselves to while a model is traced. */
export interface Recorder {
  /** Appends a node; gives its outputs. */
  record(op: OpSpec, inputs: readonly Sym[], outputs?: number): Sym[]
  /** The tensor `name` of the layer that is being called; a layer's second call gives the same one. */
  state(owner: AnyLayer, name: string, options: StateOptions): Sym
  /** Calls a child under its key, which its paths begin with. */
  within<T>(key: string, child: unknown, call: () => T): T
  /** How many nodes there are. */
  readonly length: number
}

/** What flows between layers: a value, or several in lists and objects. */
export type Flow = Sym | readonly Flow[] | { readonly [key: string]: Flow }

/** The recorder of a value. */
export let recorderOf: (value: Sym) => Recorder
/** Where a value stands in its graph. */
export let refOf: (value: Sym) => ValueRef

/**
 * A value of the graph that is being traced: a tensor whose numbers are not there yet.
 *
 * Feature maps are `[n, h, w, c]`, vectors `[n, c]`; axes count from 0, the batch, and never from the end. Operands of different
 * shapes stretch to one, axes matched from the last; a number stands for a tensor of it. Shapes are checked by `Network.create`,
 * which names the layer where they do not fit (BNETS_SHAPE).
 */
export class Sym {
  readonly #recorder: Recorder
  readonly #ref: ValueRef

  static {
    recorderOf = (value) => value.#recorder
    refOf = (value) => value.#ref
  }

  constructor(recorder: Recorder, ref: ValueRef) {
    this.#recorder = recorder
    this.#ref = ref
  }

  #one(op: OpSpec, ...others: readonly Operand[]): Sym {
    return one(this.#recorder.record(op, [this, ...others.map((other) => operand(this.#recorder, other))]))
  }

  /** `this + other` */
  add(other: Operand): Sym {
    return this.#one({ arithmetic: { function: 'add' } }, other)
  }

  /** `this − other` */
  sub(other: Operand): Sym {
    return this.#one({ arithmetic: { function: 'sub' } }, other)
  }

  /** `this · other` */
  mul(other: Operand): Sym {
    return this.#one({ arithmetic: { function: 'mul' } }, other)
  }

  /** `this / other` */
  div(other: Operand): Sym {
    return this.#one({ arithmetic: { function: 'div' } }, other)
  }

  /** The smaller of two, element by element. */
  minimum(other: Operand): Sym {
    return this.#one({ arithmetic: { function: 'min' } }, other)
  }

  /** The larger of two, element by element. */
  maximum(other: Operand): Sym {
    return this.#one({ arithmetic: { function: 'max' } }, other)
  }

  /** `−this` */
  neg(): Sym {
    return this.#one({ unary: { function: 'neg' } })
  }

  /** The magnitude; its gradient at 0 is +1, after `sign(0) = +1`. */
  abs(): Sym {
    return this.#one({ unary: { function: 'abs' } })
  }

  exp(): Sym {
    return this.#one({ unary: { function: 'exp' } })
  }

  /** The natural logarithm. */
  log(): Sym {
    return this.#one({ unary: { function: 'log' } })
  }

  sqrt(): Sym {
    return this.#one({ unary: { function: 'sqrt' } })
  }

  /** The hyperbolic tangent. */
  tanh(): Sym {
    return this.#one({ unary: { function: 'tanh' } })
  }

  /** `1/(1 + e⁻ˣ)` */
  sigmoid(): Sym {
    return this.mul(0.5).tanh().mul(0.5).add(0.5)
  }

  /** The power of two that is nearest to this, which is positive, in the logarithm: `2^round(log₂ this)`. No gradient passes. */
  powerOfTwo(): Sym {
    return this.#one({ unary: { function: 'power_of_two' } })
  }

  /** `min(max(this, min), max)`; the gradient is 1 inside and at both ends, 0 outside. */
  clamp(min: number, max: number): Sym {
    return this.#one({
      clamp: {
        min: checkNumber('clamp', 'min', min),
        max: checkNumber('clamp', 'max', max, { min }),
      },
    })
  }

  /** A mask for {@link select}: where `this < other`. */
  less(other: Operand): Sym {
    return this.#one({ compare: { comparison: 'less' } }, other)
  }

  /** A mask for {@link select}: where `this ≤ other`. */
  lessEqual(other: Operand): Sym {
    return this.#one({ compare: { comparison: 'less_equal' } }, other)
  }

  /** A mask for {@link select}: where `this > other`. */
  greater(other: Operand): Sym {
    return this.#one({ compare: { comparison: 'greater' } }, other)
  }

  /** A mask for {@link select}: where `this ≥ other`. */
  greaterEqual(other: Operand): Sym {
    return this.#one({ compare: { comparison: 'greater_equal' } }, other)
  }

  /** A mask for {@link select}: where `this = other`. */
  equal(other: Operand): Sym {
    return this.#one({ compare: { comparison: 'equal' } }, other)
  }

  /** The product of two matrices `[m, k]` and `[k, n]`, either read transposed. */
  matmul(
    other: Sym,
    options: {
      readonly transposeA?: boolean
      readonly transposeB?: boolean
    } = {},
  ): Sym {
    const { transposeA = false, transposeB = false } = options
    return this.#one({ matmul: { transpose_a: transposeA, transpose_b: transposeB } }, other)
  }

  /** Axis `i` of the result is axis `permutation[i]` of this. */
  transpose(permutation: readonly number[]): Sym {
    return this.#one({
      transpose: {
        permutation: checkList('transpose', 'permutation', permutation).map((axis) => checkAxis('transpose', axis)),
      },
    })
  }

  /** The same elements in other extents: 0 keeps the extent of that axis, one −1 takes what is left. */
  reshape(dims: readonly number[]): Sym {
    return this.#one({
      reshape: {
        dims: checkList('reshape', 'dims', dims).map((dim) => checkInteger('reshape', 'dims', dim, { min: -1 })),
      },
    })
  }

  /** `[n, …]` as `[n, features]`. */
  flatten(): Sym {
    return this.reshape([0, -1])
  }

  /** The elements `start` to `end`, without `end`, of an axis. */
  slice(axis: number, start: number, end: number): Sym {
    checkInteger('slice', 'start', start, { min: 0 })
    checkInteger('slice', 'end', end, { min: start + 1 })
    return this.#one({ slice: { axis: checkAxis('slice', axis), start, end } })
  }

  /** The whole tensor several times in a row along an axis: `[a, b]` becomes `[a, b, a, b]`. */
  repeat(axis: number, times: number): Sym {
    return this.#one({
      repeat: {
        axis: checkAxis('repeat', axis),
        times: checkInteger('repeat', 'times', times),
      },
    })
  }

  /** The sum over axes, which vanish unless `keep`. */
  sum(axes: number | readonly number[], options: ReduceOptions = {}): Sym {
    return this.#reduce('sum', axes, options)
  }

  /** The mean over axes, which vanish unless `keep`. */
  mean(axes: number | readonly number[], options: ReduceOptions = {}): Sym {
    return this.#reduce('mean', axes, options)
  }

  /** The largest over axes, which vanish unless `keep`; equal ones share the gradient. */
  max(axes: number | readonly number[], options: ReduceOptions = {}): Sym {
    return this.#reduce('max', axes, options)
  }

  #reduce(reduction: 'sum' | 'mean' | 'max', axes: number | readonly number[], options: ReduceOptions): Sym {
    checkOptions(reduction, options, ['keep'])
    const keep = checkBoolean(reduction, 'keep', options.keep ?? false)
    const list = typeof axes === 'number' ? [axes] : checkList(reduction, 'axes', axes)
    const sorted = list.map((axis) => checkAxis(reduction, axis)).toSorted((a, b) => a - b)
    if (new Set(sorted).size < sorted.length) reject(reduction, 'axes', 'different axes', axes)
    return this.#one({ reduce: { reduction, axes: sorted, keep } })
  }

  /** One element of an axis for each position of the others: for logits `[n, classes]` and a label `[n]`, `gather(1, label)` is `[n]`. */
  gather(axis: number, index: Sym): Sym {
    return this.#one({ gather: { axis: checkAxis('gather', axis) } }, index)
  }

  /** A label `[n]` as `[n, classes]`: 1 at its class, 0 elsewhere. */
  oneHot(): Sym {
    return this.#one({ one_hot: {} })
  }

  /** The same value, through which no gradient passes. */
  stopGradient(): Sym {
    return this.#one({ stop_gradient: {} })
  }

  /** The layers applied one after the other. */
  pipe(...layers: readonly Layer[]): Sym {
    return layers.reduce<Sym>((x, layer, place) => checkFunction('pipe', `layer ${place}`, layer)(x), this)
  }
}

/** A value, or a number that stands for a tensor of it. */
export type Operand = Sym | number

export interface ReduceOptions {
  /** Reduced axes stay, with extent 1. */
  readonly keep?: boolean
}

/** The values of a flow, each with the steps that lead to it: none for a value alone. */
export function* valuesOf(flow: unknown, steps: readonly string[] = []): Generator<readonly [readonly string[], Sym]> {
  if (flow instanceof Sym) yield [steps, flow]
  else if (typeof flow === 'object' && flow !== null) {
    for (const [key, value] of Object.entries(flow)) yield* valuesOf(value, [...steps, key])
  }
}

/** The graph that a flow belongs to. */
export function recorderIn(owner: string, flow: unknown): Recorder {
  for (const [, value] of valuesOf(flow)) return recorderOf(value)
  return reject(owner, 'the input', 'a Sym, or several in a list or an object', flow)
}

function checkList(owner: string, option: string, value: readonly number[]): readonly number[] {
  return Array.isArray(value) ? value : reject(owner, option, 'a list of numbers', value)
}

function checkAxis(owner: string, axis: number): number {
  return checkInteger(owner, 'an axis', axis, { min: 0 })
}

/** `a` where the mask holds, else `b`; both stretch to the mask's shape. */
export function select(mask: Sym, a: Operand, b: Operand): Sym {
  if (!(mask instanceof Sym)) reject('select', 'mask', 'a Sym', mask)
  const recorder = recorderOf(mask)
  return one(recorder.record({ select: {} }, [mask, operand(recorder, a), operand(recorder, b)]))
}

/** A list of numbers `[values.length]`, in the graph that `beside` belongs to. */
export function constants(beside: Sym, values: readonly number[]): Sym {
  if (!(beside instanceof Sym)) reject('constants', 'beside', 'a Sym', beside)
  for (const value of checkList('constants', 'values', values)) checkNumber('constants', 'a value', value)
  if (values.length === 0) reject('constants', 'values', 'one number or more', values)
  return one(recorderOf(beside).record({ constant: { values, shape: [values.length] } }, []))
}

/** Tensors side by side along an axis. */
export function concat(values: readonly Sym[], axis: number): Sym {
  const [first] = values
  if (!(first instanceof Sym)) return reject('concat', 'values', 'one Sym or more', values)
  return one(recorderOf(first).record({ concat: { axis: checkAxis('concat', axis) } }, values))
}

function operand(recorder: Recorder, value: Operand): Sym {
  if (value instanceof Sym) return value
  if (typeof value !== 'number') reject('Sym', 'an operand', 'a Sym or a number', value)
  return one(recorder.record({ fill: { value: checkNumber('Sym', 'a number', value), shape: [] } }, []))
}

/** The only output of a node. */
export function one(outputs: readonly Sym[]): Sym {
  const [value] = outputs
  if (value === undefined) throw new BinaryNetsError('BNETS_INTERNAL', 'a node without outputs was read')
  return value
}
