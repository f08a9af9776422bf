import { BinaryNetsError } from './errors.js'

/** What may be checked about a number. Both ends are included. */
interface Range {
  readonly min?: number
  readonly max?: number
}

/** Throws BNETS_ARGUMENT naming the owner, the option and the value. */
export function reject(owner: string, option: string, expected: string, value: unknown): never {
  throw new BinaryNetsError('BNETS_ARGUMENT', `${owner}: ${option} should be ${expected}, got ${shown(value)}`)
}

/** A value as a message shows it: short, and never a failure of its own. */
function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'function') return `a function ${value.name}`.trimEnd()
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(shown).join(', ')}${value.length > 8 ? ', …' : ''}]`
  if (typeof value === 'object' && value !== null) {
    const kind = value.constructor?.name ?? 'Object'
    if (kind !== 'Object') return `a ${kind}`
    const keys = Object.keys(value)
    return keys.length === 0 ? '{}' : `{ ${keys.join(', ')} }`
  }
  return String(value)
}

/** Refuses options that do not exist, and a signal that is none, which a type checker may not have seen. */
export function checkOptions(owner: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) reject(owner, 'options', 'an object', options)
  const unknown = Object.keys(options).find((key) => !known.includes(key))
  if (unknown !== undefined) {
    throw new BinaryNetsError(
      'BNETS_ARGUMENT',
      `${owner}: there is no option ${unknown}; there are: ${known.join(', ')}`,
    )
  }
  if ('signal' in options && options.signal !== undefined && !(options.signal instanceof AbortSignal)) {
    reject(owner, 'signal', 'an AbortSignal, such as the signal of an AbortController', options.signal)
  }
}

export function checkNumber(owner: string, option: string, value: unknown, range: Range = {}): number {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = range
  if (typeof value === 'number' && Number.isFinite(value) && value >= min && value <= max) return value
  return reject(owner, option, `a number${bounds(range)}`, value)
}

export function checkInteger(owner: string, option: string, value: unknown, range: Range = { min: 1 }): number {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = range
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value
  return reject(owner, option, `an integer${bounds(range)}`, value)
}

function bounds({ min, max }: Range): string {
  // The smallest number above 0, and the largest below 1, stand for ends that are left out.
  const from = min === Number.MIN_VALUE ? 'above 0' : min === undefined ? '' : `of at least ${min}`
  if (max === undefined) return from && ` ${from}`
  const below = max < 1 && max >= 1 - 1e-9
  if (min === undefined) return ` of at most ${max}`
  if (below) return ` ${from} and below 1`
  return min === Number.MIN_VALUE ? ` above 0 and at most ${max}` : ` from ${min} to ${max}`
}

export function checkBoolean(owner: string, option: string, value: unknown): boolean {
  return typeof value === 'boolean' ? value : reject(owner, option, 'true or false', value)
}

export function checkString(owner: string, option: string, value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : reject(owner, option, 'a string', value)
}

export function checkOneOf<T extends string | number>(
  owner: string,
  option: string,
  value: T,
  choices: readonly T[],
): T {
  return choices.includes(value) ? value : reject(owner, option, `one of ${choices.map(shown).join(', ')}`, value)
}

/** Whether something is a list or the like; a string is not. */
export function isIterable<T>(value: unknown): value is Iterable<T> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value
}

export function checkFunction<T>(owner: string, option: string, value: T): T {
  return typeof value === 'function' ? value : reject(owner, option, 'a function', value)
}

/** The names of classes. */
export function checkClasses(owner: string, value: readonly string[]): readonly string[] {
  const good = Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === 'string')
  return good ? value : reject(owner, 'classes', 'a list of names', value)
}

/** A kind of typed array, of memory that is neither shared with other threads nor transferred away. */
export function checkArray<T extends Uint8Array | Uint32Array | Float32Array>(
  owner: string,
  option: string,
  value: unknown,
  kind: abstract new (...args: never[]) => T,
): T {
  if (!(value instanceof kind)) return reject(owner, option, `a ${kind.name}`, value)
  if (!(value.buffer instanceof ArrayBuffer))
    return reject(owner, option, `a ${kind.name} of memory of its own`, value.buffer)
  return value
}
