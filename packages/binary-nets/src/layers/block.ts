import { checkFunction, reject } from '../arguments.js'
import { type AnyLayer, recorderIn, type Sym } from '../sym.js'
import { layer, type Own } from '../trace.js'

/** Layers by name, in objects and lists as deep as one likes. */
export type Children = { readonly [key: string]: AnyLayer | Children } | readonly (AnyLayer | Children)[]

/**
 * Layers composed into one. The keys become paths: a block under the key `layer1` with a child `conv1` keeps `layer1.conv1.weight`, and one with a
 * list of children `bases`, each with a child `conv1`, keeps `layer1.bases.0.conv1.weight`. `forward` is called once, when the model is traced; it gets the
 * children, the block's input, and what makes tensors of the block's own, as in {@link layer}.
 */
export function block<const C extends Children, R>(
  children: C,
  forward: (children: C, x: Sym, own: Own) => R,
): (x: Sym) => R
/** The same for a block that takes several values, in a list or an object. */
export function block<const C extends Children, A, R>(
  children: C,
  forward: (children: C, x: A, own: Own) => R,
): (x: A) => R
export function block<const C extends Children, A, R>(
  children: C,
  forward: (children: C, x: A, own: Own) => R,
): (x: A) => R {
  checkFunction('block', 'forward', forward)
  const named = withPaths(children, '') as C
  return layer((x: A, own: Own) => forward(named, x, own))
}

/** The children, each of which tells the trace its path when it is called. */
function withPaths(children: Children, path: string): Children {
  const entries = Object.entries(children).map(([key, child]): [string, AnyLayer | Children] => {
    if (key === '' || key.includes('.')) reject('block', 'a key', 'a name without dots', key)
    const inner = path === '' ? key : `${path}.${key}`
    if (typeof child === 'object' && child !== null) return [key, withPaths(child, inner)]
    checkFunction('block', inner, child)
    return [key, (x: never) => recorderIn(inner, x).within(inner, child, () => child(x))]
  })
  return Array.isArray(children) ? entries.map(([, child]) => child) : Object.fromEntries(entries)
}
