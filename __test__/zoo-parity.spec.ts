// Every builder against PyTorch: see parity/README.md. What a fixture holds, and the hashes that make its numbers, are parity/make_zoo.py's.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import test from 'ava'
import {
  batchHardTriplet,
  binaryResnet18,
  biRealResnet18,
  crossEntropy,
  fit,
  fromBatches,
  groupNetResnet18,
  groupNetResnet34,
  image,
  isBinary,
  type Loss,
  type Model,
  Network,
  type Optimizers,
  parallelResnet18NoSqueeze,
  parallelResnet18WithFusionGate,
  parallelResnet18WithSqueeze,
  reactNetResnet18,
  reidBinaryResnet18,
  reidParallelResnet18NoSqueeze,
  reidParallelResnet18WithFusionGate,
  reidParallelResnet18WithFusionGateFc,
  reidParallelResnet18WithSqueeze,
  resnet18,
  resnet34,
  rest,
  type Sym,
  sgd,
  trace,
  weightedSum,
  xnorResnet18,
} from 'binary-nets'

type Outputs = { readonly logits: Sym; readonly features: Sym }

const builders = {
  binaryResnet18,
  biRealResnet18,
  groupNetResnet18,
  groupNetResnet34,
  parallelResnet18NoSqueeze,
  parallelResnet18WithFusionGate,
  parallelResnet18WithSqueeze,
  reactNetResnet18,
  reidBinaryResnet18,
  reidParallelResnet18NoSqueeze,
  reidParallelResnet18WithFusionGate,
  reidParallelResnet18WithFusionGateFc,
  reidParallelResnet18WithSqueeze,
  resnet18,
  resnet34,
  xnorResnet18,
}

interface Built {
  readonly builder: keyof typeof builders
  readonly options: Readonly<Record<string, unknown>>
}

function build({ builder, options }: Built): Model<Outputs> {
  // The options are data of the fixture, each builder's own.
  return builders[builder](options as never)
}

const losses = { batchHardTriplet, crossEntropy }

/** How a tensor is filled: U(low, high), negated with a probability, and with another one scaled down, or up. */
type Rule = readonly [low: number, high: number, negative: number, tail: number]

type TensorEntry = readonly [path: string, shape: readonly number[], kind: string, start: number | null, rule: number]

interface Description extends Built {
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly mean: readonly number[]
  readonly std: readonly number[]
  readonly batch: number
  readonly steps: number
  readonly loss: readonly (readonly [weight: number, loss: { readonly [name in keyof typeof losses]?: object }])[]
  readonly sgd: { readonly lr: number; readonly momentum: number; readonly weightDecay: number; readonly clamp: number }
  readonly tolerance: { readonly loss: number; readonly output: number; readonly tensor: number }
  readonly seed: number
  readonly labels: readonly (readonly number[])[]
  readonly rules: readonly Rule[]
  readonly tensors: readonly TensorEntry[]
}

// Hashes

const [MAGNITUDE, SIGN, TAIL, PLACE, PROJECTION] = [0, 1, 2, 3, 4] as const

