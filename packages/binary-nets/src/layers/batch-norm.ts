import { checkInteger, checkNumber, checkOptions } from '../arguments.js'
import { type Layer, recorderOf, type Sym } from '../sym.js'
import { layer } from '../trace.js'

export interface BatchNormOptions {
  /** Added to the variance. Default: 1e-5. */
  readonly eps?: number
  /** The weight of a batch's statistics in the running ones. Default: 0.1. */
  readonly momentum?: number
  /** How γ starts: 0 for the last norm of a residual block that begins as the identity. Default: 1. */
  readonly gamma?: number
}

/** Batch normalisation of feature maps `[n, h, w, planes]`; keeps `weight` (γ), `bias` (β), `running_mean`, `running_var`, each `[planes]`. */
export function batchNorm2d(planes: number, options: BatchNormOptions = {}): Layer {
  return batchNorm('batchNorm2d', planes, options)
}

/** Batch normalisation of vectors `[n, features]`; keeps what {@link batchNorm2d} keeps. */
export function batchNorm1d(features: number, options: BatchNormOptions = {}): Layer {
  return batchNorm('batchNorm1d', features, options)
}

function batchNorm(owner: string, channels: number, options: BatchNormOptions): Layer {
  checkInteger(owner, 'channels', channels)
  checkOptions(owner, options, ['eps', 'momentum', 'gamma'])
  const { eps = 1e-5, momentum = 0.1, gamma = 1 } = options
  checkNumber(owner, 'eps', eps, { min: 0 })
  checkNumber(owner, 'momentum', momentum, { min: 0, max: 1 })
  checkNumber(owner, 'gamma', gamma)
  return layer((x, own) => {
    const shape = [channels]
    const inputs = [
      x,
      own('weight', shape, { constant: gamma }),
      own('bias', shape, { constant: 0 }),
      own('running_mean', shape, { constant: 0 }, 'statistic'),
      own('running_var', shape, { constant: 1 }, 'statistic'),
    ]
    const [y] = recorderOf(x).record({ batch_norm: { eps, momentum } }, inputs, 3)
    return y as Sym
  })
}
