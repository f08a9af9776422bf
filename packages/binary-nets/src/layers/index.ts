export {
  type BatchNormOptions,
  batchNorm1d,
  batchNorm2d,
} from './batch-norm.js'
export {
  type Binarize,
  type CodeGradient,
  type EdeOptions,
  ede,
  heaviside,
  type OwnGradient,
  type RSignOptions,
  rsign,
  type Swish,
  sign,
  step,
  swish,
} from './binarize.js'
export { type BinaryConv2dOptions, binaryConv2d } from './binary-conv2d.js'
export { binaryLinear } from './binary-linear.js'
export type { BinaryOptions } from './binary-product.js'
export { block, type Children } from './block.js'
export { type Conv2dOptions, conv2d } from './conv2d.js'
export { dropout } from './dropout.js'
export { flatten } from './flatten.js'
export { identity } from './identity.js'
export { type ImageOptions, image } from './image.js'
export { type LinearOptions, linear } from './linear.js'
export { avgPool2d, globalAvgPool, maxPool2d } from './pool2d.js'
export { prelu, rprelu } from './prelu.js'
export { relu } from './relu.js'
export { sequential } from './sequential.js'
export { pooledShortcut, shortcut } from './shortcut.js'
export {
  type LatentWeight,
  libra,
  type RecuOptions,
  recu,
  type ScaledSignOptions,
  scaledSign,
  type TernaryOptions,
  type TernaryPlanes,
  ternary,
  type WeightGradient,
  type WeightQuantizer,
} from './weights.js'
export type { Pair, WindowOptions } from './window.js'
