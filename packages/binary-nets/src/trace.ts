import { BinaryNetsError } from './errors.js'
import type { GraphSpec, MeaningSpec, NodeSpec, OpSpec, StateKind, ValueRef } from './spec.js'
import {
  type AnyLayer,
  type Layer,
  one,
  type Recorder,
  recorderIn,
  recorderOf,
  refOf,
  type StateOptions,
  Sym,
  valuesOf,
} from './sym.js'

/** The named values that a model returns. */
export type Outputs = Readonly<Record<string, Sym>>

/** The image that a model takes; see `image`. */
export interface ImageInput {
  readonly height: number
  readonly width: number
  readonly channels: number
  /** Of pixels scaled to `[0, 1]`, for each channel. */
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

/** A function from the normalised image `[n, height, width, channels]` to named outputs. */
export interface Model<O extends Outputs = Outputs> {
  (image: Sym, input: ImageInput): O
  /** A file whose weights `Network.create` loads, as far as they fit. */
  readonly pretrained?: string
}

/** A parameter or statistic of a layer, as {@link layer} gives it; one without a name has the layer's own path. */
export type Own = (name: string, shape: readonly number[], init: StateOptions['init'], kind?: StateKind) => Sym

/**
 * A layer that keeps tensors: `own('weight', shape, init)` is the tensor `<path>.weight`, where the path is that of the keys under which the
 * layer stands in its blocks. One layer under two paths has two sets of tensors; one that is called twice under one path has one.
 */
export function layer(forward: (x: Sym, own: Own) => Sym): Layer
/** The same for what takes or gives several values. */
export function layer<A, R>(forward: (x: A, own: Own) => R): (x: A) => R
export function layer<A, R>(forward: (x: A, own: Own) => R): (x: A) => R {
  const self = (x: A): R => {
    const recorder = recorderIn('a layer', x)
    return forward(x, (name, shape, init, kind = 'parameter') => recorder.state(self, name, { shape, init, kind }))
  }
  return self
}

/** Runs a model once and records what it does. */
export function trace(model: Model, input: ImageInput): GraphSpec {
  const graph = new Trace()
  const { height, width, channels, mean, std } = input
  const image = graph.within('image', input, () => {
    const pixels = graph.input('image', [height, width, channels], {
      int: { min: 0, max: 255 },
    })
    return one(graph.record({ normalize_image: { mean, std } }, [pixels]))
  })
  return graph.finish('the model', model(image, input))
}

/** The values of a batch that a loss may read. What it does not read need not be there. */
export interface LossBatch {
  /** The class of each sample, `[n]`. */
  readonly label: Sym
  /** The numbers that come with each sample, `[n, targets]`: several labels, or what is to be predicted. */
  readonly target: Sym
  /** What a teacher says of the same images, by the names of its outputs. */
  readonly teacher: Readonly<Record<string, Sym>>
}

/** What is known of the data that a loss will see. */
export interface LossData {
  readonly classes: number
  /** Whether each sample has a label. */
  readonly labelled: boolean
  /** Numbers that come with each sample; 0 for none. */
  readonly targets: number
  /** The names of the teacher's outputs, where there is one. */
  readonly teacher: readonly string[]
}

/**
 * Runs a loss once and records what it does. The values that it takes, a model's outputs and the batch's, become inputs of the graph; the shapes of
 * outputs are those of the model, which puts its own values in their place.
 */
export function traceLoss<O extends string>(
  loss: (outputs: Readonly<Record<O, Sym>>, batch: LossBatch) => Outputs & { readonly loss: Sym },
  outputs: readonly O[],
  { classes, labelled, targets, teacher }: LossData,
): GraphSpec {
  const graph = new Trace()
  const once = (object: object, name: string, make: () => Sym) => {
    let value: Sym | undefined
    // Made when it is read, so that what a loss does not look at is no input of it.
    Object.defineProperty(object, name, {
      enumerable: true,
      get: () => {
        value ??= make()
        return value
      },
    })
  }
  const given = {} as Record<O, Sym>
  for (const name of outputs) once(given, name, () => graph.input(name, [], 'f32'))
  const taught = {} as Record<string, Sym>
  for (const name of teacher) once(taught, name, () => graph.input(`teacher.${name}`, [], 'f32'))
  const batch = {} as { label: Sym; target: Sym; teacher: typeof taught }
  Object.defineProperty(batch, 'teacher', {
    enumerable: true,
    get: () => {
      if (teacher.length > 0) return taught
      throw new BinaryNetsError(
        'BNETS_ARGUMENT',
        'the loss reads what a teacher says, and has none: see distillation(…)',
      )
    },
  })
  once(batch, 'label', () => {
    if (labelled) return graph.input('label', [], { index: { classes } })
    throw new BinaryNetsError(
      'BNETS_ARGUMENT',
      'the loss reads the label of each sample, and the data has only targets',
    )
  })
  once(batch, 'target', () => {
    if (targets > 0) return graph.input('target', [targets], 'f32')
    throw new BinaryNetsError('BNETS_ARGUMENT', 'the loss reads the target of each sample, and the data has none')
  })

  const results = graph.within('loss', loss, () => loss(given, batch))
  const spec = graph.finish('the loss', results)
  if (!('loss' in spec.outputs)) {
    throw new BinaryNetsError(
      'BNETS_SPEC',
      `the loss returns ${Object.keys(spec.outputs).join(', ')}, but nothing named loss`,
    )
  }
  return spec
}

/** A number that a run gives with each step, by name: `'progress'` goes from 0 to 1, others are named in `fit`'s `scalars`. */
export type ScalarOf = (name: string) => Sym

/**
 * The gradient of a code or of a weight's sign, of one's own: from what was binarised, x, and the gradient g of the binary value, of x's shape, to
 * the gradient of x.
 */
export type PseudoGradient = (x: Sym, g: Sym, scalar: ScalarOf) => Sym

/** Runs a gradient once and records what it does. */
export function traceGradient(gradient: PseudoGradient): GraphSpec {
  const graph = new Trace()
  const [x, g] = [graph.input('x', [], 'f32'), graph.input('g', [], 'f32')]
  const scalar = (name: string) => one(graph.record({ scalar: { name } }, []))
  const spec = graph.finish('the gradient', { dx: gradient(x, g, scalar) })
  const state = spec.nodes.find(({ op }) => 'state' in op)
  if (state === undefined) return spec
  throw new BinaryNetsError('BNETS_SPEC', 'a gradient was given a layer that keeps tensors, which it cannot')
}

class Trace implements Recorder {
  readonly #nodes: NodeSpec[] = []
  readonly #layers: Record<string, ValueRef> = {}
  readonly #states = new Map<string, { readonly owner: AnyLayer; readonly options: string; readonly value: Sym }>()
  readonly #children = new Map<string, unknown>()
  #path = ''
  #open = true

