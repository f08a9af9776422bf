export { BinaryNetsError, ERROR_CODES, type ErrorCode } from './errors.js'
export * from './layers/index.js'
export { type CrossEntropyOptions, countCorrect, crossEntropy, type Loss, type LossResult } from './losses.js'
export * from './models/index.js'
export { version } from './native.js'
export {
  type AdamOptions,
  adam,
  frozen,
  isBinary,
  type Optimizer,
  type Optimizers,
  type Parameter,
  rest,
  type Selector,
  type SgdOptions,
  sgd,
} from './optimizers.js'
export {
  constant,
  cosine,
  linearDecay,
  multiStepDecay,
  type OneCycleOptions,
  oneCycle,
  type Schedule,
  stepDecay,
  warmup,
} from './schedules.js'
export { concat, type Layer, type Operand, type ReduceOptions, Sym, select } from './sym.js'
export { type ImageInput, layer, type Model, type Outputs, type Own, trace } from './trace.js'
