import { checkFunction, reject } from '../arguments.js'
import { type Layer, recorderOf, type Sym } from '../sym.js'

/**
 * Layers composed into one. The keys become paths: a block under the key `layer1` with a child `conv1` keeps `layer1.conv1.weight`.
 * `forward` is called once, when the model is traced; it gets the children and the block's input.
 */
export function block<const C extends Readonly<Record<string, Layer>>, R>(
  children: C,
  forward: (children: C, x: Sym) => R,
): (x: Sym) => R {
  checkFunction('block', 'forward', forward)
  for (const [key, child] of Object.entries(children)) {
    if (key === '' || key.includes('.')) reject('block', 'a key', 'a name without dots', key)
    checkFunction('block', key, child)
  }
  return (x) => {
    const named = Object.entries(children).map(([key, child]): [string, Layer] => [
      key,
      (input) => recorderOf(input).within(key, child, () => child(input)),
    ])
    return forward(Object.fromEntries(named) as C, x)
  }
}
