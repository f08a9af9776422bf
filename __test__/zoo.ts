// Small networks of every kind, and what makes them hard: scales that are negative or 0, tiny variances, gates that are shut.
import {
  batchNorm1d,
  batchNorm2d,
  binaryConv2d,
  binaryLinear,
  binaryResnet18,
  biRealResnet18,
  block,
  conv2d,
  flatten,
  fromArrays,
  globalAvgPool,
  groupNetResnet18,
  groupNetResnet34,
  heaviside,
  image,
  libra,
  linear,
  type Model,
  Network,
  parallelResnet18NoSqueeze,
  parallelResnet18WithFusionGate,
  parallelResnet18WithSqueeze,
  reactNetResnet18,
  recu,
  reidBinaryResnet18,
  reidParallelResnet18NoSqueeze,
  reidParallelResnet18WithFusionGate,
  reidParallelResnet18WithFusionGateFc,
  reidParallelResnet18WithSqueeze,
  resnet18,
  resnet34,
  type Sym,
  scaledSign,
  sign,
  step,
  ternary,
  type WeightQuantizer,
  xnorResnet18,
} from 'binary-nets'

export const HEIGHT = 13
export const WIDTH = 11

const input = image({
  ...{ height: HEIGHT, width: WIDTH, channels: 3 },
  normalize: { mean: [0.49, 0.46, 0.41], std: [0.23, 0.22, 0.225] },
})
const small = { classes: 7, stem: 'small', width: 5 } as const
const bases = { ...small, parallel: 2 }

/** Binary convolutions of weights quantized so: +1 around codes ±1, a stride, 0 around ±1, then codes 0 and 1 with 1 around. */
function convolutions(weight: WeightQuantizer): Model<{ readonly logits: Sym }> {
  const options = { kernel: 3, padding: 1, weight } as const
  return block(
    {
      conv1: conv2d(3, 8, { kernel: 3, padding: 1 }),
      bn1: batchNorm2d(8),
      conv2: binaryConv2d(8, 66, { ...options, stride: 2, padValue: 1, input: sign('approx') }),
      bn2: batchNorm2d(66),
      conv3: binaryConv2d(66, 12, { ...options, padValue: 0, groups: 2, input: sign('clip') }),
      bn3: batchNorm2d(12),
      conv4: binaryConv2d(12, 9, { ...options, padValue: 1, input: step('approx') }),
      bn4: batchNorm2d(9),
      conv5: binaryConv2d(9, 9, { ...options, input: heaviside() }),
      fc: linear(9, 7),
    },
    ({ conv1, bn1, conv2, bn2, conv3, bn3, conv4, bn4, conv5, fc }, x) => ({
      logits: fc(globalAvgPool(x.pipe(conv1, bn1, conv2, bn2, conv3, bn3, conv4, bn4, conv5))),
    }),
  )
}

const perceptron: Model<{ readonly logits: Sym }> = block(
  {
    fc1: binaryLinear(HEIGHT * WIDTH * 3, 70, { input: sign('clip'), weight: scaledSign({ scale: 'channel' }) }),
    bn1: batchNorm1d(70),
    fc2: binaryLinear(70, 7, { input: sign('clip') }),
    bn2: batchNorm1d(7),
  },
  ({ fc1, bn1, fc2, bn2 }, x) => ({ logits: bn2(fc2(bn1(fc1(flatten(x))))) }),
)

