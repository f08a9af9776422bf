// The raw binding: codes of errors, one call at a time, cancelling and disposal.
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { decodeImage, errorCodes, NativeDataset, NativeNetwork } from '@binary-nets/native'
import test from 'ava'
import { ERROR_CODES } from 'binary-nets'
import {
  BATCH,
  CLASSES,
  create,
  dataset,
  loader,
  lr,
  model,
  objective,
  once,
  SIDE,
  sgd,
  spec,
  updates,
} from './native-network.js'

const folder = mkdtempSync(join(tmpdir(), 'bnets-native-'))
/** A network whose step takes long, and a batch for it. */
async function createSlow() {
  const side = 96
  const net = await NativeNetwork.create(JSON.stringify(model({ side, width: 32, depth: 8 })), { seed: 1, threads: 1 })
  await net.compileTraining(objective, JSON.stringify([{ path: 'conv0.weight', rule: { sgd }, lr: 'lr' }]), BATCH, once)
  return { net, batch: { image: new Uint8Array(BATCH * side * side).fill(9), label: new Uint32Array(BATCH) } }
}

const weights = (net: NativeNetwork) => net.parameters().map(({ path }) => [path, ...net.getState(path)])

test('the codes are those of TypeScript, and one that users never see', (t) => {
  t.deepEqual(errorCodes().toSorted(), [...ERROR_CODES, 'BNETS_ABORTED'].toSorted())
})

test('images are decoded off the main thread, and their errors name them', async (t) => {
  const size = { height: 2, width: 2, channels: 3 }
  const data = Uint8ClampedArray.from({ length: 4 * 2 * 4 }, (_, i) => i)
  const rows = (...pixels: number[]) => Uint8Array.from(pixels.flatMap((pixel) => [0, 1, 2].map((i) => 4 * pixel + i)))
  t.deepEqual(await decodeImage({ data, width: 4, height: 2 }, { ...size, shorter: 2 }), rows(1, 2, 5, 6))
  t.deepEqual(
    await decodeImage({ data: Uint8Array.from(data), width: 4, height: 2 }, { ...size, width: 4 }),
    rows(...Array(8).keys()),
  )

  // A PNG file of 2x1 pixels, red and blue.
  const png = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAADUlEQVR4nGP4zwAE/wEHAAH/4iOeWQAAAABJRU5ErkJggg==',
    'base64',
  )
  const two = { height: 1, width: 2, channels: 3 }
  const path = join(folder, 'two.png')
  writeFileSync(path, png)
  t.deepEqual(await decodeImage(path, two), Uint8Array.of(255, 0, 0, 0, 0, 255))
  // More at once than there are threads.
  const many = await Promise.all(Array.from({ length: 100 }, () => decodeImage(png, two)))
  t.true(many.every((pixels) => Buffer.from(pixels).equals(Buffer.of(255, 0, 0, 0, 0, 255))))

  await t.throwsAsync(decodeImage(join(folder, 'no.png'), two), { code: 'BNETS_IO', message: /no\.png/ })
  writeFileSync(join(folder, 'cut.png'), png.subarray(0, 40))
  await t.throwsAsync(decodeImage(join(folder, 'cut.png'), two), { code: 'BNETS_FORMAT', message: /cut\.png/ })
  await t.throwsAsync(decodeImage(png.subarray(0, 40), two), { code: 'BNETS_FORMAT', message: /broken image/ })
  await t.throwsAsync(decodeImage({ data, width: 4, height: 3 }, two), {
    code: 'BNETS_SHAPE',
    message: /should hold 48/,
  })
  await t.throwsAsync(decodeImage(png, { ...two, channels: 2 }), { code: 'BNETS_ARGUMENT', message: /channels/ })
})

