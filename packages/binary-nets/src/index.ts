export { ConfusionMatrix } from './confusion.js'
export {
  type Arrays,
  type Batch,
  type Batches,
  Dataset,
  fromArrays,
  fromBatches,
  type ImageFilesOptions,
  identityBalanced,
  imageFolder,
  inOrder,
  type LoaderOptions,
  market1501,
  mnist,
  type Resize,
  type Sample,
  type Sampler,
  shuffle,
  weighted,
} from './data.js'
export { BinaryNetsError, ERROR_CODES, type ErrorCode } from './errors.js'
export { type FitOptions, fit, type StepEvent } from './fit.js'
export type { FreezeOptions } from './freeze.js'
export { type FreezeAccuracy, FreezeReport, type FusedRow } from './freeze-report.js'
export {
  type FrozenEvaluation,
  FrozenNetwork,
  type FrozenTensor,
  type ImportOptions,
  importOnnx,
  loadFrozen,
  type Normalization,
  type OnnxForm,
  type ProfileOptions,
} from './frozen.js'
export type { ImageBatch, ImageSource, RgbaImage } from './image-source.js'
export type { Image, ImageSize } from './images.js'
export type { LayerKind, LayerTime } from './layer-time.js'
export * from './layers/index.js'
export { LoadReport, type Reshaped } from './load-report.js'
export {
  amongTop,
  batchHardTriplet,
  binaryCrossEntropy,
  type CrossEntropyOptions,
  countCorrect,
  counting,
  crossEntropy,
  type DistillationOptions,
  distillation,
  type Loss,
  type LossResult,
  meanSquaredError,
  squaredHinge,
  type Teacher,
  type TripletOptions,
  weightedSum,
} from './losses.js'
export * from './models/index.js'
export { version } from './native.js'
export {
  type CreateOptions,
  type EvaluateOptions,
  type LoadWeightsOptions,
  Network,
} from './network.js'
export type { OpTime } from './op-time.js'
export {
  type AdamOptions,
  adam,
  adamW,
  assignUpdates,
  type BopOptions,
  bop,
  frozen,
  isBinary,
  type Optimizer,
  type Optimizers,
  type Parameter,
  rest,
  type Selector,
  type SgdOptions,
  sgd,
  type Update,
  type UpdateRule,
} from './optimizers.js'
export type { PlanOptions } from './plan.js'
export type { Prediction, PredictOptions } from './prediction.js'
export { type ProgressOptions, progress } from './progress.js'
export type { Ending, Epoch, FitResult, Run } from './run.js'
export type { Abortable, RunOptions } from './run-options.js'
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
export type { Gradients, MemoryPolicy, Slopes } from './step-options.js'
export { type Macs, Summary, type SummaryRow } from './summary.js'
export {
  type AnyLayer,
  concat,
  constants,
  type Flow,
  type Layer,
  type Operand,
  type ReduceOptions,
  Sym,
  select,
} from './sym.js'
export type { Tensor } from './tensor.js'
export {
  type ImageInput,
  type LossBatch,
  layer,
  type Model,
  type Outputs,
  type Own,
  type PseudoGradient,
  type ScalarOf,
  trace,
} from './trace.js'
export type { Evaluation } from './training.js'
export { type HeldValue, TrainingPlan } from './training-plan.js'
