// The gradients of quantizers that are composed of small ops, against their formulas in plain numbers, point by point.
import test from 'ava'
import {
  binaryConv2d,
  block,
  type CodeGradient,
  constants,
  ede,
  fit,
  fromBatches,
  frozen,
  image,
  isBinary,
  type Loss,
  layer,
  libra,
  Network,
  recu,
  rest,
  type Sym,
  scaledSign,
  sgd,
  sign,
  swish,
  ternary,
  type WeightQuantizer,
} from 'binary-nets'

const input = image({ height: 1, width: 1, channels: 1 })
const batches = fromBatches(() => [{ image: new Uint8Array(1), label: new Uint32Array(1) }], {
  classes: ['a'],
  batches: 1,
})
const optimizer = sgd({ lr: 1 })

/** What is taken from a tensor by a step with learning rate 1: its gradient. */
async function gradient(net: Network<{ y: Sym }>, path: string, progress: number, rules = optimizer as never) {
  const loss: Loss<{ y: Sym }> = ({ y }) => ({ loss: y.sum([0, 1, 2, 3]) })
  const before = net.getParameter(path)
  const scalars = net.scalars.includes('progress') ? { progress: () => progress } : {}
  await fit(net, { train: batches, epochs: 1, batchSize: 1, optimizer: rules, loss, scalars }).done
  const after = net.getParameter(path)
  return [...before].map((value, index) => value - (after[index] ?? Number.NaN))
}

/** Numbers that a code may meet: its threshold, both zeros, both ends of clipping, and far away. */
const POINTS = [0, -0, 1, -1, 0.25, -0.5, 0.9375, -1.5, 3, -40]
/** The signs of the weights that the codes are multiplied by: the gradients that reach them. */
const SIGNS = [1, -1, 1, 1, -1, -1, 1, -1, 1, 1]

/** The gradients of `POINTS` as they pass a code. */
async function slopes(code: CodeGradient, progress: number): Promise<number[]> {
  const points = layer((x, own) => x.mul(0).add(own('points', [POINTS.length], { constant: 0 })))
  const conv = binaryConv2d(POINTS.length, 1, { kernel: 1, input: sign(code), weight: scaledSign({ scale: 'none' }) })
  const model = block({ points, conv }, ({ points, conv }, x) => ({ y: x.pipe(points, conv) }))
  using net = await Network.create(model, { input, threads: 1 })
  net.setParameter('points.points', Float32Array.from(POINTS))
  net.setParameter('conv.weight', Float32Array.from(SIGNS))
  return await gradient(net, 'points.points', progress, [
    [isBinary, frozen],
    [rest, optimizer],
  ] as never)
}

const close = (got: readonly number[], expected: readonly number[]) => {
  const largest = Math.max(1, ...expected.map(Math.abs))
  return got.length === expected.length && got.every((x, i) => Math.abs(x - (expected[i] as number)) <= 1e-5 * largest)
}

const edeSlope = (x: number, progress: number, start = 0.1, end = 10) => {
  const t = start * (end / start) ** progress
  return Math.max(1 / t, 1) * t * (1 - Math.tanh(t * x) ** 2)
}
const swishSlope = (x: number, beta: number) =>
  (beta * (2 - beta * x * Math.tanh((beta * x) / 2))) / (1 + Math.cosh(beta * x))

const codes: Record<string, readonly [CodeGradient, (x: number, progress: number) => number]> = {
  identity: ['identity', () => 1],
  clip: ['clip', (x) => (Math.abs(x) <= 1 ? 1 : 0)],
  approx: ['approx', (x) => Math.max(0, 2 - 2 * Math.abs(x))],
  swish: ['swish', (x) => swishSlope(x, 5)],
  'swish of another slope': [swish({ beta: 2 }), (x) => swishSlope(x, 2)],
  ede: ['ede', (x, progress) => edeSlope(x, progress)],
  'ede between other ends': [ede({ start: 0.5, end: 4 }), (x, progress) => edeSlope(x, progress, 0.5, 4)],
  "a slope of one's own": [
    { gradient: (x, g, scalar) => g.mul(x).mul(scalar('progress')) },
    (x, progress) => x * progress,
  ],
}
for (const [name, [code, slope]] of Object.entries(codes)) {
  test(`codes: ${name}`, async (t) => {
    for (const progress of [0, 0.4, 1]) {
      const expected = POINTS.map((x, i) => (SIGNS[i] as number) * slope(x, progress))
      const got = await slopes(code, progress)
      t.true(close(got, expected), `at ${progress}: ${got}, expected ${expected}`)
    }
  })
}

// Two output channels of six weights; what the codes are, and so what gradient g each weight's quantised value gets.
const WEIGHTS = [
  [0.9, -0.3, 0.1, 1.6, -1.2, 0.4],
  [-0.2, 0.7, -2.4, 0.05, 0.3, -0.8],
]
const CODES = [1, -1, -1, 1, 1, -1]

