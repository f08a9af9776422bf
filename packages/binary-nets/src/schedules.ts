import { checkFunction, checkNumber, checkOptions, reject } from './arguments.js'

/**
 * A number that changes during a run: its value for the step `step` of `total`, counted from 0. Times in options are fractions of the run, so a schedule
 * stays the same whatever the number of samples or epochs.
 */
export type Schedule = (step: number, total: number) => number

/** The same number throughout. */
export function constant(value: number): Schedule {
  checkNumber('constant', 'value', value)
  return () => value
}

/** Multiplied by `factor` (default 0.1) after each `every` of the run: with 1/3, twice. */
export function stepDecay(start: number, options: { readonly every: number; readonly factor?: number }): Schedule {
  checkOptions('stepDecay', options, ['every', 'factor'])
  const { every, factor = 0.1 } = options
  checkNumber('stepDecay', 'start', start)
  checkNumber('stepDecay', 'every', every, { min: Number.MIN_VALUE, max: 1 })
  checkNumber('stepDecay', 'factor', factor)
  return (step, total) => start * factor ** Math.floor(step / (every * total))
}

/** Multiplied by `factor` (default 0.1) at each of the milestones: `[0.5, 0.75]` is after a half and after three quarters of the run. */
export function multiStepDecay(
  start: number,
  options: { readonly milestones: readonly number[]; readonly factor?: number },
): Schedule {
  checkOptions('multiStepDecay', options, ['milestones', 'factor'])
  const { milestones, factor = 0.1 } = options
  checkNumber('multiStepDecay', 'start', start)
  if (!Array.isArray(milestones)) reject('multiStepDecay', 'milestones', 'a list of fractions of the run', milestones)
  for (const milestone of milestones) checkNumber('multiStepDecay', 'milestones', milestone, { min: 0, max: 1 })
  checkNumber('multiStepDecay', 'factor', factor)
  return (step, total) => start * factor ** milestones.filter((milestone) => step >= milestone * total).length
}

/** In a straight line from `start` towards `end` (default 0), which the step after the last would reach. */
export function linearDecay(start: number, options: { readonly end?: number } = {}): Schedule {
  checkOptions('linearDecay', options, ['end'])
  const { end = 0 } = options
  checkNumber('linearDecay', 'start', start)
  checkNumber('linearDecay', 'end', end)
  return (step, total) => start + (end - start) * (step / total)
}

/** Along half a cosine from `start` towards `end` (default 0), which the step after the last would reach (Loshchilov and Hutter 2017). */
export function cosine(start: number, options: { readonly end?: number } = {}): Schedule {
  checkOptions('cosine', options, ['end'])
  const { end = 0 } = options
  checkNumber('cosine', 'start', start)
  checkNumber('cosine', 'end', end)
  return (step, total) => wave(start, end, step / total)
}

export interface OneCycleOptions {
  /** The part of the run in which the number rises. Default: 0.3. */
  readonly rise?: number
  /** The first number is the peak divided by this. Default: 25. */
  readonly startDivisor?: number
  /** The last number is the first one divided by this. Default: 1e4. */
  readonly endDivisor?: number
}

/** Up to `peak` and down to almost nothing, each along half a cosine (Smith and Topin 2018), step by step as PyTorch's `OneCycleLR`. */
export function oneCycle(peak: number, options: OneCycleOptions = {}): Schedule {
  checkOptions('oneCycle', options, ['rise', 'startDivisor', 'endDivisor'])
  const { rise = 0.3, startDivisor = 25, endDivisor = 1e4 } = options
  checkNumber('oneCycle', 'peak', peak)
  checkNumber('oneCycle', 'rise', rise, { min: 0, max: 1 })
  checkNumber('oneCycle', 'startDivisor', startDivisor, {
    min: Number.MIN_VALUE,
  })
  checkNumber('oneCycle', 'endDivisor', endDivisor, { min: Number.MIN_VALUE })
  const first = peak / startDivisor
  return (step, total) => {
    const top = rise * total - 1
    if (step <= top) return top > 0 ? wave(first, peak, step / top) : peak
    return wave(peak, first / endDivisor, (step - top) / Math.max(total - 1 - top, 1))
  }
}

/** In front of a schedule, a straight rise over the fraction `part` of the run to where the schedule begins; the schedule has the rest of the run. */
export function warmup(part: number, schedule: Schedule): Schedule {
  checkNumber('warmup', 'part', part, { min: 0, max: 1 })
  checkFunction('warmup', 'schedule', schedule)
  return (step, total) => {
    const rise = Math.round(part * total)
    if (step < rise) return schedule(0, Math.max(total - rise, 1)) * ((step + 1) / (rise + 1))
    return schedule(step - rise, total - rise)
  }
}

/** From `from` at 0 to `to` at 1, along half a cosine. */
function wave(from: number, to: number, at: number): number {
  return from + ((to - from) * (1 - Math.cos(Math.PI * at))) / 2
}
