import { checkArray, checkInteger, reject } from './arguments.js'
import { checkResize, type Resize } from './data.js'
import { BinaryNetsError } from './errors.js'
import { type Image, packImages } from './images.js'
import { callLong, decodeImage } from './native.js'

/** RGBA pixels, row after row: a browser's `ImageData`. Alpha is dropped. */
export interface RgbaImage {
  readonly data: Uint8Array | Uint8ClampedArray
  readonly width: number
  readonly height: number
}

/** Raw uint8 images, `[n, height, width, channels]`. */
export interface ImageBatch {
  readonly data: Uint8Array
  readonly shape: readonly number[]
}

/**
 * An image: raw pixels of the network's size, a sample of a dataset, the path of a PNG or JPEG file, a `Buffer` that holds such a file, or RGBA pixels. All but the
 * first two may be of any size.
 */
export type ImageSource = Image | string | RgbaImage

interface Size {
  readonly height: number
  readonly width: number
  readonly channels: number
}

/** The pixels of images one after the other, how many they are, and whether one was given, and no list. */
export async function readImages(
  owner: string,
  images: ImageSource | ImageBatch | Iterable<ImageSource>,
  size: Size,
  resize: Resize,
): Promise<{ readonly pixels: Uint8Array; readonly count: number; readonly isOne: boolean }> {
  if (isBatch(images)) return { ...readBatch(owner, images, size), isOne: false }
  const isOne = isSource(images)
  const list = isOne ? [images] : isIterable(images) ? [...images] : reject(owner, 'images', 'images', images)
  const raw = await Promise.all(list.map((image) => readImage(owner, image, size, resize)))
  return { ...packImages(owner, raw, size), isOne }
}

/** Raw pixels of the network's size. */
function readImage(owner: string, image: ImageSource, size: Size, resize: Resize): Image | Promise<Uint8Array> {
  const { height, width, channels } = size
  const target = { height, width, channels, ...checkResize(owner, resize) }
  if (typeof image === 'string') return callLong(() => decodeImage(image, target))
  if (Buffer.isBuffer(image) && isEncoded(image)) return callLong(() => decodeImage(image, target))
  if (!isRgba(image)) return image
  const { data, width: columns, height: rows } = image
  checkInteger(owner, 'the width of an image', columns)
  checkInteger(owner, 'the height of an image', rows)
  const pixels = data instanceof Uint8ClampedArray ? new Uint8Array(data) : checkArray(owner, 'data', data, Uint8Array)
  if (pixels.length !== 4 * columns * rows) {
    const expected = `${columns}×${rows} RGBA pixels, ${4 * columns * rows} bytes`
    throw new BinaryNetsError('BNETS_SHAPE', `${owner}: an image should hold ${expected}, got ${pixels.length}`)
  }
  return callLong(() => decodeImage({ data: pixels, width: columns, height: rows }, target))
}

function readBatch(owner: string, { data, shape }: ImageBatch, { height, width, channels }: Size) {
  const [count = 0, ...one] = shape
  const size = [height, width, channels]
  checkArray(owner, 'data', data, Uint8Array)
  const fits = shape.length === 4 && count > 0 && size.every((extent, axis) => extent === one[axis])
  if (!fits || data.length !== count * height * width * channels) {
    const message = `images should be [n, ${size.join(', ')}], got [${shape.join(', ')}] with ${data.length} bytes`
    throw new BinaryNetsError('BNETS_SHAPE', `${owner}: ${message}`)
  }
  return { pixels: data, count }
}

/** Whether bytes begin as a PNG or a JPEG file does. */
function isEncoded(bytes: Uint8Array): boolean {
  const starts = (signature: readonly number[]) => signature.every((byte, place) => bytes[place] === byte)
  return starts([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]) || starts([0xff, 0xd8, 0xff])
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function isSource(value: ImageSource | Iterable<ImageSource>): value is ImageSource {
  return (
    typeof value === 'string' || ArrayBuffer.isView(value) || (isObject(value) && 'image' in value) || isRgba(value)
  )
}

function isRgba(value: unknown): value is RgbaImage {
  return isObject(value) && !ArrayBuffer.isView(value) && 'data' in value && 'width' in value && 'height' in value
}

function isBatch(value: unknown): value is ImageBatch {
  return (
    isObject(value) && !ArrayBuffer.isView(value) && 'data' in value && 'shape' in value && Array.isArray(value.shape)
  )
}

function isIterable(value: unknown): value is Iterable<ImageSource> {
  return isObject(value) && Symbol.iterator in value
}
