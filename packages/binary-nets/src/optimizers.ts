import { checkBoolean, checkFunction, checkNumber, checkOptions, reject } from './arguments.js'
import { BinaryNetsError } from './errors.js'
import { constant, type Schedule } from './schedules.js'
import type { StateKind } from './spec.js'

/** A tensor of a network that a checkpoint holds. */
export interface Parameter {
  /** The checkpoint key: `layer1.0.conv1.weight`. */
  readonly path: string
  readonly shape: readonly number[]
  /** A `'latent'` is the float shadow of a binary weight; a `'statistic'` is never optimized. */
  readonly kind: StateKind
}

/** How a parameter is updated. */
export type UpdateRule =
  | {
      readonly adam: {
        readonly beta1: number
        readonly beta2: number
        readonly eps: number
        readonly weight_decay: number
        readonly clamp: number | null
        readonly decoupled: boolean
        readonly amsgrad: boolean
      }
    }
  | { readonly bop: { readonly threshold: number } }
  | {
      readonly sgd: {
        readonly momentum: number
        readonly nesterov: boolean
        readonly weight_decay: number
        readonly clamp: number | null
      }
    }

/** An update rule with its learning rate; {@link frozen} has none. */
export interface Optimizer {
  readonly rule: UpdateRule | null
  readonly lr: Schedule
}

/** Whom an optimizer is for. */
export type Selector = (parameter: Parameter) => boolean

/** One optimizer for all, or a list in which each parameter takes the first that selects it. */
export type Optimizers = Optimizer | readonly (readonly [Selector, Optimizer])[]

/** Selects the latent weights of binary and ternary layers. */
export const isBinary: Selector = ({ kind }) => kind === 'latent'

/** Selects whatever the rules before have left. */
export const rest: Selector = () => true

/** Leaves parameters as they are. */
export const frozen: Optimizer = { rule: null, lr: constant(0) }

interface CommonOptions {
  /** The learning rate: a number or a schedule. */
  readonly lr?: number | Schedule
  /** The factor of the weight that is added to its gradient, or by which `adamW` makes it smaller. Default: 0, and 1e-2 for `adamW`. */
  readonly weightDecay?: number
  /** Weights are kept within `±clamp`, as binary latents are (BinaryNet). Default: they are not. */
  readonly clamp?: number
}

export interface AdamOptions extends CommonOptions {
  /** The decays of both moments. Default: `[0.9, 0.999]`. */
  readonly betas?: readonly [number, number]
  /** Added to the denominator. Default: 1e-8. */
  readonly eps?: number
  /** AMSGrad (Reddi et al. 2018): the denominator never falls. Default: false. */
  readonly amsgrad?: boolean
}

/** Adam (Kingma and Ba 2015) as PyTorch defines it; `lr` is 1e-3 by default. */
export function adam(options: AdamOptions = {}): Optimizer {
  return adaptive('adam', options, false)
}

/** AdamW (Loshchilov and Hutter 2019) as PyTorch defines it: the weight decays by `lr·weightDecay`, which is 1e-2 by default, apart from its gradient. */
export function adamW(options: AdamOptions = {}): Optimizer {
  return adaptive('adamW', { ...options, weightDecay: options.weightDecay ?? 1e-2 }, true)
}

function adaptive(owner: string, options: AdamOptions, decoupled: boolean): Optimizer {
  checkOptions(owner, options, ['lr', 'betas', 'eps', 'amsgrad', 'weightDecay', 'clamp'])
  const { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, amsgrad = false } = options
  if (!Array.isArray(betas) || betas.length !== 2) reject(owner, 'betas', 'two numbers', betas)
  const [beta1, beta2] = betas.map((beta: number) =>
    checkNumber(owner, 'betas', beta, { min: 0, max: 1 - Number.EPSILON }),
  ) as [number, number]
  checkNumber(owner, 'eps', eps, { min: 0 })
  checkBoolean(owner, 'amsgrad', amsgrad)
  return {
    rule: { adam: { beta1, beta2, eps, ...common(owner, options), decoupled, amsgrad } },
    lr: learningRate(owner, lr),
  }
}

export interface BopOptions {
  /** γ, the weight of a new gradient in the average: a number or a schedule. Default: 1e-4. */
  readonly gamma?: number | Schedule
  /** τ, the average gradient that flips a weight. Default: 1e-8. */
  readonly threshold?: number
}

