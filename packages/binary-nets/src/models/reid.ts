import { checkOptions } from '../arguments.js'
import {
  binaryResnet18,
  type FusionGateOptions,
  fusionGateResnet,
  type ParallelOptions,
  separateResnet,
  squeezeResnet,
} from './binary-resnet.js'
import { RESNET_OPTIONS, type ResNet, type ResNetOptions } from './resnet.js'

// Person re-identification: the classes are the identities of the training set, and what counts afterwards are the `features`, which `Network.features` gives and
// people are compared by. Images are 256×128 by custom; any size works. A model has both outputs; the loss chooses: `crossEntropy({ labelSmoothing: 0.1 })`
// ("softmax", "xent"), or `weightedSum([[1, crossEntropy({ labelSmoothing: 0.1 })], [1, batchHardTriplet()]])` ("triplet", "xent+htri") over batches of
// `identityBalanced({ identities: 16, images: 4 })`.

/** {@link binaryResnet18} for people. */
export function reidBinaryResnet18(options: ResNetOptions = {}): ResNet {
  checkOptions('reidBinaryResnet18', options, RESNET_OPTIONS)
  return binaryResnet18(options)
}

/** {@link parallelResnet18WithSqueeze} for people. */
export function reidParallelResnet18WithSqueeze(options: ParallelOptions = {}): ResNet {
  return squeezeResnet('reidParallelResnet18WithSqueeze', options)
}

/** {@link parallelResnet18NoSqueeze} for people. */
export function reidParallelResnet18NoSqueeze(options: ParallelOptions = {}): ResNet {
  return separateResnet('reidParallelResnet18NoSqueeze', options)
}

/** {@link parallelResnet18WithFusionGate} for people. */
export function reidParallelResnet18WithFusionGate(options: FusionGateOptions = {}): ResNet {
  return fusionGateResnet('reidParallelResnet18WithFusionGate', options)
}

/** The same with features of 512 numbers, behind a linear layer, norm and ReLU. */
export function reidParallelResnet18WithFusionGateFc(options: FusionGateOptions = {}): ResNet {
  return fusionGateResnet('reidParallelResnet18WithFusionGateFc', { fcDims: [512], ...options })
}