/** The gradient of the latent weights. */
async function weightGradient(weight: WeightQuantizer, progress: number): Promise<number[]> {
  const given = layer((x) => x.mul(0).add(constants(x, CODES)))
  const conv = binaryConv2d(6, 2, { kernel: 1, input: sign('identity'), weight })
  const model = block({ given, conv }, ({ given, conv }, x) => ({ y: x.pipe(given, conv) }))
  using net = await Network.create(model, { input, threads: 1 })
  net.setParameter('conv.weight', Float32Array.from(WEIGHTS.flat()))
  for (const { path, shape } of net.parameters()) {
    if (path === 'conv.alpha')
      net.setParameter(
        path,
        Float32Array.from({ length: shape[0] as number }, (_, o) => 0.5 + o),
      )
    if (path === 'conv.w_p') net.setParameter(path, Float32Array.of(0.75))
    if (path === 'conv.w_n') net.setParameter(path, Float32Array.of(1.5))
  }
  return await gradient(net, 'conv.weight', progress)
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const standardise = (w: readonly number[]) => {
  const centred = w.map((x) => x - mean(w))
  const deviation = Math.sqrt(centred.reduce((sum, x) => sum + x * x, 0) / (w.length - 1))
  return { deviation, normal: centred.map((x) => x / deviation) }
}
/** From the gradient of standardised weights, times a factor, to that of the weights. */
const back = (w: readonly number[], g: readonly number[], factor = 1) => {
  const { deviation, normal } = standardise(w)
  const along = normal.reduce((sum, x, i) => sum + x * (g[i] as number), 0) / (w.length - 1)
  return g.map((value, i) => (factor * (value - mean(g) - (normal[i] as number) * along)) / deviation)
}

test('weights: Libra', async (t) => {
  for (const progress of [0, 0.6, 1]) {
    const expected = WEIGHTS.flatMap((w) => {
      const { normal } = standardise(w)
      const scale = 2 ** Math.round(Math.log2(mean(normal.map(Math.abs))))
      return back(
        w,
        normal.map((x, i) => scale * (CODES[i] as number) * edeSlope(x, progress)),
      )
    })
    const got = await weightGradient(libra(), progress)
    t.true(close(got, expected), `at ${progress}: ${got}, expected ${expected}`)
  }
})

test('weights: ReCU', async (t) => {
  const normal = WEIGHTS.map((w) => standardise(w).normal.map((x) => 2 * Math.SQRT2 * x))
  const magnitude = mean(normal.flat().map(Math.abs))
  const passed = new Set<number>()
  for (const progress of [0, 0.5, 1]) {
    const a = (0.99 - 0.85) / (Math.E - 1)
    const tau = a * Math.exp(progress) + 0.85 - a
    const q = -magnitude * Math.log(2 - 2 * tau)
    const expected = WEIGHTS.flatMap((w, o) => {
      const g = (normal[o] as number[]).map((x, i) => (Math.abs(x) <= q ? (0.5 + o) * (CODES[i] as number) : 0))
      return back(w, g, 2 * Math.SQRT2)
    })
    passed.add(normal.flat().filter((x) => Math.abs(x) <= q).length)
    const got = await weightGradient(recu(), progress)
    t.true(close(got, expected), `at ${progress}: ${got}, expected ${expected}`)
  }
  t.true(passed.size > 1, 'τ lets more weights pass later')
})

test('weights: ternary', async (t) => {
  const largest = Math.max(...WEIGHTS.flat().map(Math.abs))
  const delta = 0.2 * largest
  const factor = (w: number) => (w > delta ? 0.75 : w < -delta ? 1.5 : 1)
  const expected = WEIGHTS.flatMap((w) => w.map((x, i) => factor(x) * (CODES[i] as number)))
  const got = await weightGradient(ternary({ threshold: 0.2 }), 0)
  t.true(close(got, expected), `${got}, expected ${expected}`)
})

test('weights: magnitude and XNOR', async (t) => {
  const alphas = WEIGHTS.map((w) => mean(w.map(Math.abs)))
  const inside = (w: number) => (Math.abs(w) <= 1 ? 1 : 0)
  const sign = (w: number) => (w < 0 ? -1 : 1)
  const magnitude = WEIGHTS.flatMap((w, o) => w.map((x, i) => (alphas[o] as number) * (CODES[i] as number) * inside(x)))
  const common = WEIGHTS.map((w) => mean(w.map((x, i) => (CODES[i] as number) * sign(x))))
  const xnor = WEIGHTS.flatMap((w, o) =>
    w.map((x, i) => sign(x) * (common[o] as number) + (magnitude[o * 6 + i] as number)),
  )
  const scale = 'channel'
  t.true(close(await weightGradient(scaledSign({ scale, gradient: 'magnitude' }), 0), magnitude))
  t.true(close(await weightGradient(scaledSign({ scale, gradient: 'xnor' }), 0), xnor))
})
