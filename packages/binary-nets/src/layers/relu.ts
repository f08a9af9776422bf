import { one, recorderOf, type Sym } from '../sym.js'

/** `max(x, 0)` */
export function relu(x: Sym): Sym {
  return one(recorderOf(x).record({ relu: {} }, [x]))
}
