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
  isIterable,
  reject,
} from './arguments.js'
import { ConfusionMatrix, named } from './confusion.js'
import { checkDataset, checkImages, type Dataset, inOrder, openLoader } from './data.js'
import { type FreezeOptions, freeze } from './freeze.js'
import type { FrozenNetwork } from './frozen.js'
import { type Image, isOne, packImages } from './images.js'
import { ask, type Inside, long, parametersOf, setInside } from './inside.js'
import { withIoErrors } from './io-errors.js'
import { LoadReport } from './load-report.js'
import { crossEntropy, type Loss } from './losses.js'
import { matching } from './matching.js'
import { type Metadata, parseMetadata } from './metadata.js'
import { call, callLong, NativeNetwork } from './native.js'
import { objectiveOf, setTeacher } from './objective.js'
import type { OpTime } from './op-time.js'
import type { Parameter } from './optimizers.js'
import { type PlanOptions, plan } from './plan.js'
import { checkTopK, likeliest, type Prediction, type PredictOptions } from './prediction.js'
import { type Abortable, checkRunOptions, RUN_OPTIONS, type RunOptions } from './run-options.js'
import { type GraphSpec, imageSize, scalarsOf } from './spec.js'
import { Summary, type SummaryRow } from './summary.js'
import type { Sym } from './sym.js'
import { type Tensor, tensorOf } from './tensor.js'
import { type ImageInput, type Model, type Outputs, trace } from './trace.js'
import { type Evaluation, means, NOTHING, plus } from './training.js'
import type { TrainingPlan } from './training-plan.js'

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
    setInside(this, this.#inside)
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
    await long(this.#inside, options, (native) => native.save(path, JSON.stringify(metadata)))
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
    return parametersOf(this.#inside)
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
    const { classes, labelled, targets } = dataset
    const objective = objectiveOf(this.#inside, loss, { classes: classes.length, labelled, targets })
    if (loss.teacher !== undefined) await setTeacher(this.#inside, loss.teacher)
    const loader = openLoader(dataset, { sampler: inOrder() }, { batchSize, seed: 0, dropLast: false })
    try {
      const { samples, metrics } = await ask(this.#inside, options, (native) => native.evaluate(loader, objective))
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
    const outputs = await ask(this.#inside, options, (native) => native.predict(pixels, count, ['logits']))
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
    const globs = typeof paths === 'string' ? [paths] : isIterable<string>(paths) ? [...paths] : [paths]
    const asked = globs.flatMap((glob) => {
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
    return ask(this.#inside, options, (native) => native.predict(pixels, count, [...new Set(asked)]))
  }

  /** The vectors that images are compared by, `[images, features]`: the model's output of that name. */
  async features(images: Image | Iterable<Image>, options: Abortable = {}): Promise<Tensor> {
    checkOptions('features', options, ['signal'])
    if (!this.#inside.outputs.includes('features')) {
      reject('features', 'the model', 'one with an output named features', this.outputs)
    }
    const { pixels, count } = packImages('features', images, this.input)
    const outputs = await ask(this.#inside, options, (native) => native.predict(pixels, count, ['features']))
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
      const { classes, counts } = await ask(this.#inside, options, (native) => native.confusion(loader))
      return ConfusionMatrix.of(named(dataset.classes, classes), counts)
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
    return new LoadReport(await long(this.#inside, options, (native) => native.loadWeights(path, given)))
  }

  /** Writes parameters and running statistics alone, as a `.safetensors` file that PyTorch loads by the same keys. The file is whole or not there. */
  async saveWeights(path: string, options: Abortable = {}): Promise<void> {
    checkString('saveWeights', 'path', path)
    checkOptions('saveWeights', options, ['signal'])
    await withIoErrors(path, () => mkdir(dirname(path), { recursive: true }))
    await long(this.#inside, options, (native) => native.saveWeights(path))
  }

  /**
   * The network as it ships: weights packed into bits, scales and norms folded into one affine a channel, and each binary convolution one pass from bits to bits. Its report
   * tells what was folded and fused. This network stays as it is, and may go on learning.
   */
  async freeze(options: FreezeOptions = {}): Promise<FrozenNetwork<O>> {
    return freeze(this.#inside, options)
  }

  /**
   * Where the time of a training step goes, op by op in the order in which they run, each run on its own and with all threads. The step is that of the run that {@link fit} makes
   * or made last, on the batch of its last update; before the first, on zeros. Nothing changes: updates are made to a copy.
   */
  async profileStep(
    options: Abortable & {
      /** How many times each op runs; the shortest time counts. Default: 10. */
      readonly repeats?: number
    } = {},
  ): Promise<OpTime[]> {
    checkOptions('profileStep', options, ['repeats', 'signal'])
    const repeats = checkInteger('profileStep', 'repeats', options.repeats ?? 10, { min: 1, max: 10_000 })
    return JSON.parse(await ask(this.#inside, options, (native) => native.profileStep(repeats)))
  }

  /** Exchanges parameters and running statistics with their moving averages, which `fit` keeps where it is given `average`; a second call takes them back. */
  async swapAverages(): Promise<void> {
    await long(this.#inside, {}, (native) => native.swapAverages())
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
      await long(this.#inside, options, (native) => native.recalibrate(loader, all))
    } finally {
      loader.close()
    }
  }

  /**
   * What a training step takes and keeps, before it is made; as text, a table. `fit` with the same options makes that step. Nothing is trained, and no memory taken; but the
   * network then has the loss's teacher, where it names one, as after `evaluate`. In the middle of a run that has another, or none, that fails with BNETS_BUSY.
   */
  async plan(options: PlanOptions<O>): Promise<TrainingPlan> {
    return plan(this.#inside, options)
  }

  /** One of the network's graphs as text. */
  dump(what: (typeof DUMPS)[number], options: { readonly batch?: number } = {}): string {
    checkOneOf('dump', 'what', what, DUMPS)
    checkOptions('dump', options, ['batch'])
    const batch = checkInteger('dump', 'batch', options.batch ?? 1)
    return call(() => this.#inside.native.dump(what, batch))
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