function mix(value: number): number {
  let x = value ^ (value >>> 16)
  x = Math.imul(x, 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}

/** For each element of a tensor, by the draw, 32 bits. */
function hasher(seed: number, tensor: number) {
  const start = mix(mix(seed) + tensor)
  return (element: number, draw: number) => mix(mix(start + element) + draw) >>> 0
}

const unit = (bits: number) => (bits >>> 8) * 2 ** -24
const size = (shape: readonly number[]) => shape.reduce((product, extent) => product * extent, 1)

// Fixtures

const WHOLE = 256
const PLACES = 128
const PROJECTIONS = 4

/** A tensor that was compared with PyTorch's: some of its elements or all, and what stands for the others. */
interface Expected {
  readonly path: string
  readonly number: number
  readonly elements: Float32Array
  /** What errors are measured by, the norm, and the products with vectors of ±1. */
  readonly sums: Float64Array
}

class Fixture {
  readonly description: Description
  readonly #file: Buffer
  readonly #header: Readonly<Record<string, { readonly data_offsets: readonly [number, number] }>>

  constructor(path: string) {
    this.#file = readFileSync(path)
    const { __metadata__, ...header } = JSON.parse(this.#file.toString('utf8', 8, this.#start))
    this.#header = header
    this.description = JSON.parse(__metadata__.fixture)
  }

  get #start(): number {
    return 8 + this.#file.readUInt32LE(0)
  }

  #bytes(name: string): ArrayBuffer {
    const [from, to] = this.#header[name]?.data_offsets ?? [0, 0]
    return new Uint8Array(this.#file.subarray(this.#start + from, this.#start + to)).buffer
  }

  floats = (name: string) => new Float32Array(this.#bytes(name))
  doubles = (name: string) => new Float64Array(this.#bytes(name))

  /** By the path of a latent, which of its elements have another sign after the steps; none of these is within 1e-6 of 0. */
  get flipped(): Map<string, readonly number[]> {
    const elements = new Uint32Array(this.#bytes('flipped'))
    const counts = new Uint32Array(this.#bytes('flipped_counts'))
    const latents = this.description.tensors.filter(([, , kind]) => kind === 'latent')
    let at = 0
    return new Map(
      latents.map(([path], index) => {
        const from = at
        at += counts[index] ?? 0
        return [path, [...elements.subarray(from, at)]]
      }),
    )
  }

  *expected(what: 'gradient' | 'moved'): Generator<Expected> {
    const elements = this.floats(what)
    const sums = this.doubles(`${what}_sums`)
    const width = 2 + PROJECTIONS
    let [at, row] = [0, 0]
    for (const [index, [path, shape, kind]] of this.description.tensors.entries()) {
      if (what === 'gradient' && kind === 'statistic') continue
      const end = at + (size(shape) <= WHOLE ? size(shape) : PLACES)
      yield {
        path,
        number: index + 1,
        elements: elements.subarray(at, end),
        sums: sums.subarray(row * width, (row + 1) * width),
      }
      ;[at, row] = [end, row + 1]
    }
  }

  /** The values that a tensor starts with. */
  initial(path: string): Float32Array {
    const { seed, rules, tensors } = this.description
    const index = tensors.findIndex(([name]) => name === path)
    const [, shape, , , rule] = tensors[index] as TensorEntry
    const [low, high, negative, tail] = rules[rule] as Rule
    const hash = hasher(seed, index + 1)
    return Float32Array.from({ length: size(shape) }, (_, element) => {
      const magnitude = low + (high - low) * unit(hash(element, MAGNITUDE))
      const value = unit(hash(element, SIGN)) < negative ? -magnitude : magnitude
      if (tail === 0) return value
      const rare = unit(hash(element, TAIL))
      if (rare < tail) return value / 64
      return rare >= 1 - tail ? value * 16 : value
    })
  }

  /** The images of each step, one after the other. */
  batch(step: number): Uint8Array {
    const { seed, batch, height, width, channels } = this.description
    const hash = hasher(seed, 0)
    const length = batch * height * width * channels
    return Uint8Array.from({ length }, (_, at) => hash(step * length + at, MAGNITUDE) & 255)
  }

  images(): Uint8Array[] {
    const all = this.batch(0)
    const length = all.length / this.description.batch
    return Array.from({ length: this.description.batch }, (_, at) => all.subarray(at * length, (at + 1) * length))
  }

  create(): Promise<Network<Outputs>> {
    const { height, width, channels, mean, std } = this.description
    const input = image({ height, width, channels, normalize: { mean, std } })
    return Network.create(build(this.description), { input, seed: 1 })
  }

  /** A network that starts as PyTorch's did. */
  async start(): Promise<Network<Outputs>> {
    const net = await this.create()
    for (const [path] of this.description.tensors) net.setParameter(path, this.initial(path))
    return net
  }

  /** Trains for some steps; the loss of each. */
  async train(net: Network<Outputs>, steps: number, optimizer: Optimizers): Promise<number[]> {
    const { batch, labels, loss, options } = this.description
    const terms = loss.map(([weight, term]) => {
      const [name, of] = Object.entries(term)[0] as [keyof typeof losses, never]
      return [weight, losses[name](of) as Loss<Outputs>] as const
    })
    const batches = () =>
      Array.from({ length: steps }, (_, step) => ({
        image: this.batch(step),
        label: Uint32Array.from(labels[step] ?? []),
      }))
    const classes = Array.from({ length: options['classes'] as number }, (_, index) => `class ${index}`)
    const found: number[] = []
    await fit(net, {
      train: fromBatches(batches, { classes, batches: steps }),
      epochs: 1,
      batchSize: batch,
      loss: weightedSum(terms),
      optimizer,
      onStep: ({ batchLoss }) => found.push(batchLoss),
    }).done
    return found
  }
}

/** The largest error of an element. */
function largestError(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (got.length !== expected.length) return Number.POSITIVE_INFINITY
  return Math.max(0, ...Array.from(got, (value, at) => Math.abs(value - (expected[at] ?? Number.NaN))))
}

const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)

/** How far a tensor is from PyTorch's where it is further than allowed: a part of its scale and `rounding` on top. */
function complaint(fixture: Fixture, expected: Expected, got: Float64Array, rounding: number): string[] {
  const { seed, tolerance } = fixture.description
  const { path, number, elements, sums } = expected
  const [scale = Number.NaN, norm = Number.NaN, ...projections] = sums
  const hash = hasher(seed, number)
  const isWhole = got.length <= WHOLE
  const sampled = isWhole ? got : Float64Array.from(elements, (_, at) => got[hash(at, PLACE) % got.length] ?? 0)
  const error = largestError(sampled, elements)
  const allowed = tolerance.tensor * scale + rounding
  const complaints = error <= allowed ? [] : [`${path}: off by ${error}, of ${scale} at the largest`]
  if (isWhole) return complaints

  const products = new Float64Array(PROJECTIONS)
  for (const [element, value] of got.entries()) {
    const bits = hash(element, PROJECTION)
    for (let p = 0; p < PROJECTIONS; p++) products[p] = (products[p] ?? 0) + ((bits >>> p) & 1 ? -value : value)
  }
  const distance = largestError(products, projections)
  const room = tolerance.tensor * norm + rounding * Math.sqrt(got.length)
  return distance <= room ? complaints : [...complaints, `${path}: products off by ${distance}, of a norm of ${norm}`]
}

/** From one tensor to another, element by element. */
const difference = (to: Float32Array, from: Float32Array, factor = 1) =>
  Float64Array.from(to, (value, at) => (value - (from[at] ?? Number.NaN)) * factor)

for (const file of readdirSync('parity/zoo').filter((name) => name.endsWith('.safetensors'))) {
  const name = file.replace('.safetensors', '')
  const fixture = new Fixture(`parity/zoo/${file}`)
  const { builder, tensors, tolerance, steps, sgd: settings } = fixture.description

  test(`${name}: ${builder} has the tensors of PyTorch's, and starts them alike`, async (t) => {
    using net = await fixture.create()
    const found = net.parameters().map(({ path, shape, kind }) => [path, shape, kind] as const)
    t.deepEqual(
      found.toSorted(([a], [b]) => (a < b ? -1 : 1)),
      tensors.map(([path, shape, kind]) => [path, shape, kind] as const),
    )
    const others = tensors
      .filter(([path, , , start]) => start !== null && net.getParameter(path).some((value) => value !== start))
      .map(([path]) => path)
    t.deepEqual(others, [])
  })

  test(`${name}: ${builder} evaluates as in PyTorch`, async (t) => {
    using net = await fixture.start()
    const outputs = await net.activations(fixture.images(), ['logits', 'features'])
    for (const name of ['logits', 'features']) {
      const expected = fixture.floats(name)
      const error = largestError(outputs[name]?.data ?? [], expected) / largest(expected)
      t.true(error <= tolerance.output, `${name} are off by ${error} of the largest`)
    }
  })

  if (steps === 0) continue

  test(`${name}: ${builder} has the gradients of PyTorch's`, async (t) => {
    using net = await fixture.start()
    // The step is the gradient times a rate so large that rounding the sum costs nothing, and a power of two.
    const lr = 2 ** 12
    await fixture.train(net, 1, sgd({ lr }))
    const complaints = [...fixture.expected('gradient')].flatMap((expected) => {
      const got = difference(fixture.initial(expected.path), net.getParameter(expected.path), 1 / lr)
      return complaint(fixture, expected, got, 0)
    })
    t.deepEqual(complaints, [])
  })

  test(`${name}: ${builder} trains as in PyTorch`, async (t) => {
    using net = await fixture.start()
    const { lr, momentum, clamp, weightDecay } = settings
    const found = await fixture.train(net, steps, [
      [isBinary, sgd({ lr, momentum, clamp })],
      [rest, sgd({ lr, momentum, weightDecay })],
    ])
    const expectedLosses = [...fixture.doubles('losses')]
    t.true(largestError(found, expectedLosses) <= tolerance.loss, `losses ${found}, but PyTorch's ${expectedLosses}`)

    const complaints = [...fixture.expected('moved')].flatMap((expected) => {
      const before = fixture.initial(expected.path)
      const got = difference(net.getParameter(expected.path), before)
      // Each step rounds the tensor once.
      return complaint(fixture, expected, got, 2 ** -22 * largest(before))
    })
    t.deepEqual(complaints, [])

    const wrong = [...fixture.flipped].flatMap(([path, flipped]) => {
      const [before, after] = [fixture.initial(path), net.getParameter(path)]
      const changed = [...after.keys()].filter((at) => (after[at] ?? 0) < 0 !== (before[at] ?? 0) < 0)
      const same = JSON.stringify(changed) === JSON.stringify(flipped)
      return same ? [] : [`${path}: ${changed.length} signs changed, in PyTorch ${flipped.length}`]
    })
    t.deepEqual(wrong, [])
  })
}

interface FullSize extends Built {
  readonly parameters: number
  readonly binary: number
  readonly tensors: number
  /** Of a line for each tensor, in the order of the paths: path, shape, kind. */
  readonly sha256: string
}

const fullSize: readonly FullSize[] = JSON.parse(readFileSync('parity/zoo/full-size.json', 'utf8'))

for (const { builder, options, parameters, binary, tensors, sha256 } of fullSize) {
  test(`${builder} of full size with ${JSON.stringify(options)} has the tensors of PyTorch's`, (t) => {
    const spec = trace(build({ builder, options }), image({ height: 224, width: 224, channels: 3 }))
    const states = spec.nodes
      .flatMap(({ op }) => ('state' in op ? [op.state] : []))
      .toSorted((a, b) => (a.path < b.path ? -1 : 1))
    const count = (kinds: readonly string[]) =>
      states.filter(({ kind }) => kinds.includes(kind)).reduce((sum, { shape }) => sum + size(shape), 0)
    t.is(count(['latent', 'parameter']), parameters)
    t.is(count(['latent']), binary)
    t.is(states.length, tensors)
    const lines = states.map(({ path, shape, kind }) => `${path} ${shape.join('×')} ${kind}\n`)
    t.is(createHash('sha256').update(lines.join('')).digest('hex'), sha256)
  })
}
