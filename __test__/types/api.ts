// The public types: what they give, and what they refuse.
import {
  adam,
  adamW,
  amongTop,
  batchHardTriplet,
  binaryConv2d,
  binaryResnet18,
  block,
  counting,
  crossEntropy,
  type Dataset,
  distillation,
  type Epoch,
  type FrozenNetwork,
  fit,
  fromArrays,
  type HeldValue,
  image,
  importOnnx,
  isBinary,
  type Layer,
  type LayerTime,
  type Loss,
  libra,
  linear,
  loadFrozen,
  type MemoryPolicy,
  mnist,
  Network,
  type OpTime,
  type Prediction,
  reidBinaryResnet18,
  relu,
  rest,
  type Slopes,
  type Sym,
  scaledSign,
  sign,
  step,
  type Tensor,
  type TrainingPlan,
  weightedSum,
} from 'binary-nets'

const input = image({ height: 28, width: 28, channels: 1 })

// Layers and blocks.
const net = block({ fc1: linear(784, 10), fc2: linear(10, 10) }, ({ fc1, fc2 }, x) => x.flatten().pipe(fc1, relu, fc2))
net satisfies Layer
// @ts-expect-error there is no child fc3
block({ fc1: relu, fc2: relu }, ({ fc3 }, x) => fc3(x))
// @ts-expect-error a child is a function
block({ fc1: 3 }, (_, x) => x)
// @ts-expect-error a kernel is needed
binaryConv2d(1, 2, {})
// @ts-expect-error there is no such option
binaryConv2d(1, 2, { kernel: 3, bias: true })
// @ts-expect-error outside stands 0 or 1
binaryConv2d(1, 2, { kernel: 3, padValue: -1 })
// @ts-expect-error there is no such scale
scaledSign({ scale: 'row' })
// @ts-expect-error the input is made codes by a function
binaryConv2d(1, 2, { kernel: 3, input: 'sign' })
binaryConv2d(1, 2, { kernel: [3, 1], input: sign('clip') })
// @ts-expect-error there is no such gradient
step('tanh')
// @ts-expect-error there is no such stem
binaryResnet18({ stem: 'tiny' })

// Values.
declare const x: Sym
x.add(1).mul(x) satisfies Sym
// @ts-expect-error a value is no number
;(x * 2) satisfies unknown
// @ts-expect-error operands are values or numbers
x.add('1')
// @ts-expect-error an index is a value
x.gather(1, 2)

// Networks carry the names of their outputs.
const digits = await Network.create(binaryResnet18({ classes: 10 }), { input })
digits.outputs.logits satisfies string
digits satisfies Network<{ readonly logits: Sym }>
// @ts-expect-error there is no output of that name
digits.outputs.embedding satisfies string
// @ts-expect-error nor is it a network with one
digits satisfies Network<{ readonly embedding: Sym }>
// @ts-expect-error a model returns named values
await Network.create(net, { input })
// @ts-expect-error a network looks at something
await Network.create(binaryResnet18(), { seed: 1 })
// @ts-expect-error only `create` and `load` make networks
new Network()

// One image, several images.
declare const pixels: Uint8Array
declare const data: Dataset
;(await digits.predict(pixels, { topK: 1 })) satisfies Prediction[]
;(await digits.predict([pixels, pixels])) satisfies Prediction[][]
;(await digits.predict(data.take(3))) satisfies Prediction[][]
;(await digits.predict(data.at(0))) satisfies Prediction[]
// @ts-expect-error pixels are bytes
await digits.predict([0, 0, 0])
const size = { height: 1, width: 1, channels: 1 }
// @ts-expect-error labels are 32-bit
fromArrays({ ...size, images: pixels, labels: [1], classes: ['a'] })

// Training.
const { train, test } = await mnist()
const optimizer = [
  [isBinary, adam({ lr: 1e-3, clamp: 1 })],
  [rest, adam()],
] as const
const run = fit(digits, { train, validation: test, epochs: 1, optimizer })
for await (const epoch of run) {
  epoch satisfies Epoch
  // @ts-expect-error there may have been no validation
  epoch.validation.top1 satisfies number
}
;(await digits.profileStep({ repeats: 3 })) satisfies OpTime[]
// @ts-expect-error the batch is that of the run
await digits.profileStep({ image: pixels })
// @ts-expect-error an optimizer is needed
fit(digits, { train, epochs: 1 })
// @ts-expect-error there is no such option
fit(digits, { train, epochs: 1, optimizer: adam(), momentum: 0.9 })
// @ts-expect-error a schedule is a function of step and total
adam({ lr: (epoch: string) => Number(epoch) })

