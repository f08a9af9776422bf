export {
  type BatchNormOptions,
  batchNorm1d,
  batchNorm2d,
} from './batch-norm.js'
export { type Binarize, sign, step } from './binarize.js'
export { type BinaryConv2dOptions, binaryConv2d } from './binary-conv2d.js'
export { block } from './block.js'
export { type Conv2dOptions, conv2d } from './conv2d.js'
export { dropout } from './dropout.js'
export { flatten } from './flatten.js'
export { identity } from './identity.js'
export { type ImageOptions, image } from './image.js'
export { type LinearOptions, linear } from './linear.js'
export { avgPool2d, globalAvgPool, maxPool2d } from './pool2d.js'
export { relu } from './relu.js'
export { sequential } from './sequential.js'
export { pooledShortcut, shortcut } from './shortcut.js'
export type { Pair, WindowOptions } from './window.js'
