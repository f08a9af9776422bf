import type { Sym } from '../sym.js'

/** The input, unchanged. */
export function identity(x: Sym): Sym {
  return x
}
