import { checkArray, isIterable, reject } from './arguments.js'
import type { Sample } from './data.js'
import { BinaryNetsError } from './errors.js'

/** uint8 pixels `[height, width, channels]`, or a sample of a dataset. */
export type Image = Uint8Array | Sample

const KINDS = 'uint8 pixels or a sample of a dataset, or a list of them (a frozen network reads files, too)'

/** The extents of an image. */
export interface ImageSize {
  readonly height: number
  readonly width: number
  readonly channels: number
}

/** The pixels of one image or several, one after the other, and how many they are. */
export function packImages(
  owner: string,
  images: Image | Iterable<Image>,
  size: ImageSize,
): { readonly pixels: Uint8Array; readonly count: number } {
  const list = isOne(images)
    ? [images]
    : [...(isIterable<Image>(images) ? images : reject(owner, 'images', KINDS, images))]
  if (list.length === 0) reject(owner, 'images', 'one image or more', [])
  return { pixels: Buffer.concat(list.map((image, index) => pixelsOf(owner, index, image, size))), count: list.length }
}

/** The pixels of an image, which is one of several. */
export function pixelsOf(
  owner: string,
  index: number,
  image: Image,
  { height, width, channels }: ImageSize,
): Uint8Array {
  const data = checkArray(owner, `image ${index}`, isSample(image) ? image.image : image, Uint8Array)
  if (data.length === height * width * channels) return data
  const expected = `${height}×${width}×${channels} = ${height * width * channels} bytes`
  throw new BinaryNetsError('BNETS_SHAPE', `${owner}: image ${index} should hold ${expected}, got ${data.length}`)
}

/** Whether these are the pixels of one image, or a sample, and no list of them. */
export function isOne(images: Image | Iterable<Image>): images is Image {
  return ArrayBuffer.isView(images) || isSample(images)
}

function isSample(value: unknown): value is Sample {
  return typeof value === 'object' && value !== null && 'image' in value
}
