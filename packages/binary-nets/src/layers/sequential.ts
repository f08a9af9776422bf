import type { Layer } from '../sym.js'
import { block } from './block.js'

/** Layers one after the other, under the keys `0`, `1`, … */
export function sequential(...layers: readonly Layer[]): Layer {
  const children = Object.fromEntries(layers.map((layer, index) => [String(index), layer]))
  // Keys that are integers keep their order.
  return block(children, (named, x) => x.pipe(...Object.values(named)))
}