fit(digits, { train, epochs: 1, optimizer: adam(), memory: 'min', gradients: 'fixed' })
// @ts-expect-error there is no such policy
fit(digits, { train, epochs: 1, optimizer: adam(), memory: 'small' })
fit(digits, { train, epochs: 1, optimizer: adam(), slopes: 'int8' satisfies Slopes })
// @ts-expect-error slopes are f32 or int8
fit(digits, { train, epochs: 1, optimizer: adam(), slopes: 'fixed' })
const planned = await digits.plan({ optimizer: adam(), batchSize: 8, memory: 'speed' })
planned satisfies TrainingPlan
planned.memory satisfies MemoryPolicy
planned.peak.held satisfies readonly HeldValue[]

// A loss asks for outputs that the model has.
const embeddings = await Network.create((x) => ({ features: net(x) }), {
  input,
})
// @ts-expect-error there are no logits
fit(embeddings, { train, epochs: 1, optimizer: adam(), loss: crossEntropy() })
const spread: Loss<{ readonly features: Sym }> = ({ features }) => ({
  loss: features.mul(features).mean([0, 1]),
})
fit(embeddings, { train, epochs: 1, optimizer: adam(), loss: spread })
// @ts-expect-error nothing is named loss
const none: Loss = ({ logits }) => ({ cost: logits })
none satisfies Loss

// Losses of several outputs, where the model has them.
const people = await Network.create(reidBinaryResnet18({ classes: 10 }), { input })
const both = weightedSum([
  [1, crossEntropy({ labelSmoothing: 0.1 })],
  [0.5, batchHardTriplet()],
])
fit(people, { train, epochs: 1, optimizer: adamW(), loss: both })
fit(people, { train, epochs: 1, optimizer: adam(), loss: counting(crossEntropy(), { top5: amongTop(5) }) })
fit(people, { train, epochs: 1, optimizer: adam(), loss: distillation(digits) })
// @ts-expect-error there are no logits
fit(embeddings, { train, epochs: 1, optimizer: adam(), loss: both })
// @ts-expect-error a teacher is a network
distillation(binaryResnet18())

// Quantizers.
binaryConv2d(1, 2, { kernel: 3, input: sign({ gradient: (x, g) => g.mul(x) }), weight: libra() })
// @ts-expect-error a gradient gives a value
sign({ gradient: () => 1 })
// @ts-expect-error weights are quantized by a function
binaryConv2d(1, 2, { kernel: 3, weight: 'channel' })

// Blocks of several values.
interface Two {
  readonly left: Sym
  readonly right: Sym
}
const pair = block({ each: [linear(4, 4), relu] }, ({ each: [first, second] }, { left, right }: Two): Two => {
  return { left: first(left), right: second(right) }
})
pair satisfies (x: Two) => Two
// @ts-expect-error one value is not two
x.pipe(pair)

// Frozen networks.
const frozen = await digits.freeze({ floats: 'int8' })
frozen satisfies FrozenNetwork<{ readonly logits: Sym }>
;(await frozen.predict('digit.png')) satisfies Prediction[]
;(await frozen.predict({ data: new Uint8Array(1), width: 1, height: 1 })) satisfies Prediction[]
;(await frozen.predict({ data: new Uint8Array(1), shape: [1, 28, 28, 1] })) satisfies Prediction[][]
;(await frozen.predict(['digit.png', new Uint8Array(784)])) satisfies Prediction[][]
;(await frozen.run('digit.png')).logits satisfies Tensor
;(await frozen.profile({ image: 'digit.png', repeats: 3 })) satisfies LayerTime[]
// @ts-expect-error there is no such option
await frozen.profile({ runs: 3 })
// @ts-expect-error there is no output of that name
;(await frozen.run('digit.png')).embedding satisfies Tensor
// @ts-expect-error floats are not stored so
await digits.freeze({ floats: 'f8' })
// @ts-expect-error a size is { shorter }
await digits.freeze({ resize: 224 })
// @ts-expect-error there is no such form
await frozen.exportOnnx('x.onnx', { form: 'tiny' })
;(await loadFrozen('x.bnn')) satisfies FrozenNetwork
;(await importOnnx('x.onnx', { normalize: { mean: [0], std: [1] } })) satisfies FrozenNetwork
