export { biRealResnet18 } from './bi-real-resnet.js'
export {
  binaryResnet18,
  type FusionGateOptions,
  type ParallelOptions,
  parallelResnet18NoSqueeze,
  parallelResnet18WithFusionGate,
  parallelResnet18WithSqueeze,
} from './binary-resnet.js'
export { type GroupNetOptions, groupNetResnet18, groupNetResnet34 } from './group-net.js'
export { reactNetResnet18 } from './react-resnet.js'
export {
  reidBinaryResnet18,
  reidParallelResnet18NoSqueeze,
  reidParallelResnet18WithFusionGate,
  reidParallelResnet18WithFusionGateFc,
  reidParallelResnet18WithSqueeze,
} from './reid.js'
export {
  type BlockOptions,
  type ResNet,
  type ResNetBlock,
  type ResNetDefinition,
  type ResNetOptions,
  type ResNetOutputs,
  resnet,
  resnet18,
  resnet34,
  type Stem,
} from './resnet.js'
export type { SignResNetOptions } from './sign-resnet.js'
export { xnorResnet18 } from './xnor-resnet.js'
