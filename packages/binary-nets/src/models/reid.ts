import {
  binaryResnet18,
  type FusionGateOptions,
  type ParallelOptions,
  parallelResnet18NoSqueeze,
  parallelResnet18WithFusionGate,
  parallelResnet18WithSqueeze,
} from './binary-resnet.js'
import type { ResNet, ResNetOptions } from './resnet.js'

// Person re-identification: the classes are the identities of the training set, and what counts afterwards are the `features`, which `Network.features` gives and
// people are compared by. Images are 256×128 by custom; any size works. Train with `crossEntropy`, or with `batchHardTriplet` on the features too.

/** {@link binaryResnet18} for people. */
export function reidBinaryResnet18(options: ResNetOptions = {}): ResNet {
  return binaryResnet18(options)
}

/** {@link parallelResnet18WithSqueeze} for people. */
export function reidParallelResnet18WithSqueeze(options: ParallelOptions = {}): ResNet {
  return parallelResnet18WithSqueeze(options)
}

/** {@link parallelResnet18NoSqueeze} for people. */
export function reidParallelResnet18NoSqueeze(options: ParallelOptions = {}): ResNet {
  return parallelResnet18NoSqueeze(options)
}

/** {@link parallelResnet18WithFusionGate} for people. */
export function reidParallelResnet18WithFusionGate(options: FusionGateOptions = {}): ResNet {
  return parallelResnet18WithFusionGate(options)
}

/** The same with features of 512 numbers, behind a linear layer, norm and ReLU. */
export function reidParallelResnet18WithFusionGateFc(options: FusionGateOptions = {}): ResNet {
  return parallelResnet18WithFusionGate({ fcDims: [512], ...options })
}
