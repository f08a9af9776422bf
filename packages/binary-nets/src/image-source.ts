import { fileURLToPath } from 'node:url'
import { checkArray, checkInteger, isIterable, reject } from './arguments.js'
import { checkResize, type Resize } from './data.js'
import { BinaryNetsError } from './errors.js'
import { type Image, type ImageSize, isOne, pixelsOf } from './images.js'
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
 * An image: raw pixels of the network's size, a sample of a dataset, the path of a PNG or JPEG file or its `file:` URL, the bytes of such a file, or RGBA pixels. All but the
 * first two may be of any size. Bytes are those of a file where they begin as one and can be decoded.
 */
export type ImageSource = Image | string | URL | RgbaImage

const KINDS =
  'pixels, a sample of a dataset, the path or the bytes of a PNG or JPEG file, or { data, width, height } of RGBA'

/**
 * The pixels of images one after the other, how many they are, and whether one was given, and no list. What the images hold is read before this returns, but for files, so
 * their memory may be used again at once.
 */
export async function readImages(
  owner: string,
  images: ImageSource | Iterable<ImageSource>,
  size: ImageSize,
  resize: Resize,
): Promise<{ readonly pixels: Uint8Array; readonly count: number; readonly isOne: boolean }> {
  const isOne = isSource(images)
  const list = isOne
    ? [images]
    : isIterable<ImageSource>(images)
      ? [...images]
      : reject(owner, 'images', `${KINDS}, or a list`, images)
  if (list.length === 0) reject(owner, 'images', 'one image or more', [])
  const pixels = await Promise.all(list.map((image, index) => readImage(owner, index, image, size, resize)))
  return { pixels: Buffer.concat(pixels), count: list.length, isOne }
}

/** A copy of the pixels of an image, in the network's size. */
async function readImage(
  owner: string,
  index: number,
  image: ImageSource,
  size: ImageSize,
  resize: Resize,
): Promise<Uint8Array> {
  const { height, width, channels } = size
  const target = { height, width, channels, ...checkResize(owner, resize) }
  if (typeof image === 'string' || image instanceof URL) {
    const path = typeof image === 'string' ? image : fileURLToPath(image)
    return callLong(() => decodeImage(path, target))
  }
  if (isRgba(image)) {
    const data = rgbaOf(owner, index, image)
    return callLong(() => decodeImage({ data, width: image.width, height: image.height }, target))
  }
  if (!isOne(image)) return reject(owner, `image ${index}`, KINDS, image)
  if (!(image instanceof Uint8Array) || !isEncoded(image)) return pixelsOf(owner, index, image, size).slice()
  const raw = image.length === height * width * channels ? image.slice() : undefined
  try {
    return await callLong(() => decodeImage(checkArray(owner, `image ${index}`, image, Uint8Array), target))
  } catch (cause) {
    // Pixels may begin as a file does.
    if (raw !== undefined) return raw
    if (!(cause instanceof BinaryNetsError)) throw cause
    throw new BinaryNetsError(cause.code, `${owner}: image ${index}: ${cause.message}`, { cause })
  }
}

function rgbaOf(owner: string, index: number, { data, width, height }: RgbaImage): Uint8Array {
  checkInteger(owner, `the width of image ${index}`, width)
  checkInteger(owner, `the height of image ${index}`, height)
  const pixels = data instanceof Uint8ClampedArray ? new Uint8Array(data) : data
  checkArray(owner, `the data of image ${index}`, pixels, Uint8Array)
  if (pixels.length === 4 * width * height) return pixels
  const expected = `${width}×${height} RGBA pixels, ${4 * width * height} bytes`
  throw new BinaryNetsError('BNETS_SHAPE', `${owner}: image ${index} should hold ${expected}, got ${pixels.length}`)
}

/** The pixels of a batch, no copy of them, and how many images they are. */
export function pixelsOfBatch(owner: string, { data, shape }: ImageBatch, { height, width, channels }: ImageSize) {
  const [count = 0, ...one] = shape
  const size = [height, width, channels]
  checkArray(owner, 'data', data, Uint8Array)
  const fits = shape.length === 4 && count > 0 && size.every((extent, axis) => extent === one[axis])
  if (!fits || data.length !== count * height * width * channels) {
    const message = `images should be [n, ${size.join(', ')}], got [${shape.join(', ')}] with ${data.length} bytes`
    throw new BinaryNetsError('BNETS_SHAPE', `${owner}: ${message}`)
  }
  return { pixels: data, count, isOne: false }
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
  return typeof value === 'string' || value instanceof URL || isRgba(value) || isOne(value as Image)
}

function isRgba(value: unknown): value is RgbaImage {
  return isObject(value) && !ArrayBuffer.isView(value) && 'data' in value && 'width' in value && 'height' in value
}

/** Whether these are images in one array. */
export function isBatch(value: unknown): value is ImageBatch {
  return (
    isObject(value) && !ArrayBuffer.isView(value) && 'data' in value && 'shape' in value && Array.isArray(value.shape)
  )
}