test('errors have a code, and the layer where one is to blame', async (t) => {
  const net = await create()
  const bad = model()
  bad.nodes.find(({ path }) => path === 'conv1')?.inputs?.splice(1, 1, [2, 0])
  const shape = await t.throwsAsync(NativeNetwork.create(JSON.stringify(bad), { seed: 1 }))
  t.like(shape, { code: 'BNETS_SHAPE', node: 'conv1' })
  await t.throwsAsync(NativeNetwork.create('{', { seed: 1 }), { code: 'BNETS_SPEC' })
  t.throws(() => net.getState('fc.wait'), { code: 'BNETS_ARGUMENT', message: /fc\.wait/ })
  t.throws(() => net.setState('fc.weight', new Float32Array(3)), { code: 'BNETS_SHAPE', message: /fc\.weight/ })
  const image = new Uint8Array(BATCH * SIDE * SIDE)
  const beyond = { image, label: new Uint32Array(BATCH).fill(CLASSES) }
  await t.throwsAsync(net.trainBatch(beyond, lr), { code: 'BNETS_ARGUMENT', message: /'label': expected index/ })
  const short = { image: image.subarray(1), label: new Uint32Array(BATCH) }
  await t.throwsAsync(net.trainBatch(short, lr), { code: 'BNETS_SHAPE', message: /'image'/ })
  t.throws(() => NativeDataset.imageFolder(join(folder, 'none'), {}), { code: 'BNETS_IO', message: /none/ })
  await t.throwsAsync(NativeNetwork.load(join(folder, 'none'), {}), { code: 'BNETS_IO', message: /none/ })
  writeFileSync(join(folder, 'junk'), 'no network')
  await t.throwsAsync(NativeNetwork.load(join(folder, 'junk'), {}), { code: 'BNETS_FORMAT', message: /junk/ })
  await t.throwsAsync(net.save(folder, ''), { code: 'BNETS_IO' })

  const before = net.getState('fc.weight')
  net.setState('conv1.weight', net.getState('conv1.weight').fill(Number.NaN))
  const error = await t.throwsAsync(net.trainStep(loader(), lr))
  t.like(error, { code: 'BNETS_NOT_FINITE', node: 'conv1' })
  t.deepEqual(net.getState('fc.weight'), before)
  t.is(net.step, 0)
})

test('a step, an epoch, an evaluation, a prediction, a file', async (t) => {
  const net = await create()
  const batches = loader()
  t.is(batches.batches, 4)
  for (let i = 0; i < 4; i++) {
    const step = await net.trainStep(batches, lr)
    t.is(step?.samples, BATCH)
    t.true(Number.isFinite(step?.loss) && (step?.metrics['correct'] ?? -1) >= 0 && (step?.milliseconds ?? 0) > 0)
  }
  t.is(await net.trainStep(batches, lr), null)
  t.is(net.step, 4)
  t.is(batches.state(), '{"epoch":1,"position":0}')
  const { samples, metrics } = await net.evaluate(loader(), objective)
  t.is(samples, 16)
  t.deepEqual(Object.keys(metrics).toSorted(), ['correct', 'loss'])
  const { logits } = await net.predict(new Uint8Array(3 * SIDE * SIDE), 3, [])
  t.deepEqual(logits?.shape, [3, CLASSES])
  t.is(logits?.data.length, 3 * CLASSES)
  t.regex(net.kernels, /^matmul: /m)

  const path = join(folder, 'net')
  await net.save(path, '{"a":1}')
  const again = await NativeNetwork.load(path, { threads: 1 })
  t.is(again.metadata, '{"a":1}')
  t.is(again.spec, net.spec)
  t.is(again.step, 4)
  t.deepEqual(weights(again), weights(net))
  await again.save(`${path}2`, '{"a":1}')
  t.deepEqual(readFileSync(`${path}2`), readFileSync(path))
})

/** The mean square of logits − an input of the batch. */
const regression = (name: string, shape: number[]) =>
  JSON.stringify({
    version: 1,
    nodes: [
      { op: { input: { name: 'logits', shape: [], meaning: 'f32' } } },
      { op: { input: { name, shape, meaning: 'f32' } } },
      ...[{ op: { arithmetic: { function: 'sub' } }, inputs: [0, 1] }],
      ...[{ op: { arithmetic: { function: 'mul' } }, inputs: [2, 2] }],
      ...[{ op: { reduce: { reduction: 'mean', axes: [0, 1], keep: false } }, inputs: [3] }],
    ].map(({ inputs, ...node }: { op: object; inputs?: number[] }) => {
      return inputs ? { ...node, inputs: inputs.map((from) => [from, 0]) } : node
    }),
    outputs: { loss: [4, 0] },
  })

const withTargets = (targets: Float32Array) => {
  const plain = dataset()
  const samples = Array.from({ length: plain.length }, (_, i) => plain.read(i))
  return NativeDataset.fromArrays(
    Uint8Array.from(samples.flatMap(({ image }) => [...image])),
    Uint32Array.from(samples, ({ label }) => label),
    ...([SIDE, SIDE, 1, plain.classes, targets] as const),
  )
}

