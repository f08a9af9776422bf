import { checkInteger, checkNumber, checkOptions, reject } from '../arguments.js'
import type { ImageInput } from '../trace.js'

export interface ImageOptions {
  readonly height: number
  readonly width: number
  /** 1 for grey, 3 for colour. */
  readonly channels: number
  /** Of pixels scaled to `[0, 1]`, one number for each channel. Default: mean 0 and standard deviation 1. */
  readonly normalize?: {
    readonly mean: readonly number[]
    readonly std: readonly number[]
  }
}

/** What a network looks at: raw uint8 pixels `[height, width, channels]`, which it normalises itself, `(x/255 − mean)/std`. */
export function image(options: ImageOptions): ImageInput {
  checkOptions('image', options, ['height', 'width', 'channels', 'normalize'])
  const [height, width, channels] = (['height', 'width', 'channels'] as const).map((name) =>
    checkInteger('image', name, options[name]),
  ) as [number, number, number]
  const { normalize = { mean: Array(channels).fill(0), std: Array(channels).fill(1) } } = options
  checkOptions('image: normalize', normalize, ['mean', 'std'])
  const list = (name: 'mean' | 'std', min?: number) => {
    const values = normalize[name]
    if (!Array.isArray(values) || values.length !== channels) {
      return reject('image: normalize', name, `${channels} numbers, one for each channel`, values)
    }
    return values.map((value) => checkNumber('image: normalize', name, value, min === undefined ? {} : { min }))
  }
  return {
    height,
    width,
    channels,
    mean: list('mean'),
    std: list('std', Number.MIN_VALUE),
  }
}
