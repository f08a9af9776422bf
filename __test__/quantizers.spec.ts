// Every quantizer learns the quarter of an image that is bright, and what evaluates is what was trained.
import test from 'ava'
import {
  adam,
  type Binarize,
  batchNorm2d,
  binaryConv2d,
  block,
  bop,
  conv2d,
  fit,
  globalAvgPool,
  heaviside,
  identity,
  isBinary,
  type Layer,
  libra,
  linear,
  Network,
  oneCycle,
  prelu,
  recu,
  rest,
  rprelu,
  rsign,
  scaledSign,
  select,
  sgd,
  sign,
  step,
  swish,
  ternary,
  type WeightQuantizer,
} from 'binary-nets'
import { dataset, input, weights } from './shapes.js'

const train = dataset(256, 1)
const validation = dataset(128, 2)

interface Quantized {
  readonly code?: Layer
  readonly input?: Binarize
  readonly weight?: WeightQuantizer
  readonly activation?: Layer
}

/** A float convolution, then a binary one between codes, norms and an activation. */
const model = ({ code = identity, input = sign('approx'), weight = scaledSign(), activation = identity }: Quantized) =>
  block(
    {
      ...{ conv1: conv2d(1, 16, { kernel: 4, stride: 4 }), bn1: batchNorm2d(16), code },
      conv2: binaryConv2d(16, 16, { kernel: 2, input, weight }),
      ...{ bn2: batchNorm2d(16), activation, fc: linear(16, 4) },
    },
    ({ conv1, bn1, code, conv2, bn2, activation, fc }, x) => ({
      logits: x.pipe(conv1, bn1, code, conv2, bn2, activation, globalAvgPool, fc),
    }),
  )

const channel = { scale: 'channel' } as const
const quantizers: Record<string, Quantized> = {
  'sign, identity': { input: sign('identity') },
  'sign, clip': { input: sign('clip') },
  'sign, approx': { input: sign('approx') },
  'sign, swish': { input: sign(swish({ beta: 3 })) },
  'sign, ede': { input: sign('ede') },
  'sign, own gradient': { input: sign({ gradient: (x, g) => select(x.abs().less(2), g.mul(0.5), 0) }) },
  'step, approx': { input: step('approx') },
  heaviside: { input: heaviside() },
  rsign: { code: rsign(16), input: identity },
  prelu: { activation: prelu(16) },
  'one prelu for all channels': { activation: prelu(1) },
  rprelu: { activation: rprelu(16) },
  'weights without scale': { weight: scaledSign({ scale: 'none' }) },
  'weights, clip': { weight: scaledSign({ ...channel, gradient: 'clip' }) },
  'weights, magnitude': { weight: scaledSign({ ...channel, gradient: 'magnitude' }) },
  'weights, xnor': { weight: scaledSign({ ...channel, gradient: 'xnor' }) },
  'weights, own gradient': { weight: scaledSign({ gradient: { gradient: (w, g) => g.mul(w.abs().add(1)) } }) },
  libra: { weight: libra() },
  recu: { weight: recu() },
  ternary: { weight: ternary() },
  'ternary of 0 and 1': { input: step('approx'), weight: ternary({ threshold: 0.2, negativeGradient: 'published' }) },
}

for (const [name, quantized] of Object.entries(quantizers)) {
  test(`${name} learns`, async (t) => {
    using net = await Network.create(model(quantized), { input, seed: 1, threads: 1 })
    const before = weights(net as never)
    const { epochs } = await fit(net, { train, epochs: 8, batchSize: 32, optimizer: adam({ lr: oneCycle(2e-2) }) }).done
    const { top1 } = await net.evaluate(validation)
    t.true(top1 > 0.9, `top-1 is ${top1}`)
    t.true((epochs[0]?.train.flipped ?? 0) > 0, 'signs of weights have flipped')
    const after = weights(net as never)
    for (const { path, kind } of net.parameters()) {
      if (kind !== 'statistic') t.notDeepEqual(after[path], before[path], `${path} was trained`)
    }
  })
}

test("a gradient of one's own that repeats a known one trains to the same weights, but for rounding", async (t) => {
  const slope = sign({ gradient: (x, g) => select(x.abs().lessEqual(1), g.mul(x.abs().mul(-2).add(2)), 0) })
  const trained = await Promise.all(
    [sign('approx'), slope].map(async (codes) => {
      using net = await Network.create(model({ input: codes }), { input, threads: 1 })
      await fit(net, { train: train.take(64), epochs: 1, batchSize: 32, optimizer: sgd({ lr: 0.05 }) }).done
      return net.getParameter('conv1.weight')
    }),
  )
  const [known, own] = trained as [Float32Array, Float32Array]
  const largest = Math.max(...known.map(Math.abs))
  t.true(known.every((w, index) => Math.abs(w - (own[index] as number)) <= 1e-5 * largest))
})

test('Bop keeps weights of one bit, and learns', async (t) => {
  using net = await Network.create(model({ weight: scaledSign({ scale: 'none' }) }), { input, seed: 1, threads: 1 })
  await fit(net, {
    ...{ train, epochs: 8, batchSize: 32 },
    optimizer: [
      [isBinary, bop({ gamma: 1e-2, threshold: 1e-6 })],
      [rest, adam({ lr: oneCycle(2e-2) })],
    ],
  }).done
  t.true(net.getParameter('conv2.weight').every((w) => Math.abs(w) === 1))
  t.true((await net.evaluate(validation)).top1 > 0.9)
})

test('a number that a gradient reads needs a schedule', async (t) => {
  const steep = sign({ gradient: (x, g, scalar) => select(x.abs().less(scalar('reach')), g, 0) })
  using net = await Network.create(model({ input: steep }), { input, threads: 1 })
  t.deepEqual(net.scalars, ['reach'])
  const options = { train, epochs: 1, batchSize: 32, optimizer: adam() }
  await t.throwsAsync(fit(net, options).done, {
    code: 'BNETS_ARGUMENT',
    message: /a schedule of reach, which the model/,
  })
  const seen: number[] = []
  const reach = (at: number, total: number) => {
    seen.push(at)
    return 1 + at / total
  }
  await fit(net, { ...options, scalars: { reach } }).done
  t.deepEqual(seen.slice(0, 8), [0, 1, 2, 3, 4, 5, 6, 7])
})
