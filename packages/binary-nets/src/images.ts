import { checkArray, reject } from './arguments.js'
import type { Sample } from './data.js'
import { BinaryNetsError } from './errors.js'

/** uint8 pixels `[height, width, channels]`, or a sample of a dataset. */
export type Image = Uint8Array | Sample

/** The pixels of one image or several, one after the other, and how many they are. */
export function packImages(
  owner: string,
  images: Image | Iterable<Image>,
  {
    height,
    width,
    channels,
  }: {
    readonly height: number
    readonly width: number
    readonly channels: number
  },
): { readonly pixels: Uint8Array; readonly count: number } {
  const list = isOne(images) ? [images] : [...(isIterable(images) ? images : reject(owner, 'images', 'images', images))]
  if (list.length === 0) reject(owner, 'images', 'one image or more', [])
  const size = height * width * channels
  const pixels = new Uint8Array(list.length * size)
  list.forEach((image, index) => {
    const data = checkArray(owner, 'an image', isSample(image) ? image.image : image, Uint8Array)
    if (data.length !== size) {
      const expected = `${height}×${width}×${channels} = ${size} bytes`
      throw new BinaryNetsError('BNETS_SHAPE', `${owner}: image ${index} should hold ${expected}, got ${data.length}`)
    }
    pixels.set(data, index * size)
  })
  return { pixels, count: list.length }
}

/** Whether these are the pixels of one image, or a sample, and no list of them. */
export function isOne(images: Image | Iterable<Image>): images is Image {
  return ArrayBuffer.isView(images) || isSample(images)
}

function isSample(value: unknown): value is Sample {
  return typeof value === 'object' && value !== null && 'image' in value
}

function isIterable(value: unknown): value is Iterable<Image> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value
}
