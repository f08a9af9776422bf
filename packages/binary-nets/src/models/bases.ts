import { identity } from '../layers/index.js'
import { concat, type Layer, type Sym } from '../sym.js'
import { layer } from '../trace.js'

// K bases of a feature map stand side by side among its channels, `[n, h, w, K·planes]`, and are computed as K groups.

/** A number of each base as one of each channel: `[1]` K times becomes `[K·planes]`. */
function perChannel(numbers: readonly Sym[], planes: number): Sym {
  return concat(
    numbers.map((number) => number.repeat(0, planes)),
    0,
  )
}

/** The sum of the bases, `[n, h, w, planes]`. */
export function sumBases(bases: number): Layer {
  return bases === 1 ? identity : (x) => x.reshape([0, 0, 0, bases, -1]).sum(3)
}

/** The same map for every base. */
export function repeatBases(bases: number): Layer {
  return bases === 1 ? identity : (x) => x.repeat(3, bases)
}

/** `λₖ·yₖ` with a learned scale for each base, 1 at first; keeps `0` … `K−1`, each `[1]`. */
export function baseScales(bases: number, planes: number): Layer {
  return layer((y, own) => {
    const scales = Array.from({ length: bases }, (_, base) => own(String(base), [1], { constant: 1 }))
    return y.mul(perChannel(scales, planes))
  })
}

/**
 * The fusion gate: `cₖ·zₖ + (1 − cₖ)·Σⱼ zⱼ` with `cₖ = clamp(Cₖ, 0, 1)`; keeps the learned `0` … `K−1`, each `[1]`, 0 at first. `'last'` has the last base in
 * place of zₖ. A gate of one base does nothing, but it is kept.
 */
export function fusionGate(bases: number, planes: number, gate: 'own' | 'last'): Layer {
  const [sum, repeat] = [sumBases(bases), repeatBases(bases)]
  return layer((z, own) => {
    const gates = Array.from({ length: bases }, (_, base) => own(String(base), [1], { constant: 0 }))
    if (bases === 1) return z
    const c = perChannel(gates, planes).clamp(0, 1)
    const kept = gate === 'own' ? z : repeat(z.slice(3, (bases - 1) * planes, bases * planes))
    return kept.mul(c).add(repeat(sum(z)).mul(c.neg().add(1)))
  })
}
