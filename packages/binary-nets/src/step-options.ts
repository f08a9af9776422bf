import { checkInteger, checkNumber, checkOneOf } from './arguments.js'

/**
 * How the gradients of binary and ternary convolutions are multiplied: `'f32'`, or `'fixed'`, as whole numbers of −127 to 127 with a unit for each tensor, rounded at random so
 * that their mean stays ([Gupta et al. 2015](https://arxiv.org/abs/1502.02551)).
 */
export type Gradients = (typeof GRADIENTS)[number]

const GRADIENTS = ['f32', 'fixed'] as const

/**
 * How the slopes of pseudo-gradients that depend on an activation's input (`'approx'`, `'swish'`) wait for backward: `'f32'`, as that input, or `'int8'`, rounded to 8 bits of
 * the largest slope: a quarter of the bytes, for a gradient that is off by about 0.2 % of that slope at most.
 */
export type Slopes = (typeof SLOPES)[number]

const SLOPES = ['f32', 'int8'] as const

/**
 * What a training step keeps for backward and what it computes again: `'speed'` computes nothing twice, `'balanced'` what is cheap, `'min'` whatever lowers the peak of memory.
 * Results are the same, bit by bit.
 */
export type MemoryPolicy = (typeof MEMORY_POLICIES)[number]

const MEMORY_POLICIES = ['speed', 'balanced', 'min'] as const

/** What a training step does with gradients and parameters besides updating them. */
export interface StepOptions {
  /**
   * How many batches one update takes the mean gradient of. They are counted on over the ends of epochs; those that are left at the end of the run make no update.
   * Schedules count batches. Default: 1.
   */
  readonly accumulate?: number
  /** The largest norm of all gradients together; longer ones are shortened to it, as PyTorch's `clip_grad_norm_` does. Default: they are not. */
  readonly clipNorm?: number
  /**
   * The decay of moving averages of parameters and running statistics, such as 0.999. Validations then see the averages, and `best.safetensors` has them in the place of
   * the parameters; the network keeps both, and {@link Network.swapAverages} exchanges them. Default: none are kept.
   */
  readonly average?: number
  /** How the gradients of binary convolutions are multiplied. Default: `'f32'`. */
  readonly gradients?: Gradients
  /** How the slopes of pseudo-gradients wait for backward. Default: `'f32'`. */
  readonly slopes?: Slopes
  /**
   * What a step keeps for backward, and what it computes again to need less memory: `'speed'` computes nothing twice, `'balanced'` what is cheap, `'min'` whatever lowers
   * the peak. Results are the same bit by bit, and a run may go on with another policy. {@link Network.plan} tells what a step takes. Default: `'balanced'`.
   */
  readonly memory?: MemoryPolicy
}

export const STEP_OPTIONS = ['accumulate', 'clipNorm', 'average', 'gradients', 'slopes', 'memory'] as const

export function checkStepOptions(owner: string, options: StepOptions): void {
  const { accumulate, clipNorm, average, gradients, slopes, memory } = options
  if (accumulate !== undefined) checkInteger(owner, 'accumulate', accumulate)
  if (clipNorm !== undefined) checkNumber(owner, 'clipNorm', clipNorm, { min: Number.MIN_VALUE })
  if (average !== undefined) checkNumber(owner, 'average', average, { min: 0, max: 1 - Number.EPSILON })
  if (gradients !== undefined) checkOneOf(owner, 'gradients', gradients, GRADIENTS)
  if (slopes !== undefined) checkOneOf(owner, 'slopes', slopes, SLOPES)
  if (memory !== undefined) checkOneOf(owner, 'memory', memory, MEMORY_POLICIES)
}

/** The options as the core reads them, in JSON, which leaves out what is not given. */
export function stepOptions({ accumulate, clipNorm, average, gradients, slopes, memory }: StepOptions): string {
  return JSON.stringify({ accumulate, clip_norm: clipNorm, average, gradients, slopes, memory })
}