  get length(): number {
    return this.#nodes.length
  }

  input(name: string, shape: readonly number[], meaning: MeaningSpec): Sym {
    return one(this.record({ input: { name, shape, meaning } }, []))
  }

  record(op: OpSpec, inputs: readonly Sym[], outputs = 1): Sym[] {
    if (!this.#open) throw new BinaryNetsError('BNETS_SPEC', 'a value was used after its trace had ended')
    const stranger = inputs.find((value) => !(value instanceof Sym) || recorderOf(value) !== this)
    if (stranger !== undefined) {
      const [name] = Object.keys(op)
      const what = stranger instanceof Sym ? 'a value of another trace' : `${typeof stranger} in place of a Sym`
      throw new BinaryNetsError('BNETS_SPEC', `${name} at '${this.#path}' was given ${what}`, { node: this.#path })
    }
    const node = this.#nodes.length
    this.#nodes.push({
      op,
      ...(inputs.length > 0 && { inputs: inputs.map(refOf) }),
      ...(this.#path !== '' && { path: this.#path }),
    })
    return Array.from({ length: outputs }, (_, output) => new Sym(this, [node, output]))
  }

  state(owner: AnyLayer, name: string, { shape, init, kind }: StateOptions): Sym {
    const path = this.#join(name)
    const known = this.#states.get(path)
    const options = JSON.stringify({ shape, init, kind })
    if (known === undefined) {
      const value = one(this.record({ state: { path, shape, kind, init } }, []))
      this.#states.set(path, { owner, options, value })
      return value
    }
    if (known.owner !== owner || known.options !== options) throw this.#duplicate(path)
    return known.value
  }

  within<T>(key: string, child: unknown, call: () => T): T {
    const outer = this.#path
    const path = this.#join(key)
    if ((this.#children.get(path) ?? child) !== child) throw this.#duplicate(path)
    this.#children.set(path, child)
    this.#path = path
    const before = this.#nodes.length
    try {
      const value = call()
      for (const [steps, made] of valuesOf(value)) {
        // What gives back its input unchanged has no value of its own.
        if (recorderOf(made) === this && refOf(made)[0] >= before)
          this.#layers[[path, ...steps].join('.')] = refOf(made)
      }
      return value
    } finally {
      this.#path = outer
    }
  }

  /** Ends the trace. */
  finish(what: string, outputs: Outputs): GraphSpec {
    const values =
      typeof outputs === 'object' && outputs !== null && !(outputs instanceof Sym) ? Object.entries(outputs) : []
    if (values.length === 0) {
      const example = what === 'the loss' ? '{ loss }' : '{ logits }'
      throw new BinaryNetsError('BNETS_SPEC', `${what} should return named values, such as ${example}`)
    }
    for (const [name, value] of values) {
      if (!(value instanceof Sym) || recorderOf(value) !== this) {
        const got = value instanceof Sym ? 'a value of another trace' : typeof value
        throw new BinaryNetsError('BNETS_SPEC', `${what} returns ${got} as ${name}, which should be a Sym of its own`)
      }
    }
    this.#open = false
    return {
      version: 1,
      nodes: this.#nodes,
      outputs: Object.fromEntries(values.map(([name, value]) => [name, refOf(value)])),
      layers: this.#layers,
    }
  }

  #join(name: string): string {
    return [this.#path, name].filter((step) => step !== '').join('.')
  }

  #duplicate(path: string): BinaryNetsError {
    return new BinaryNetsError('BNETS_SPEC', `two layers stand at '${path}'; give each a key of its own in a block`, {
      node: path,
    })
  }
}
