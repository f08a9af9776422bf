import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  checkArray,
  checkBoolean,
  checkClasses,
  checkFunction,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkString,
  reject,
} from './arguments.js'
import { ConfusionMatrix } from './confusion.js'
import { checkDataset, checkImages, checkResize, type Dataset, inOrder, openLoader, type Resize } from './data.js'
import { type FrozenNetwork, type ModelMetadata, type Normalization, setAccuracy, wrapFrozen } from './frozen.js'
import { GRADIENTS, type Gradients } from './gradients.js'
import { type Image, isOne, packImages } from './images.js'
import { withIoErrors } from './io-errors.js'
import { LoadReport } from './load-report.js'
import { crossEntropy, type Loss, type Teacher } from './losses.js'
import { matching } from './matching.js'
import { type Metadata, parseMetadata } from './metadata.js'
import { call, callLong, NativeFrozenNetwork, type NativeLoader, NativeNetwork, version } from './native.js'
import type { OpTime } from './op-time.js'
import { assignUpdates, type Optimizers, type Parameter } from './optimizers.js'
import { checkTopK, likeliest, type Prediction, type PredictOptions } from './prediction.js'
import { type Abortable, checkRunOptions, RUN_OPTIONS, type RunOptions } from './run-options.js'
import { type GraphSpec, imageSize, type NodeSpec } from './spec.js'
import { Summary, type SummaryRow } from './summary.js'
import type { Sym } from './sym.js'
import { type Tensor, tensorOf } from './tensor.js'
import { type ImageInput, type Model, type Outputs, trace, traceLoss } from './trace.js'
import { type Evaluation, means, NOTHING, plus, type Training } from './training.js'
import { MEMORY_POLICIES, type MemoryPolicy, TrainingPlan } from './training-plan.js'

export interface CreateOptions extends RunOptions {
  /** What the network looks at. */
  readonly input: ImageInput
  /** The seed of the first weights and of whatever is random in training. Default: 0. */
  readonly seed?: number
  /** The names of the classes, one for each logit. Default: those of the data that the network is first trained with. */
  readonly classes?: readonly string[]
}

export interface EvaluateOptions<O extends Outputs> extends Abortable {
  /** Default: `crossEntropy()`. */
  readonly loss?: Loss<O>
  /** Default: 256. The results do not depend on it, but for the rounding of the loss. */
  readonly batchSize?: number
}

export interface FreezeOptions extends RunOptions, Abortable {
  /**
   * How the float weights of products, such as the classifier and the shortcuts, are kept: as they are, rounded to 16-bit floats, or to 8-bit integers with a scale for
   * each output. Default: 'f32'.
   */
  readonly floats?: 'f32' | 'f16' | 'int8'
  /**
   * How the products of float maps are computed, the network's ends: the stem, shortcuts and the classifier. With 'int8', in integers of 8 bits, which is several times as fast; how
   * far the maps reach is measured on `calibration`. Default: 'f32', where the stem alone is computed in integers, of 16 bits.
   */
  readonly ends?: 'f32' | 'int8'
  /** Images such as the network will see, for `ends: 'int8'`; labels do not matter. Of more than 512, so many are taken, evenly spread. */
  readonly calibration?: Dataset
  /** Data that tell what rounding all those costs, in the report. */
  readonly validation?: Dataset
  /** What becomes of images of another size, which the model's file remembers. Default: 'stretch'. */
  readonly resize?: Resize
}

/** A training step, as `fit` is told it. */
export interface PlanOptions<O extends Outputs> {
  readonly optimizer: Optimizers
  /** Default: 64. */
  readonly batchSize?: number
  /** Default: `'balanced'`. */
  readonly memory?: MemoryPolicy
  /** As `fit` takes it. Default: `'f32'`. */
  readonly gradients?: Gradients
  /** Default: `crossEntropy()`. */
  readonly loss?: Loss<O>
  /** Default: 1. */
  readonly accumulate?: number
  /** Default: none. */
  readonly clipNorm?: number
  /** Default: none. */
  readonly average?: number
  /** How many classes labels have. Default: as many as the network has names of. */
  readonly classes?: number
  /** How many targets a sample has. Default: 0. */
  readonly targets?: number
}

