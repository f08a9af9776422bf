import { checkInteger, checkNumber, checkOptions } from '../arguments.js'
import { type Layer, one, recorderOf, type Sym } from '../sym.js'
import { layer } from '../trace.js'

/** `x` where it is positive, else `slope·x` (He et al. 2015); keeps the learned `weight` `[channels]`, 0.25 at first. One channel serves all. */
export function prelu(channels: number, options: { readonly slope?: number } = {}): Layer {
  checkInteger('prelu', 'channels', channels)
  checkOptions('prelu', options, ['slope'])
  const slope = checkNumber('prelu', 'slope', options.slope ?? 0.25)
  return layer((x, own) => leaky(x, own('weight', [channels], { constant: slope })))
}

/**
 * RPReLU (ReActNet, Liu et al. 2020): `x − shift + offset` where `x > shift`, else `slope·(x − shift) + offset`; keeps `shift` (0 at first), `slope` (0.25) and
 * `offset` (0), each `[channels]`.
 */
export function rprelu(channels: number): Layer {
  checkInteger('rprelu', 'channels', channels)
  const shape = [channels]
  return layer((x, own) => {
    const shifted = x.sub(own('shift', shape, { constant: 0 }))
    const bent = leaky(shifted, own('slope', shape, { constant: 0.25 }))
    return bent.add(own('offset', shape, { constant: 0 }))
  })
}

function leaky(x: Sym, slope: Sym): Sym {
  return one(recorderOf(x).record({ prelu: {} }, [x, slope]))
}
