import { checkInteger, checkOneOf } from './arguments.js'

/** Where and how a network runs. */
export interface RunOptions {
  /** Default: one for each core. Results do not depend on it. */
  readonly threads?: number
  /** The instruction set to use. Default: the best that this machine has. */
  readonly isa?: 'scalar' | 'avx2' | 'avx512' | 'neon'
}

/** Something long that can be stopped: it rejects with the signal's reason, and has changed nothing. */
export interface Abortable {
  readonly signal?: AbortSignal
}

export const RUN_OPTIONS = ['threads', 'isa'] as const

export function checkRunOptions(owner: string, { threads, isa }: RunOptions) {
  if (threads !== undefined) checkInteger(owner, 'threads', threads)
  if (isa !== undefined) checkOneOf(owner, 'isa', isa, ['scalar', 'avx2', 'avx512', 'neon'])
  return {
    ...(threads !== undefined && { threads }),
    ...(isa !== undefined && { isa }),
  }
}