export interface LoadWeightsOptions extends Abortable {
  /**
   * Whether tensors may be missing, left over or of other shapes. A tensor whose every extent divides that of the target is tiled, otherwise the corner that
   * both have is copied. Default: false.
   */
  readonly partial?: boolean
  /** Whether tiled bases stay equal. Equal bases learn the same for ever. Default: false, and then bases after the first get noise. */
  readonly symmetric?: boolean
  /** The standard deviation of that noise, as a part of the tensor's own. Default: 0.05. */
  readonly noise?: number
  /** The seed of the noise. Default: 0. */
  readonly seed?: number
}

/** What `fit` reaches of a network. */
export interface Inside {
  readonly native: NativeNetwork
  readonly outputs: readonly string[]
  classes: readonly string[] | null
  training: Training | null
  /** Whether a run is between its first and its last step. */
  fitting: boolean
  /** Whose copy the core has as the network's teacher. */
  teacher: Teacher | null
}

export let inside: <O extends Outputs>(network: Network<O>) => Inside

/** The graph of a loss on some data, as JSON. */
export function objectiveOf<O extends Outputs>(
  network: Network<O>,
  loss: Loss<O>,
  { classes, labelled, targets }: Pick<Dataset, 'classes' | 'labelled' | 'targets'>,
): string {
  const names = Object.keys(loss.teacher?.outputs ?? {})
  const data = { classes: classes.length, labelled, targets, teacher: names }
  return JSON.stringify(traceLoss(loss as Loss, inside(network).outputs, data))
}

/** What the core is told of a step besides its loss and its updates, as JSON. */
export function stepOptions({
  accumulate = 1,
  clipNorm = null,
  average = null,
  gradients = 'f32',
  memory = 'balanced',
}: {
  readonly [Name in 'accumulate' | 'clipNorm' | 'average']?: number | null | undefined
} & { readonly gradients?: Gradients; readonly memory?: MemoryPolicy }): string {
  return JSON.stringify({ accumulate, clip_norm: clipNorm, average, gradients, memory })
}

/** Copies a loss's teacher to the network, as it is now. */
export async function setTeacher<O extends Outputs>(network: Network<O>, teacher: Teacher): Promise<void> {
  if (!(teacher instanceof Network)) return reject('a loss', 'teacher', 'a network', teacher)
  const self = inside(network)
  await callLong(() => self.native.setTeacher(inside(teacher).native))
  self.teacher = teacher
}

/**
 * A network: its weights and the programs that train and run it.
 *
 * What takes long returns a promise and leaves the event loop free; one such call runs at a time, another one meanwhile rejects with BNETS_BUSY.
 * `evaluate`, `predict` and `activations` run the frozen program: bits packed, norms folded, exactly what a saved network computes.
 */
export class Network<O extends Outputs = { readonly logits: Sym }> implements Disposable, AsyncDisposable {
  readonly #inside: Inside
  #pretrained: LoadReport | null = null
  /** The outputs by name, each with the path of the layer that it comes from. */
  readonly outputs: { readonly [Name in keyof O]: string }
  /** The paths of the layers in order, inner ones first. */
  readonly layers: readonly string[]
  /** The names of the numbers that the model's gradients read with each step. */
  readonly scalars: readonly string[]
  /** What the network looks at. */
  readonly input: {
    readonly height: number
    readonly width: number
    readonly channels: number
  }

  static {
    inside = (network) => network.#inside
  }