export const zoo: Readonly<Record<string, Model<{ readonly logits: Sym }>>> = {
  'float ResNet-18': resnet18(small),
  'float ResNet-34 with dropout': resnet34({ ...small, fcDims: [9], dropout: 0.5 }),
  'binary ResNet-18': binaryResnet18(small),
  'binary ResNet-18, large stem': binaryResnet18({ ...small, stem: 'imagenet' }),
  'bases that are squeezed': parallelResnet18WithSqueeze(bases),
  'bases with learned scales': parallelResnet18WithSqueeze({ ...small, parallel: 3, multiplication: true }),
  'bases that never meet': parallelResnet18NoSqueeze({ ...bases, parallel: 3 }),
  'fusion gates': parallelResnet18WithFusionGate(bases),
  'fusion gates of the last block': parallelResnet18WithFusionGate({ ...bases, gate: 'last' }),
  'Group-Net of one base': groupNetResnet18(small),
  'Group-Net of three bases': groupNetResnet18({ ...small, parallel: 3 }),
  'Group-Net with +1 around': groupNetResnet18({ ...bases, padValue: 1 }),
  'Group-Net without gates': groupNetResnet18({ ...bases, gate: false }),
  'Group-Net 34': groupNetResnet34(small),
  'Bi-Real': biRealResnet18(small),
  ReActNet: reactNetResnet18(small),
  XNOR: xnorResnet18(small),
  're-identification': reidBinaryResnet18(small),
  're-identification, squeezed': reidParallelResnet18WithSqueeze(bases),
  're-identification, apart': reidParallelResnet18NoSqueeze(bases),
  're-identification, gates': reidParallelResnet18WithFusionGate(bases),
  're-identification, gates and layers': reidParallelResnet18WithFusionGateFc(bases),
  'a scale for each tensor': convolutions(scaledSign({ scale: 'tensor' })),
  'a scale for each channel': convolutions(scaledSign({ scale: 'channel' })),
  'a scale for each group': convolutions(scaledSign({ scale: 'group' })),
  'no scale': convolutions(scaledSign({ scale: 'none' })),
  Libra: convolutions(libra()),
  ReCU: convolutions(recu()),
  ternary: convolutions(ternary()),
  'linear layers': perceptron,
}

/** A network of the zoo; its norms have statistics, scales and shifts of their own, its bases are unequal, its gates half open. */
export async function build(name: string): Promise<Network> {
  const model = zoo[name]
  if (model === undefined) throw new Error(name)
  const net = await Network.create(model, { input, seed: 3, threads: 1 })
  const next = random(name.length)
  const images = Buffer.concat(pictures(24))
  const some = { images, labels: new Uint32Array(24), height: HEIGHT, width: WIDTH, channels: 3, classes: ['any'] }
  await net.recalibrate(fromArrays(some), { batches: 1, batchSize: 24 })
  const norms = net.parameters().flatMap(({ path }) => /^(.*)\.running_mean$/.exec(path)?.[1] ?? [])
  for (const norm of norms) {
    change(net, `${norm}.weight`, () => 0.5 + next())
    change(net, `${norm}.bias`, () => next() - 0.4)
  }
  change(net, /gate|alpha|scale|theta/, () => next() - 0.3)
  return net
}

/** Makes a network hard: some γ negative, some 0 (then β is exactly 0 or −0.0), tiny variances, α = 0, gates shut and open. */
export function harden(net: Network, name: string): void {
  const norms = net.parameters().flatMap(({ path }) => /^(.*)\.running_mean$/.exec(path)?.[1] ?? [])
  for (const [place, norm] of norms.entries()) {
    change(net, `${norm}.weight`, (value, i) => [value, -value, 0, value, 0][i % 5] ?? 0)
    change(net, `${norm}.bias`, (value, i) => [value, value, 0, value, -0][i % 5] ?? 0)
    // In every norm, they would make floats overflow.
    if (place < 3) change(net, `${norm}.running_var`, (value, i) => (i % 4 === 3 ? 1e-12 : value))
  }
  // Libra and ReCU divide by the deviation of a channel's weights.
  const isDivided = /Libra|ReCU/.test(name)
  const latents = net.parameters().filter(({ kind }) => kind === 'latent' && !isDivided)
  for (const { path, shape } of latents) {
    const channels = shape[0] ?? 1
    change(net, path, (value, i, { length }) => (Math.floor((i * channels) / length) % 3 === 1 ? 0 : value))
  }
  change(net, /gate/, (value, i) => [-200, 200, value][i % 3] ?? 0)
}

function change(
  net: Network,
  paths: string | RegExp,
  value: (old: number, index: number, all: Float32Array) => number,
): void {
  const isMeant = (path: string) => (typeof paths === 'string' ? path === paths : paths.test(path))
  for (const { path } of net.parameters().filter(({ path }) => isMeant(path))) {
    net.setParameter(path, net.getParameter(path).map(value))
  }
}

/** Images `[count, HEIGHT, WIDTH, 3]`: of noise, of one colour, black, white. */
export function pictures(count: number): Uint8Array[] {
  const next = random(7)
  return Array.from({ length: count }, (_, index) => {
    const flat = [0, 255, 90][index % 6]
    return Uint8Array.from({ length: HEIGHT * WIDTH * 3 }, () => flat ?? Math.floor(256 * next()))
  })
}

/** Numbers in [0, 1) that a seed determines. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    const mixed = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d)
    return ((mixed ^ (mixed >>> 13)) >>> 0) / 2 ** 32
  }
}
