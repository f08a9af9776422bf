import { checkNumber } from '../arguments.js'
import { type Layer, recorderOf, type Sym } from '../sym.js'

/** In training, zeroes each element with probability `p` and scales the rest by 1/(1 − p); in evaluation nothing. */
export function dropout(p: number): Layer {
  checkNumber('dropout', 'p', p, { min: 0, max: 1 - Number.EPSILON })
  return (x) => {
    const recorder = recorderOf(x)
    // The node's place tells the dropouts of a network apart.
    const [y] = recorder.record({ dropout: { p, stream: recorder.length } }, [x], 2)
    return y as Sym
  }
}
