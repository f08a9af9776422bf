import { checkInteger, reject } from '../arguments.js'
import type { Extents, WindowSpec } from '../spec.js'

/** One number for both axes, or `[height, width]`. */
export type Pair = number | Extents

export interface WindowOptions {
  readonly kernel: Pair
  /** Steps of the window, in pixels of the input. */
  readonly stride?: Pair
  /** Pixels that stand outside the image on each side. */
  readonly padding?: Pair
  /** Distance between taps, in pixels of the input. */
  readonly dilation?: Pair
}

export const WINDOW_OPTIONS = ['kernel', 'stride', 'padding', 'dilation'] as const

/** The window that options describe; `stride` stands where they give none. */
export function checkWindow(owner: string, options: WindowOptions, stride: Pair = 1): WindowSpec {
  const pair = (option: keyof WindowOptions, value: Pair, min: number): Extents => {
    const both = typeof value === 'number' ? [value, value] : value
    if (!Array.isArray(both) || both.length !== 2) return reject(owner, option, 'a number or [height, width]', value)
    return [checkInteger(owner, option, both[0], { min }), checkInteger(owner, option, both[1], { min })]
  }
  return {
    kernel: pair('kernel', options.kernel, 1),
    stride: pair('stride', options.stride ?? stride, 1),
    padding: pair('padding', options.padding ?? 0, 0),
    dilation: pair('dilation', options.dilation ?? 1, 1),
  }
}

/** The number of taps of a window. */
export function taps({ kernel: [height, width] }: WindowSpec): number {
  return height * width
}

/** Checks the channels and groups of a convolution; gives the shape of its weights, `[out, in/groups, kh, kw]`. */
export function weightShape(
  owner: string,
  { kernel }: WindowSpec,
  channels: {
    readonly in: number
    readonly out: number
    readonly groups: number
  },
): readonly number[] {
  for (const [option, value] of Object.entries(channels)) checkInteger(owner, option, value)
  const { in: inPlanes, out: planes, groups } = channels
  if (inPlanes % groups !== 0 || planes % groups !== 0) {
    reject(owner, 'groups', `a divisor of ${inPlanes} and ${planes} channels`, groups)
  }
  return [planes, inPlanes / groups, ...kernel]
}