/**
 * Bop (Helwegen et al. 2019), for binary weights without latents: `m ← (1 − γ)m + γg`, and a weight flips where `|m| > τ` and m has its sign. From the first step
 * on the weights are ±1; use it with `scaledSign({ scale: 'none' })`.
 */
export function bop(options: BopOptions = {}): Optimizer {
  checkOptions('bop', options, ['gamma', 'threshold'])
  const { gamma = 1e-4, threshold = 1e-8 } = options
  checkNumber('bop', 'threshold', threshold, { min: 0 })
  return { rule: { bop: { threshold } }, lr: learningRate('bop', gamma, 'gamma') }
}

export interface SgdOptions extends CommonOptions {
  /** Default: 0. */
  readonly momentum?: number
  /** Nesterov's form of the momentum. Default: false. */
  readonly nesterov?: boolean
}

/** Stochastic gradient descent as PyTorch defines it; `lr` is 1e-2 by default. */
export function sgd(options: SgdOptions = {}): Optimizer {
  checkOptions('sgd', options, ['lr', 'momentum', 'nesterov', 'weightDecay', 'clamp'])
  const { lr = 1e-2, momentum = 0, nesterov = false } = options
  checkNumber('sgd', 'momentum', momentum, { min: 0 })
  checkBoolean('sgd', 'nesterov', nesterov)
  if (nesterov && momentum === 0) reject('sgd', 'nesterov', 'false where there is no momentum', nesterov)
  return {
    rule: { sgd: { momentum, nesterov, ...common('sgd', options) } },
    lr: learningRate('sgd', lr),
  }
}

function common(owner: string, { weightDecay = 0, clamp }: CommonOptions) {
  checkNumber(owner, 'weightDecay', weightDecay, { min: 0 })
  if (clamp !== undefined) checkNumber(owner, 'clamp', clamp, { min: Number.MIN_VALUE })
  return { weight_decay: weightDecay, clamp: clamp ?? null }
}

function learningRate(owner: string, lr: number | Schedule, option = 'lr'): Schedule {
  return typeof lr === 'number'
    ? constant(checkNumber(owner, option, lr, { min: 0 }))
    : checkFunction(owner, option, lr)
}

/** One parameter's update, with the name of the number that the step gives its learning rate by. */
export interface Update {
  readonly path: string
  readonly rule: UpdateRule
  readonly lr: string
}

/** Which rule updates which parameter, and the learning rates by name. A parameter that no rule selects is an error. */
export function assignUpdates(optimizers: Optimizers, parameters: readonly Parameter[]) {
  const rules = isList(optimizers) ? optimizers : [[rest, optimizers] as const]
  for (const rule of rules) {
    if (!Array.isArray(rule) || rule.length !== 2) reject('optimizer', 'a rule', '[selector, optimizer]', rule)
    checkFunction('optimizer', 'a selector', rule[0])
    if (typeof rule[1]?.lr !== 'function') reject('optimizer', 'an optimizer', 'one such as adam({ … })', rule[1])
  }
  const updates: Update[] = []
  for (const parameter of parameters.filter(({ kind }) => kind !== 'statistic')) {
    const index = rules.findIndex(([selects]) => selects(parameter))
    const rule = rules[index]?.[1].rule
    if (rule === undefined) {
      throw new BinaryNetsError(
        'BNETS_ARGUMENT',
        `optimizer: no rule selects ${parameter.path}; end the list with [rest, …]`,
      )
    }
    if (rule !== null && 'bop' in rule && parameter.kind !== 'latent') {
      reject('optimizer', 'bop', 'for binary weights alone, as [isBinary, bop()] says', parameter.path)
    }
    if (rule !== null) updates.push({ path: parameter.path, rule, lr: `#lr${index}` })
  }
  if (updates.length === 0)
    reject('optimizer', 'the rules', 'such that something is trained; all parameters are frozen', rules)
  const learningRates: Readonly<Record<string, Schedule>> = Object.fromEntries(
    rules.flatMap(([, { rule, lr }], index) => (rule === null ? [] : [[`#lr${index}`, lr]])),
  )
  return { updates, learningRates }
}

function isList(optimizers: Optimizers): optimizers is readonly (readonly [Selector, Optimizer])[] {
  return Array.isArray(optimizers)
}
