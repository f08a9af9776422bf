import type { Sym } from '../sym.js'
import { block } from './block.js'

/** Layers one after the other, under the keys `0`, `1`, … */
export function sequential<T = Sym>(...layers: readonly ((x: T) => T)[]): (x: T) => T {
  return block(layers, (named: typeof layers, x: T) => named.reduce((value, layer) => layer(value), x))
}