test('targets go from the data to an objective', async (t) => {
  const targets = Float32Array.from({ length: 16 * CLASSES }, (_, i) => ((i * 29) % 17) / 8 - 1)
  const data = withTargets(targets)
  t.is(data.targets, CLASSES)
  t.is(dataset().targets, 0)
  t.deepEqual(data.read(3).target, targets.slice(12, 16))
  t.is(dataset().read(3).target, undefined)
  t.deepEqual(data.subset(Uint32Array.of(5)).read(0).target, targets.slice(20, 24))
  t.throws(() => withTargets(new Float32Array(17)), { code: 'BNETS_ARGUMENT', message: /targets/ })
  t.throws(() => withTargets(new Float32Array(16).fill(Number.NaN)), { code: 'BNETS_ARGUMENT', message: /sample 0/ })

  const net = await create()
  const wanted = regression('target', [CLASSES])
  const { metrics } = await net.evaluate(loader(data), wanted)
  const images = Uint8Array.from(Array.from({ length: 16 }, (_, i) => [...data.read(i).image]).flat())
  const { logits } = await net.predict(images, 16, ['logits'])
  const squares = targets.map((target, i) => ((logits?.data[i] ?? Number.NaN) - target) ** 2)
  const mean = squares.reduce((sum, square) => sum + square, 0) / squares.length
  t.true(Math.abs((metrics['loss'] ?? Number.NaN) - mean) < 1e-5 * (1 + mean))
  const none = { code: 'BNETS_ARGUMENT', message: "the objective takes 'target', the data has no targets" }
  await t.throwsAsync(net.evaluate(loader(), wanted), none)
  await net.compileTraining(wanted, updates, BATCH, once)
  await t.throwsAsync(net.trainStep(loader(), lr), none)
  t.is((await net.trainStep(loader(data), lr))?.samples, BATCH)
})

test('a teacher is a copy, whatever becomes of the network', async (t) => {
  const taught = regression('teacher.logits', [])
  const net = await create()
  await t.throwsAsync(net.evaluate(loader(), taught), { code: 'BNETS_ARGUMENT', message: /no teacher/ })
  const teacher = await NativeNetwork.create(spec, { seed: 2, threads: 1 })
  const given = net.setTeacher(teacher)
  teacher.setState('fc.weight', teacher.getState('fc.weight').fill(0))
  teacher.dispose()
  await given
  const loss = async () => (await net.evaluate(loader(), taught)).metrics['loss'] ?? Number.NaN
  const before = await loss()
  t.true(before > 0)
  await net.compileTraining(taught, updates, BATCH, once)
  t.true(((await net.trainStep(loader(), lr))?.loss ?? 0) > 0)
  t.not(await loss(), before)

  // A network that is its own teacher has nothing to learn, until it changes.
  await net.setTeacher(net)
  t.is(await loss(), 0)
  net.setState('fc.weight', net.getState('fc.weight').fill(0.5))
  t.true((await loss()) > 0)
  const small = await NativeNetwork.create(JSON.stringify(model({ side: 4 })), { seed: 1, threads: 1 })
  await t.throwsAsync(net.setTeacher(small), { code: 'BNETS_ARGUMENT', message: /\[4,4,1\]/ })
  await net.setTeacher(null)
  await t.throwsAsync(net.trainStep(loader(), lr), { code: 'BNETS_ARGUMENT', message: /no teacher/ })
})

test('a confusion matrix has a row for each class', async (t) => {
  const net = await create()
  // The bias is none, so zero weights make all logits equal, and the first counts.
  net.setState('fc.weight', net.getState('fc.weight').fill(0))
  const { classes, counts } = await net.confusion(loader())
  t.is(classes, CLASSES)
  t.deepEqual(counts, [4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0])
  const two = NativeDataset.fromArrays(new Uint8Array(BATCH * SIDE * SIDE), new Uint32Array(BATCH), SIDE, SIDE, 1, [
    'a',
  ])
  const other = { code: 'BNETS_ARGUMENT', message: "the data has 1 classes, the network's logits have 4" }
  await t.throwsAsync(net.confusion(loader(two)), other)
})

test('a profile times the ops of a step', async (t) => {
  const net = await create()
  const before = weights(net)
  const times: { part: string; op: string; path: string; kernel: string; seconds: number }[] = JSON.parse(
    await net.profileStep(3),
  )
  t.deepEqual(
    times.filter(({ op }) => op === 'conv2d').map(({ part, path }) => [part, path]),
    [
      ['forward', 'conv0'],
      ['forward', 'conv1'],
    ],
  )
  t.deepEqual([...new Set(times.map(({ part }) => part))], ['forward', 'backward', 'update'])
  t.true(times.every(({ kernel, seconds }) => kernel !== '' && seconds >= 0))
  t.true(times.some(({ seconds }) => seconds > 0))
  t.deepEqual(weights(net), before)
  t.is(net.step, 0)
})

