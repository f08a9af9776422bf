import type { Teacher } from './losses.js'
import { call, callLong, type NativeNetwork } from './native.js'
import type { Parameter } from './optimizers.js'
import type { Abortable } from './run-options.js'
import type { Training } from './training.js'

/** What a network holds that its users do not see, and runs, plans and freezing do. */
export interface Inside {
  readonly native: NativeNetwork
  readonly outputs: readonly string[]
  classes: readonly string[] | null
  training: Training | null
  /** Whether a run is between its first and its last step. */
  fitting: boolean
  /** Whose copy the core has as the network's teacher. */
  teacher: Teacher | null
}

const INSIDES = new WeakMap<object, Inside>()

/** What a network holds; undefined of anything that is none. */
export function inside(network: unknown): Inside | undefined {
  return typeof network === 'object' && network !== null ? INSIDES.get(network) : undefined
}

/** Makes an object a network. */
export function setInside(network: object, inside: Inside): void {
  INSIDES.set(network, inside)
}

/** The parameters and running statistics. */
export function parametersOf({ native }: Inside): Parameter[] {
  return call(() => native.parameters()).map(({ path, shape, kind }) => {
    return { path, shape, kind: kind as Parameter['kind'] }
  })
}

/** Calls what takes long and ends early where the signal is aborted. */
export function long<T>(
  { native }: Inside,
  { signal }: Abortable,
  run: (native: NativeNetwork) => Promise<T>,
): Promise<T> {
  return callLong(
    () => run(native),
    signal,
    () => native.cancel(),
  )
}

/** As {@link long}, for what changes nothing: once the signal is aborted there is no result, even where it came first. */
export async function ask<T>(
  inside: Inside,
  options: Abortable,
  run: (native: NativeNetwork) => Promise<T>,
): Promise<T> {
  const result = await long(inside, options, run)
  options.signal?.throwIfAborted()
  return result
}