  private constructor(native: NativeNetwork, metadata: Metadata) {
    const spec: GraphSpec = JSON.parse(native.spec)
    const outputs = Object.entries(spec.outputs).map(([name, [node]]) => [name, spec.nodes[node]?.path ?? ''])
    this.outputs = Object.fromEntries(outputs) as { readonly [Name in keyof O]: string }
    this.layers = Object.entries(spec.layers)
      .toSorted(([inner, [a]], [outer, [b]]) => a - b || outer.length - inner.length)
      .map(([path]) => path)
    this.scalars = [...new Set(scalarsOf(spec))]
    this.input = imageSize(spec)
    this.#inside = {
      native,
      outputs: Object.keys(spec.outputs),
      fitting: false,
      teacher: null,
      ...metadata,
    }
  }

  /** Traces a model and gives it its first weights. Fails with BNETS_SHAPE, naming the layer, where shapes do not fit together. */
  static async create<O extends Outputs>(model: Model<O>, options: CreateOptions): Promise<Network<O>> {
    checkFunction('Network.create', 'model', model)
    checkOptions('Network.create', options, ['input', 'seed', 'classes', ...RUN_OPTIONS])
    const { input, seed = 0, classes } = options
    if (typeof input?.height !== 'number') reject('Network.create', 'input', 'image({ … })', input)
    checkInteger('Network.create', 'seed', seed, { min: 0 })
    if (classes !== undefined) checkClasses('Network.create', classes)
    const spec = trace(model, input)
    const given = { ...checkRunOptions('Network.create', options), seed }
    const native = await callLong(() => NativeNetwork.create(JSON.stringify(spec), given))
    const network = new Network<O>(native, { classes: classes ?? null, training: null })
    if (model.pretrained === undefined) return network
    try {
      network.#pretrained = await network.loadWeights(model.pretrained, { partial: true, seed })
      return network
    } catch (error) {
      network.dispose()
      throw error
    }
  }

  /** Reads what {@link save} wrote. `fit` with `resume: true` goes on where the run stood. */
  static async load<O extends Outputs = { readonly logits: Sym }>(
    path: string,
    options: RunOptions = {},
  ): Promise<Network<O>> {
    checkString('Network.load', 'path', path)
    checkOptions('Network.load', options, RUN_OPTIONS)
    const given = checkRunOptions('Network.load', options)
    const network = await callLong(() => NativeNetwork.load(path, given))
    return new Network(network, parseMetadata(path, network.metadata))
  }

  /** Writes the network, its optimizers' moments and where its training stands; folders are made. The file is whole or not there: what stood there before stays until then. */
  async save(path: string, options: Abortable = {}): Promise<void> {
    checkString('save', 'path', path)
    checkOptions('save', options, ['signal'])
    const { classes, training } = this.#inside
    const metadata: Metadata = { classes, training }
    await withIoErrors(path, () => mkdir(dirname(path), { recursive: true }))
    await this.#long(options, (native) => native.save(path, JSON.stringify(metadata)))
  }

  /** What became of the file that the model's `pretrained` named; null without one. */
  get pretrained(): LoadReport | null {
    return this.#pretrained
  }

  /** How many updates the weights have had. */
  get step(): number {
    return call(() => this.#inside.native.step)
  }

  /** The names of the classes, once they are known. */
  get classes(): readonly string[] | null {
    return this.#inside.classes
  }

  /** What was chosen to run the network. */
  get device(): {
    readonly isa: string
    readonly threads: number
    readonly kernels: string
  } {
    const { native } = this.#inside
    return call(() => ({
      isa: native.isa,
      threads: native.threads,
      kernels: native.kernels,
    }))
  }

  /** What each layer yields, holds and computes; as text, a table. */
  summary(): Summary {
    const rows: SummaryRow[] = JSON.parse(call(() => this.#inside.native.summary()))
    return new Summary(rows)
  }

  /** The parameters and running statistics. */
  parameters(): Parameter[] {
    return call(() => this.#inside.native.parameters()).map(({ path, shape, kind }) => {
      return { path, shape, kind: kind as Parameter['kind'] }
    })
  }

  /** A copy of a parameter or statistic. */
  getParameter(path: string): Float32Array {
    checkString('getParameter', 'path', path)
    return call(() => this.#inside.native.getState(path))
  }

  /** Replaces a parameter or statistic by a copy of `data`, in the parameter's own shape. */
  setParameter(path: string, data: Float32Array): void {
    checkString('setParameter', 'path', path)
    checkArray('setParameter', 'data', data, Float32Array)
    call(() => this.#inside.native.setState(path, data))
  }

  /** Copies of all parameters and statistics, by path. */
  stateDict(): Record<string, Tensor> {
    const entries = this.parameters().map(({ path, shape }) => [path, { shape, data: this.getParameter(path) }])
    return Object.fromEntries(entries)
  }

  /** Mean loss and top-1 over a dataset, by the frozen program. */
  async evaluate(dataset: Dataset, options: EvaluateOptions<O> = {}): Promise<Evaluation> {
    checkDataset('evaluate', 'dataset', dataset)
    checkOptions('evaluate', options, ['loss', 'batchSize', 'signal'])
    const { loss = crossEntropy() as unknown as Loss<O>, batchSize = 256 } = options
    checkFunction('evaluate', 'loss', loss)
    checkInteger('evaluate', 'batchSize', batchSize)
    checkImages('evaluate', 'dataset', dataset, this.input)
    const objective = objectiveOf(this, loss, dataset)
    if (loss.teacher !== undefined) await setTeacher(this, loss.teacher)
    const loader = openLoader(dataset, { sampler: inOrder() }, { batchSize, seed: 0, dropLast: false })
    try {
      const { samples, metrics } = await this.#ask(options, (native) => native.evaluate(loader, objective))
      const { loss: mean = Number.NaN, ...counts } = metrics
      return means(plus(NOTHING, samples, mean, counts, 0))
    } finally {
      loader.close()
    }
  }

  /** The likeliest classes of one image. */
  async predict(image: Image, options?: PredictOptions): Promise<Prediction[]>
  /** The likeliest classes of each image. */
  async predict(images: Iterable<Image>, options?: PredictOptions): Promise<Prediction[][]>
  async predict(images: Image | Iterable<Image>, options: PredictOptions = {}): Promise<Prediction[] | Prediction[][]> {
    checkOptions('predict', options, ['topK', 'signal'])
    const topK = checkTopK(options)
    if (!this.#inside.outputs.includes('logits')) {
      reject('predict', 'the model', 'one with an output named logits', this.outputs)
    }
    const { pixels, count } = packImages('predict', images, this.input)
    const outputs = await this.#ask(options, (native) => native.predict(pixels, count, ['logits']))
    const predictions = likeliest(tensorOf(outputs, 'logits').data, count, topK, this.classes)
    return isOne(images) ? (predictions[0] ?? []) : predictions
  }

  /**
   * What layers yield for some images, by path, each `[images, …]`. In a path `*` stands for one step and `**` for one or more: `'layer2.*'`.
   * Names of outputs are paths too.
   */
  async activations(
    images: Image | Iterable<Image>,
    paths: string | readonly string[],
    options: Abortable = {},
  ): Promise<Record<string, Tensor>> {
    checkOptions('activations', options, ['signal'])
    const known = [...this.layers, ...this.#inside.outputs]
    const asked = (typeof paths === 'string' ? [paths] : paths).flatMap((glob) => {
      const found = matching(checkString('activations', 'a path', glob), known)
      return found.length > 0
        ? found
        : reject(
            'activations',
            'a path',
            'one of `layers` or `outputs`, or a pattern of some: * is one step, ** are any',
            glob,
          )
    })
    const { pixels, count } = packImages('activations', images, this.input)
    return this.#ask(options, (native) => native.predict(pixels, count, [...new Set(asked)]))
  }

  /** The vectors that images are compared by, `[images, features]`: the model's output of that name. */
  async features(images: Image | Iterable<Image>, options: Abortable = {}): Promise<Tensor> {
    checkOptions('features', options, ['signal'])
    if (!this.#inside.outputs.includes('features')) {
      reject('features', 'the model', 'one with an output named features', this.outputs)
    }
    const { pixels, count } = packImages('features', images, this.input)
    const outputs = await this.#ask(options, (native) => native.predict(pixels, count, ['features']))
    return tensorOf(outputs, 'features')
  }

  /** How often the images of each class of a dataset are taken for which other. */
  async confusion(
    dataset: Dataset,
    options: Abortable & { readonly batchSize?: number } = {},
  ): Promise<ConfusionMatrix> {
    checkDataset('confusion', 'dataset', dataset)
    checkOptions('confusion', options, ['batchSize', 'signal'])
    const batchSize = checkInteger('confusion', 'batchSize', options.batchSize ?? 256)
    checkImages('confusion', 'dataset', dataset, this.input)
    if (!dataset.labelled) reject('confusion', 'dataset', 'one with labels', dataset)
    const loader = openLoader(dataset, { sampler: inOrder() }, { batchSize, seed: 0, dropLast: false })
    try {
      const { classes, counts } = await this.#ask(options, (native) => native.confusion(loader))
      const rows = Array.from({ length: classes }, (_, row) =>
        Array.from(counts.slice(row * classes, (row + 1) * classes)),
      )
      return new ConfusionMatrix(dataset.classes, rows)
    } finally {
      loader.close()
    }
  }

  /**
   * Loads parameters and running statistics from a `.safetensors` file or a state dict that PyTorch has saved (`.pth`, `.pth.tar`, in its zip format); nothing pickled
   * is executed. Keys are the paths of {@link parameters}; a prefix `module.` and a nesting under `state_dict` are taken away, and `fc.*` is the `classifier` where
   * shapes agree. Without `partial` every tensor must be there in its shape. A call that fails changes nothing (BNETS_FORMAT, naming the key or the byte): files that are no
   * weights, numbers that are not finite, a file of which nothing fits. Optimizers start afresh.
   */
  async loadWeights(path: string, options: LoadWeightsOptions = {}): Promise<LoadReport> {
    checkString('loadWeights', 'path', path)
    checkOptions('loadWeights', options, ['partial', 'symmetric', 'noise', 'seed', 'signal'])
    const { partial = false, symmetric = false, noise = 0.05, seed = 0 } = options
    checkBoolean('loadWeights', 'partial', partial)
    checkBoolean('loadWeights', 'symmetric', symmetric)
    checkNumber('loadWeights', 'noise', noise, { min: 0 })
    checkInteger('loadWeights', 'seed', seed, { min: 0 })
    const given = { partial, symmetric, noise, seed }
    return new LoadReport(await this.#long(options, (native) => native.loadWeights(path, given)))
  }

  /** Writes parameters and running statistics alone, as a `.safetensors` file that PyTorch loads by the same keys. The file is whole or not there. */
  async saveWeights(path: string, options: Abortable = {}): Promise<void> {
    checkString('saveWeights', 'path', path)
    checkOptions('saveWeights', options, ['signal'])
    await withIoErrors(path, () => mkdir(dirname(path), { recursive: true }))
    await this.#long(options, (native) => native.saveWeights(path))
  }

  /**
   * The network as it ships: weights packed into bits, scales and norms folded into one affine a channel, and each binary convolution one pass from bits to bits. Its report
   * tells what was folded and fused. This network stays as it is, and may go on learning.
   */
  async freeze(options: FreezeOptions = {}): Promise<FrozenNetwork<O>> {
    checkOptions('freeze', options, ['floats', 'ends', 'calibration', 'validation', 'resize', 'signal', ...RUN_OPTIONS])
    const { floats = 'f32', ends = 'f32', resize = 'stretch', calibration, validation, signal } = options
    checkOneOf('freeze', 'floats', floats, ['f32', 'f16', 'int8'])
    checkOneOf('freeze', 'ends', ends, ['f32', 'int8'])
    if (ends === 'int8') {
      const images = checkDataset('freeze', "calibration, which ends: 'int8' needs,", calibration)
      checkImages('freeze', 'calibration', images, this.input)
    } else if (calibration !== undefined) {
      reject('freeze', 'calibration', "left out, but with ends: 'int8'", calibration)
    }
    if (validation !== undefined) checkDataset('freeze', 'validation', validation)
    checkResize('freeze', resize)
    const { isa, threads } = this.device
    const given = { isa, threads, ...checkRunOptions('freeze', options) }
    const metadata: ModelMetadata = {
      classes: this.classes,
      normalize: normalization(JSON.parse(this.#inside.native.spec)),
      resize,
      training: this.#provenance(),
    }
    const freeze = (given: Parameters<typeof NativeFrozenNetwork.freeze>[1]) =>
      this.#ask(options, (native) => NativeFrozenNetwork.freeze(native, given, JSON.stringify(metadata)))
    const images = calibration && openSpread(calibration)
    const frozen = wrapFrozen<O>(
      await freeze({ ...given, floats, ...(images && { calibration: images }) }).finally(() => images?.close()),
    )
    if (validation === undefined) return frozen
    try {
      const top1 = async (network: FrozenNetwork<O>) =>
        (await network.evaluate(validation, { ...(signal && { signal }) })).top1
      const after = await top1(frozen)
      const isExact = floats === 'f32' && ends === 'f32'
      using exact = isExact ? null : wrapFrozen<O>(await freeze({ ...given, floats: 'f32' }))
      setAccuracy(frozen, { f32: exact === null ? after : await top1(exact), frozen: after })
      return frozen
    } catch (error) {
      frozen.dispose()
      throw error
    }
  }

  /** What made the weights, as far as the network knows. */
  #provenance(): Readonly<Record<string, unknown>> {
    const { training } = this.#inside
    const run = training && {
      ...{ epochs: training.epoch, batchSize: training.batchSize, seed: training.seed },
      ...(training.best && { best: training.best }),
    }
    return { library: `binary-nets ${version()}`, steps: this.step, ...run }
  }

  /**
   * Where the time of a training step goes, op by op in the order in which they run, each run on its own and with all threads. The step is that of the run that {@link fit} makes
   * or made last, on the batch of its last update. Nothing changes: updates are made to a copy.
   */
  async profileStep(
    options: Abortable & {
      /** How many times each op runs; the shortest time counts. Default: 10. */
      readonly repeats?: number
    } = {},
  ): Promise<OpTime[]> {
    checkOptions('profileStep', options, ['repeats', 'signal'])
    const repeats = checkInteger('profileStep', 'repeats', options.repeats ?? 10, { min: 1, max: 10_000 })
    return JSON.parse(await this.#ask(options, (native) => native.profileStep(repeats)))
  }

  /** Exchanges parameters and running statistics with their moving averages, which `fit` keeps where it is given `average`; a second call takes them back. */
  async swapAverages(): Promise<void> {
    await this.#long({}, (native) => native.swapAverages())
  }

  /** Estimates the running statistics of the norms anew, as plain means over batches of data; weights stay. */
  async recalibrate(
    dataset: Dataset,
    options: Abortable & {
      readonly batches?: number
      readonly batchSize?: number
    } = {},
  ): Promise<void> {
    checkDataset('recalibrate', 'dataset', dataset)
    checkOptions('recalibrate', options, ['batches', 'batchSize', 'signal'])
    const { batches = 100, batchSize = 64 } = options
    checkInteger('recalibrate', 'batches', batches)
    checkInteger('recalibrate', 'batchSize', batchSize)
    checkImages('recalibrate', 'dataset', dataset, this.input)
    const loader = openLoader(dataset, {}, { batchSize, seed: 0, dropLast: true })
    try {
      const all = Math.min(batches, loader.batches)
      await this.#long(options, (native) => native.recalibrate(loader, all))
    } finally {
      loader.close()
    }
  }

  /**
   * What a training step takes and keeps, before it is made; as text, a table. `fit` with the same options makes that step. Nothing is changed, and no memory taken.
   */
  async plan(options: PlanOptions<O>): Promise<TrainingPlan> {
    checkOptions('plan', options, [
      ...[
        'optimizer',
        'batchSize',
        'memory',
        'loss',
        'accumulate',
        'clipNorm',
        'average',
        'gradients',
        'classes',
        'targets',
      ],
    ])
    const { loss = crossEntropy() as unknown as Loss<O>, batchSize = 64, memory = 'balanced' } = options
    const { classes = this.classes?.length ?? 0, targets = 0, accumulate, clipNorm, average } = options
    checkFunction('plan', 'loss', loss)
    checkInteger('plan', 'batchSize', batchSize)
    checkOneOf('plan', 'memory', memory, MEMORY_POLICIES)
    checkOneOf('plan', 'gradients', options.gradients ?? 'f32', GRADIENTS)
    checkInteger('plan', 'classes', classes)
    checkInteger('plan', 'targets', targets, { min: 0 })
    if (accumulate !== undefined) checkInteger('plan', 'accumulate', accumulate)
    if (clipNorm !== undefined) checkNumber('plan', 'clipNorm', clipNorm, { min: Number.MIN_VALUE })
    if (average !== undefined) checkNumber('plan', 'average', average, { min: 0, max: 1 - Number.EPSILON })
    const data = { classes: Array.from({ length: classes }, String), labelled: true, targets }
    const objective = objectiveOf(this, loss, data)
    if (loss.teacher !== undefined) await setTeacher(this, loss.teacher)
    const { updates } = assignUpdates(options.optimizer, this.parameters())
    const plan = await callLong(() => {
      return this.#inside.native.planTraining(objective, JSON.stringify(updates), batchSize, stepOptions(options))
    })
    return new TrainingPlan(JSON.parse(plan))
  }

  /** One of the network's graphs as text. */
  dump(what: (typeof DUMPS)[number], options: { readonly batch?: number } = {}): string {
    checkOneOf('dump', 'what', what, DUMPS)
    checkOptions('dump', options, ['batch'])
    const batch = checkInteger('dump', 'batch', options.batch ?? 1)
    return call(() => this.#inside.native.dump(what, batch))
  }

  /** As {@link #long}, for what changes nothing: once the signal is aborted there is no result, even where it came first. */
  async #ask<T>(options: Abortable, run: (native: NativeNetwork) => Promise<T>): Promise<T> {
    const result = await this.#long(options, run)
    options.signal?.throwIfAborted()
    return result
  }

  #long<T>({ signal }: Abortable, run: (native: NativeNetwork) => Promise<T>): Promise<T> {
    const { native } = this.#inside
    return callLong(
      () => run(native),
      signal,
      () => native.cancel(),
    )
  }

  /** Frees the network at once. Whatever is called later fails with BNETS_DISPOSED; a second call does nothing. */
  dispose(): void {
    this.#inside.native.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose()
  }
}

const DUMPS = ['model', 'training', 'evaluation', 'calibration', 'frozen', 'fold', 'fused'] as const

/** The most images that ranges of maps are measured on. */
const MOST_CALIBRATING = 512

/** Images of a dataset from its first to its last, so that every class has its part where data are sorted by class. */
function openSpread(dataset: Dataset): NativeLoader {
  const count = Math.min(dataset.length, MOST_CALIBRATING)
  const spread = Uint32Array.from({ length: count }, (_, i) => Math.floor((i * dataset.length) / count))
  return openLoader(dataset.subset(spread), { sampler: inOrder() }, { batchSize: 8, seed: 0, dropLast: false })
}

/** The scalars of a graph and of the gradients in it. */
function scalarsOf(spec: GraphSpec): string[] {
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

/** How the network normalises pixels. */
function normalization({ nodes }: GraphSpec): Normalization | null {
  return nodes.flatMap(({ op }) => ('normalize_image' in op ? [op.normalize_image] : []))[0] ?? null
}
