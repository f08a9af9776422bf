import { BinaryNetsError } from './errors.js'
import type { GraphSpec, MeaningSpec, NodeSpec, OpSpec, StateKind, ValueRef } from './spec.js'
import { type Layer, one, type Recorder, recorderOf, refOf, type StateOptions, Sym } from './sym.js'

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
export type Model<O extends Outputs = Outputs> = (image: Sym, input: ImageInput) => O

/** A parameter or statistic of a layer, as {@link layer} gives it. */
export type Own = (name: string, shape: readonly number[], init: StateOptions['init'], kind?: StateKind) => Sym

/**
 * A layer that keeps tensors: `own('weight', shape, init)` is the tensor `<path>.weight`, where the path is that of the keys under which the
 * layer stands in its blocks. One layer under two paths has two sets of tensors; one that is called twice under one path has one.
 */
export function layer(forward: (x: Sym, own: Own) => Sym): Layer {
  const self: Layer = (x) =>
    forward(x, (name, shape, init, kind = 'parameter') => recorderOf(x).state(self, name, { shape, init, kind }))
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

/**
 * Runs a loss once and records what it does. The values that it takes, a model's outputs and the batch's labels, become inputs of the graph; the shapes of
 * outputs are those of the model, which puts its own values in their place.
 */
export function traceLoss<O extends string>(
  loss: (outputs: Readonly<Record<O, Sym>>, batch: { readonly label: Sym }) => Outputs & { readonly loss: Sym },
  outputs: readonly O[],
  classes: number,
): GraphSpec {
  const graph = new Trace()
  const once = (object: object, name: string, meaning: MeaningSpec) => {
    let value: Sym | undefined
    // Made when it is read, so that what a loss does not look at is no input of it.
    Object.defineProperty(object, name, {
      enumerable: true,
      get: () => {
        value ??= graph.input(name, [], meaning)
        return value
      },
    })
  }
  const given = {} as Record<O, Sym>
  for (const name of outputs) once(given, name, 'f32')
  const batch = {} as { label: Sym }
  once(batch, 'label', { index: { classes } })

  const results = loss(given, batch)
  const spec = graph.finish('the loss', results)
  if (!('loss' in spec.outputs)) {
    throw new BinaryNetsError(
      'BNETS_SPEC',
      `the loss returns ${Object.keys(spec.outputs).join(', ')}, but nothing named loss`,
    )
  }
  return spec
}

class Trace implements Recorder {
  readonly #nodes: NodeSpec[] = []
  readonly #layers: Record<string, ValueRef> = {}
  readonly #states = new Map<string, { readonly owner: Layer; readonly options: string; readonly value: Sym }>()
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

  state(owner: Layer, name: string, { shape, init, kind }: StateOptions): Sym {
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
      // What gives back its input unchanged has no value of its own.
      if (value instanceof Sym && recorderOf(value) === this && refOf(value)[0] >= before) {
        this.#layers[path] = refOf(value)
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
      throw new BinaryNetsError('BNETS_SPEC', `${what} should return named values, such as { logits }`)
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
    return this.#path === '' ? name : `${this.#path}.${name}`
  }

  #duplicate(path: string): BinaryNetsError {
    return new BinaryNetsError('BNETS_SPEC', `two layers stand at '${path}'; give each a key of its own in a block`, {
      node: path,
    })
  }
}
