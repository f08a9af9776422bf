import { checkBoolean, checkInteger, checkOptions } from '../arguments.js'
import type { Layer } from '../sym.js'
import { layer } from '../trace.js'

export interface LinearOptions {
  /** A number added to each output. Default: true. */
  readonly bias?: boolean
}

/** `x·Wᵀ + b`, `[n, inFeatures]` to `[n, features]`; keeps `weight` `[features, inFeatures]` and `bias`, both uniform in ±1/√inFeatures. */
export function linear(inFeatures: number, features: number, options: LinearOptions = {}): Layer {
  checkInteger('linear', 'inFeatures', inFeatures)
  checkInteger('linear', 'features', features)
  checkOptions('linear', options, ['bias'])
  const bias = checkBoolean('linear', 'bias', options.bias ?? true)
  const bound = 1 / Math.sqrt(inFeatures)
  const init = { uniform: { low: -bound, high: bound } }
  return layer((x, own) => {
    const y = x.matmul(own('weight', [features, inFeatures], init), {
      transposeB: true,
    })
    return bias ? y.add(own('bias', [features], init)) : y
  })
}
