import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { unlessAborted } from './abort.js'
import { checkArray, checkInteger, checkOneOf, checkOptions, checkString, reject } from './arguments.js'
import { ConfusionMatrix, named } from './confusion.js'
import { checkDataset, checkImages, type Dataset, inOrder, openLoader, type Resize } from './data.js'
import { type FreezeAccuracy, FreezeReport } from './freeze-report.js'
import { type ImageBatch, type ImageSource, isBatch, pixelsOfBatch, readImages } from './image-source.js'
import type { ImageSize } from './images.js'
import { withIoErrors } from './io-errors.js'
import type { LayerTime } from './layer-time.js'
import { call, callLong, NativeFrozenNetwork } from './native.js'
import { checkTopK, likeliest, type Prediction, type PredictOptions } from './prediction.js'
import { type Abortable, checkRunOptions, RUN_OPTIONS, type RunOptions } from './run-options.js'
import { type GraphSpec, imageSize } from './spec.js'
import type { Sym } from './sym.js'
import { type Tensor, tensorOf } from './tensor.js'
import type { Outputs } from './trace.js'

/**
 * How an ONNX file holds binary weights: `portable` as int8 −1 and +1, which every runtime reads; `compact` as bits, which the runtime unpacks when it loads the file.
 */
export type OnnxForm = 'portable' | 'compact'

/** Mean and standard deviation of each channel, of pixels from 0 to 1. */
export interface Normalization {
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

export interface ImportOptions extends RunOptions {
  /** How pixels are normalised in front of the graph, where it takes floats and the file does not say. */
  readonly normalize?: Normalization
}

/** A tensor of a frozen network. */
export interface FrozenTensor {
  readonly path: string
  /** `bits`, `i8`, `i16`, `f16` or `f32`. */
  readonly storage: string
  readonly shape: readonly number[]
  /** As stored. */
  readonly bytes: number
}

export interface ProfileOptions {
  /** The image to look at; times hardly depend on what it shows. Default: a black one. */
  readonly image?: ImageSource
  /** How many times each layer runs; the shortest time counts. Default: 30. */
  readonly repeats?: number
}

/** How a frozen network does on a dataset. */
export interface FrozenEvaluation {
  readonly samples: number
  /** The part of the images whose likeliest class was theirs. */
  readonly top1: number
  /** The part whose class was among the five likeliest. */
  readonly top5: number
  readonly confusion: ConfusionMatrix
}

/** What a frozen network's file tells of it; the JSON that the core reads and writes. */
export interface ModelMetadata {
  readonly classes: readonly string[] | null
  readonly normalize: Normalization | null
  readonly resize: Resize
  readonly training: Readonly<Record<string, unknown>> | null
}

/** Wraps a native frozen network. */
export let wrapFrozen: <O extends Outputs>(native: NativeFrozenNetwork) => FrozenNetwork<O>
/** Says in the report what freezing cost. */
export let setAccuracy: <O extends Outputs>(network: FrozenNetwork<O>, accuracy: FreezeAccuracy) => void

/**
 * A network as it ships: weights of one bit packed, norms folded, from pixels to outputs. It computes bit for bit what the network that it was frozen from
 * evaluates to, on every machine, and saved and loaded too.
 *
 * Several calls at once are welcome: they queue up, and the event loop stays free.
 */
export class FrozenNetwork<O extends Outputs = { readonly logits: Sym }> implements Disposable, AsyncDisposable {
  readonly #native: NativeFrozenNetwork
  /** The names of the outputs. */
  readonly outputs: readonly string[]
  /** What the network looks at. */
  readonly input: ImageSize
  /** The names of the classes, where they are known. */
  readonly classes: readonly string[] | null
  /** How pixels are normalised, which the network does itself. */
  readonly normalize: Normalization | null
  /** What becomes of images of another size. */
  readonly resize: Resize
  /** Where the weights come from. */
  readonly training: Readonly<Record<string, unknown>> | null
  /** What was folded and fused, and what was not. */
  get report(): FreezeReport {
    return this.#report
  }
  #report: FreezeReport

  static {
    wrapFrozen = (native) => new FrozenNetwork(native)
    setAccuracy = (network, accuracy) => {
      network.#report = new FreezeReport(network.#report.rows, accuracy)
    }
  }

  private constructor(native: NativeFrozenNetwork) {
    this.#native = native
    const spec: GraphSpec = JSON.parse(native.spec)
    const metadata: ModelMetadata = JSON.parse(native.metadata)
    this.outputs = Object.keys(spec.outputs)
    this.input = imageSize(spec)
    this.classes = metadata.classes
    this.normalize = metadata.normalize
    this.resize = metadata.resize
    this.training = metadata.training
    this.#report = new FreezeReport(JSON.parse(call(() => native.report())))
  }

