import type { Sym } from '../sym.js'

/** `[n, …]` as `[n, features]` */
export function flatten(x: Sym): Sym {
  return x.flatten()
}