test.serial('one call at a time', async (t) => {
  const { net, batch } = await createSlow()
  const running = net.trainBatch(batch, lr)
  t.throws(() => net.summary(), { code: 'BNETS_BUSY' })
  t.throws(() => net.getState('fc.weight'), { code: 'BNETS_BUSY' })
  await t.throwsAsync(net.trainBatch(batch, lr), { code: 'BNETS_BUSY' })
  let ticks = 0
  const timer = setInterval(() => ticks++, 1)
  await running
  clearInterval(timer)
  t.true(ticks > 2, 'the event loop runs on')
  t.is(net.step, 1)
  await net.trainBatch(batch, lr)
  t.is(net.step, 2)
})

test('a loader serves one call at a time', async (t) => {
  const [a, b] = [await create(), await create()]
  const batches = loader(dataset(8000))
  const running = a.evaluate(batches, objective)
  t.throws(() => batches.state(), { code: 'BNETS_BUSY' })
  await t.throwsAsync(b.evaluate(batches, objective), { code: 'BNETS_BUSY' })
  await running
  await b.trainStep(batches, lr)
  const last = a.trainStep(batches, lr)
  batches.close()
  t.is((await last)?.samples, BATCH, 'closing waits for the call')
  await t.throwsAsync(a.trainStep(batches, lr), { code: 'BNETS_DISPOSED' })
  t.throws(() => batches.state(), { code: 'BNETS_DISPOSED' })
})

test.serial('a cancelled step changes nothing', async (t) => {
  const { net, batch } = await createSlow()
  const before = weights(net)
  for (const milliseconds of [0, 5, 20]) {
    const running = net.trainBatch(batch, lr)
    if (milliseconds > 0) await sleep(milliseconds)
    net.cancel()
    await t.throwsAsync(running, { code: 'BNETS_ABORTED' })
    t.is(net.step, 0)
    t.deepEqual(weights(net), before)
  }
  net.cancel()
  await net.trainBatch(batch, lr)
  t.is(net.step, 1, 'cancelling what does not run has no effect')
})

test('a network that was disposed of', async (t) => {
  const { net, batch } = await createSlow()
  const running = net.trainBatch(batch, lr)
  net.dispose()
  net.dispose()
  await t.throwsAsync(running, { code: 'BNETS_ABORTED' })
  await t.throwsAsync(net.trainBatch(batch, lr), { code: 'BNETS_DISPOSED' })
  t.throws(() => net.summary(), { code: 'BNETS_DISPOSED' })
  t.is(net.step, 0)
  net.cancel()
})

test.serial('the environment chooses the instruction set, an option overrides it', async (t) => {
  const { env } = process
  const name = 'BINARY_NETS_ISA'
  const before = env[name]
  const isa = async (options: object = {}) =>
    (await NativeNetwork.create(spec, { seed: 1, threads: 2, ...options })).isa
  try {
    env[name] = 'scalar'
    t.is(await isa(), 'scalar')
    env[name] = 'abacus'
    await t.throwsAsync(isa(), { code: 'BNETS_ARGUMENT', message: /abacus/ })
    t.is(await isa({ isa: 'scalar' }), 'scalar')
    await t.throwsAsync(isa({ isa: process.arch === 'x64' ? 'neon' : 'avx2' }), { code: 'BNETS_UNSUPPORTED' })
  } finally {
    if (before === undefined) delete env[name]
    else env[name] = before
  }
  t.is((await NativeNetwork.create(spec, { seed: 1, threads: 2 })).threads, 2)
})

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

// Threads can be counted on Linux alone; elsewhere there are none.
const threads = () => (process.platform === 'linux' ? readdirSync('/proc/self/task').length : 0)

test.serial('the collector knows of native memory', async (t) => {
  const wide = JSON.stringify(model({ width: 512 }))
  const start = threads()
  for (let i = 0; i < 40; i++) {
    // Each holds some 20 MB, and nothing else asks for a collection.
    await create(wide)
    await sleep(1)
  }
  t.true(threads() < start + 40, `${threads()} threads of ${start}`)
})

test.serial('what is not disposed of is freed by the collector', async (t) => {
  const batches = loader()
  const start = threads()
  await (async () => {
    for (let i = 0; i < 8; i++) {
      const net = await create(spec, 3)
      await net.trainStep(loader(), lr)
    }
  })()
  t.true(process.platform !== 'linux' || threads() >= start + 8)
  for (let i = 0; i < 100 && threads() > start; i++) {
    collect()
    await sleep(20)
  }
  t.true(threads() <= start, `${threads()} threads of ${start}`)
  batches.close()
})

test('a call that runs outlives its network', async (t) => {
  const { batch } = await createSlow()
  const running = (async () => (await createSlow()).net.trainBatch(batch, lr))()
  collect()
  await sleep(1)
  collect()
  t.is((await running).samples, BATCH)
})