  /** The tensors, as they are stored. */
  get tensors(): readonly FrozenTensor[] {
    return call(() => this.#native.tensors())
  }

  /** What was chosen to run the network. */
  get device(): { readonly isa: string; readonly threads: number; readonly kernels: string } {
    const native = this.#native
    return call(() => ({ isa: native.isa, threads: native.threads, kernels: native.kernels }))
  }

  /** Writes a packed model file, of so many bytes; folders are made. The file is whole or not there: what stood there before stays until then. */
  async save(path: string): Promise<number> {
    checkString('save', 'path', path)
    await withIoErrors(path, () => mkdir(dirname(path), { recursive: true }))
    return callLong(() => this.#native.save(path))
  }

  /** The bytes of a packed model file, for {@link loadFrozen}. */
  async toBytes(): Promise<Uint8Array> {
    return callLong(() => this.#native.toBytes())
  }

  /** Writes an ONNX file, of so many bytes, from raw uint8 images `[batch, height, width, channels]` to the outputs. */
  async exportOnnx(path: string, options: { readonly form?: OnnxForm } = {}): Promise<number> {
    checkString('exportOnnx', 'path', path)
    checkOptions('exportOnnx', options, ['form'])
    const form = checkOneOf('exportOnnx', 'form', options.form ?? 'portable', ['portable', 'compact'])
    await withIoErrors(path, () => mkdir(dirname(path), { recursive: true }))
    return callLong(() => this.#native.exportOnnx(path, form))
  }

  /** The likeliest classes of one image. */
  async predict(image: ImageSource, options?: PredictOptions): Promise<Prediction[]>
  /** The likeliest classes of each image. */
  async predict(images: ImageBatch | Iterable<ImageSource>, options?: PredictOptions): Promise<Prediction[][]>
  async predict(
    images: ImageSource | ImageBatch | Iterable<ImageSource>,
    options: PredictOptions = {},
  ): Promise<Prediction[] | Prediction[][]> {
    checkOptions('predict', options, ['topK', 'signal'])
    const topK = checkTopK(options)
    const { tensors, count, isOne } = await this.#run('predict', images, ['logits'], options)
    const predictions = likeliest(tensorOf(tensors, 'logits').data, count, topK, this.classes)
    return isOne ? (predictions[0] ?? []) : predictions
  }

  /** The vectors that images are compared by, `[images, features]`: the model's output of that name. */
  async features(images: ImageSource | ImageBatch | Iterable<ImageSource>, options: Abortable = {}): Promise<Tensor> {
    checkOptions('features', options, ['signal'])
    const { tensors } = await this.#run('features', images, ['features'], options)
    return tensorOf(tensors, 'features')
  }

  /** All outputs, by name, each `[images, …]`. */
  async run(
    images: ImageSource | ImageBatch | Iterable<ImageSource>,
    options: Abortable = {},
  ): Promise<{ readonly [Name in keyof O]: Tensor }> {
    checkOptions('run', options, ['signal'])
    const { tensors } = await this.#run('run', images, this.outputs, options)
    return tensors as { readonly [Name in keyof O]: Tensor }
  }

  async #run(
    owner: string,
    images: ImageSource | ImageBatch | Iterable<ImageSource>,
    outputs: readonly string[],
    { signal }: Abortable,
  ): Promise<{ tensors: Record<string, Tensor>; count: number; isOne: boolean }> {
    const missing = outputs.find((name) => !this.outputs.includes(name))
    if (missing !== undefined) reject(owner, 'the model', `one with an output named ${missing}`, this.outputs)
    // A call that nobody waits for any more runs to its end, for its neighbours are not to be disturbed.
    return unlessAborted(signal, async () => {
      // A batch is copied once, by the call itself, which begins before this function is left.
      const { pixels, count, isOne } = isBatch(images)
        ? pixelsOfBatch(owner, images, this.input)
        : await readImages(owner, images, this.input, this.resize)
      const tensors = await callLong(() => this.#native.predict(pixels, count, [...outputs]))
      return { tensors, count, isOne }
    })
  }

  /**
   * How many images of a dataset are told right. Where the network knows the names of its classes, the dataset's are found among them, so their order does not matter.
   */
  async evaluate(
    dataset: Dataset,
    options: Abortable & { readonly batchSize?: number } = {},
  ): Promise<FrozenEvaluation> {
    checkDataset('evaluate', 'dataset', dataset)
    checkOptions('evaluate', options, ['batchSize', 'signal'])
    const batchSize = checkInteger('evaluate', 'batchSize', options.batchSize ?? 256)
    checkImages('evaluate', 'dataset', dataset, this.input)
    if (!dataset.labelled) reject('evaluate', 'dataset', 'one with labels', dataset)
    if (!this.outputs.includes('logits'))
      reject('evaluate', 'the model', 'one with an output named logits', this.outputs)
    const loader = openLoader(dataset, { sampler: inOrder() }, { batchSize, seed: 0, dropLast: false })
    try {
      const labels = this.#labels(dataset.classes)
      const { classes, counts, samples, top5 } = await unlessAborted(options.signal, () =>
        callLong(() => this.#native.evaluate(loader, labels)),
      )
      const confusion = ConfusionMatrix.of(named(this.classes ?? dataset.classes, classes), counts)
      return { samples, top1: confusion.top1, top5: top5 / samples, confusion }
    } finally {
      loader.close()
    }
  }

  /** Which of the network's classes each of a dataset's is. */
  #labels(classes: readonly string[]): Uint32Array {
    const own = this.classes
    if (own === null || (own.length === classes.length && own.every((name, index) => name === classes[index]))) {
      return Uint32Array.from(classes, (_, index) => index)
    }
    const isOnce = (name: string) => own.indexOf(name) >= 0 && own.indexOf(name) === own.lastIndexOf(name)
    const unknown = classes.find((name) => !isOnce(name))
    if (unknown === undefined) return Uint32Array.from(classes, (name) => own.indexOf(name))
    return reject('evaluate', 'dataset', `data of the network's classes, ${own.slice(0, 12).join(', ')}`, unknown)
  }

  /** Where the time for one image goes, layer by layer in the order in which they run, each run on its own and with all threads. */
  async profile(options: ProfileOptions = {}): Promise<LayerTime[]> {
    checkOptions('profile', options, ['image', 'repeats'])
    const { height, width, channels } = this.input
    const repeats = checkInteger('profile', 'repeats', options.repeats ?? 30, { min: 1, max: 10_000 })
    const image = options.image ?? new Uint8Array(height * width * channels)
    const { pixels, isOne } = await readImages('profile', image, this.input, this.resize)
    if (!isOne) reject('profile', 'image', 'one image', image)
    return JSON.parse(await callLong(() => this.#native.profile(pixels, repeats)))
  }

  /** The graph as text: as it is stored, or as it runs. */
  dump(what: 'frozen' | 'fused'): string {
    checkOneOf('dump', 'what', what, ['frozen', 'fused'])
    return call(() => this.#native.dump(what))
  }

  /** Frees the network at once. Whatever is called later fails with BNETS_DISPOSED; a second call does nothing. */
  dispose(): void {
    this.#native.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose()
  }
}

/** Reads what {@link FrozenNetwork.save} wrote: a file, by its path or `file:` URL, or the bytes of one. If a byte of it was changed, it is refused (BNETS_FORMAT). */
export async function loadFrozen<O extends Outputs = { readonly logits: Sym }>(
  source: string | URL | Uint8Array,
  options: RunOptions = {},
): Promise<FrozenNetwork<O>> {
  const file = checkFile('loadFrozen', source)
  checkOptions('loadFrozen', options, RUN_OPTIONS)
  const given = checkRunOptions('loadFrozen', options)
  return wrapFrozen<O>(await callLong(() => NativeFrozenNetwork.load(file, given)))
}

/**
 * Reads an ONNX file, by its path or `file:` URL, or the bytes of one, as a network that runs packed: one that {@link FrozenNetwork.exportOnnx} wrote, or another ResNet-like one of floats or of binarised convolutions.
 * What is not understood is refused, naming the node (BNETS_UNSUPPORTED).
 */
export async function importOnnx<O extends Outputs = { readonly logits: Sym }>(
  source: string | URL | Uint8Array,
  options: ImportOptions = {},
): Promise<FrozenNetwork<O>> {
  const file = checkFile('importOnnx', source)
  checkOptions('importOnnx', options, ['normalize', ...RUN_OPTIONS])
  const { normalize } = options
  const isList = (list: unknown) => Array.isArray(list) && list.every(Number.isFinite)
  if (normalize !== undefined && !(isList(normalize?.mean) && isList(normalize?.std))) {
    reject('importOnnx', 'normalize', '{ mean: […], std: […] }', normalize)
  }
  const given = {
    ...checkRunOptions('importOnnx', options),
    ...(normalize && { normalize: JSON.stringify({ mean: normalize.mean, std: normalize.std }) }),
  }
  const native = await callLong(() => NativeFrozenNetwork.importOnnx(file, given))
  return wrapFrozen<O>(native)
}

/** A path, or the bytes of a file. */
function checkFile(owner: string, source: string | URL | Uint8Array): string | Uint8Array {
  if (source instanceof URL) return fileURLToPath(source)
  return typeof source === 'string' ? checkString(owner, 'path', source) : checkArray(owner, 'path', source, Uint8Array)
}
