// A network from TypeScript: what it tells of itself, predicts and keeps.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { adam, biRealResnet18, fit, image, Network } from 'binary-nets'
import { CLASSES, create, dataset, SIZE, shapes, weights } from './shapes.js'

const folder = await mkdtemp(join(tmpdir(), 'bnets-network-'))

test('what a network tells of itself', async (t) => {
  using net = await create()
  t.deepEqual(net.outputs, { logits: 'fc', features: 'layer1.pool' })
  t.deepEqual(net.layers, ['image', 'conv1', 'bn1', 'layer1.conv', 'layer1.bn', 'layer1.pool', 'layer1', 'fc'])
  t.deepEqual(net.input, { height: SIZE, width: SIZE, channels: 1 })
  t.is(net.step, 0)
  t.is(net.classes, null)
  t.is(net.device.threads, 1)
  t.is(net.parameters().find(({ path }) => path === 'layer1.conv.weight')?.kind, 'latent')
  t.deepEqual(net.parameters().find(({ path }) => path === 'fc.weight')?.shape, [4, 16])
})

test('the summary counts what the layers hold and compute', async (t) => {
  using net = await create()
  const summary = net.summary()
  const row = summary.rows.find(({ path }) => path === 'layer1.conv')
  t.deepEqual(row?.output, [1, 1, 16])
  t.is(row?.binaryParameters, 16 * 16 * 2 * 2)
  t.deepEqual(row?.macs, { binary: 16 * 16 * 2 * 2, float: 0 })
  t.is(summary.binaryParameters, 16 * 16 * 2 * 2)
  t.is(summary.floatParameters, 16 * 16 + 2 * 16 + 2 * 16 + 4 * 16 + 4)
  t.true(
    summary
      .toString()
      .split('\n')
      .every((line) => line.length <= 100),
  )
})

test('the table of the digit network is at most 100 columns wide', async (t) => {
  const input = image({ height: 28, width: 28, channels: 1 })
  using net = await Network.create(biRealResnet18({ classes: 10, width: 32 }), { input })
  const lines = net.summary().toString().split('\n')
  t.true(lines.every((line) => line.length <= 100))
  t.true(lines.some((line) => line.startsWith('layer4.1.conv2  ')))
})

test('the digit network is binary for the most part', async (t) => {
  const input = image({ height: 28, width: 28, channels: 1 })
  using net = await Network.create(biRealResnet18({ classes: 10, width: 32 }), { input })
  const { binaryParameters, floatParameters, macs } = net.summary()
  t.true(binaryParameters > 0 && macs.binary > 0)
  t.true(binaryParameters >= 0.9 * (binaryParameters + floatParameters))
  t.true(macs.binary >= 0.9 * (macs.binary + macs.float))
})

test('one seed, one network', async (t) => {
  using a = await create(7)
  using b = await create(7)
  using c = await create(8)
  t.deepEqual(weights(a), weights(b))
  t.notDeepEqual(weights(a), weights(c))
})

test('parameters are copied out and in', async (t) => {
  using net = await create()
  const bias = net.getParameter('fc.bias')
  t.is(bias.length, 4)
  net.setParameter('fc.bias', Float32Array.of(1, 2, 3, 4))
  t.deepEqual([...net.getParameter('fc.bias')], [1, 2, 3, 4])
  t.notDeepEqual([...bias], [1, 2, 3, 4], 'the copy stays as it was')
  t.throws(() => net.setParameter('fc.bias', new Float32Array(3)), { code: 'BNETS_SHAPE' })
  t.throws(() => net.setParameter('fc.bias', [1, 2, 3, 4] as never), { code: 'BNETS_ARGUMENT' })
  t.throws(() => net.getParameter('fc.bies'), { code: 'BNETS_ARGUMENT', message: /fc\.bies/ })
})

test('predictions of one image and of many, from pixels and from samples', async (t) => {
  using net = await create()
  const data = dataset(5)
  const many = await net.predict(data)
  t.is(many.length, 5)
  for (const [index, sample] of [...data].entries()) {
    const one = await net.predict(sample.image)
    t.deepEqual(one, many[index] ?? [])
    t.deepEqual(await net.predict(sample), one)
    t.is(one.length, 4)
    t.true(Math.abs(one.reduce((sum, { probability }) => sum + probability, 0) - 1) < 1e-12)
    t.true(one.every((it, place) => place === 0 || it.probability <= (one[place - 1]?.probability ?? 0)))
    t.deepEqual((await net.predict(sample, { topK: 1 })).length, 1)
  }
  t.deepEqual(
    many[0]?.map(({ label, index }) => label === String(index)),
    [true, true, true, true],
  )
})

test('predictions are the softmax of the logits', async (t) => {
  using net = await create()
  const { images } = shapes(1, 3)
  const { logits } = await net.activations(images, 'logits')
  const exps = [...(logits?.data ?? [])].map(Math.exp)
  const total = exps.reduce((sum, exp) => sum + exp, 0)
  for (const { index, probability } of await net.predict(images)) {
    t.true(Math.abs(probability - (exps[index] ?? 0) / total) < 1e-12)
  }
})

test('labels are the names of the classes of the data', async (t) => {
  using net = await create()
  const train = dataset(32)
  await fit(net, { train, epochs: 1, batchSize: 16, optimizer: adam() }).done
  t.deepEqual(net.classes, CLASSES)
  const [best] = await net.predict(train.at(0))
  t.is(best?.label, CLASSES[best?.index ?? -1])
})

test('activations by path, by glob and by output', async (t) => {
  using net = await create()
  const { images } = shapes(1, 1)
  const shapesOf = async (paths: string | string[]) =>
    Object.fromEntries(Object.entries(await net.activations(images, paths)).map(([path, { shape }]) => [path, shape]))
  t.deepEqual(await shapesOf('layer1.conv'), { 'layer1.conv': [1, 1, 1, 16] })
  t.deepEqual(await shapesOf('layer1.*'), {
    'layer1.conv': [1, 1, 1, 16],
    'layer1.bn': [1, 1, 1, 16],
    'layer1.pool': [1, 16],
  })
  t.deepEqual(await shapesOf(['fc', 'logits', 'bn*']), { fc: [1, 4], logits: [1, 4], bn1: [1, 2, 2, 16] })
  await t.throwsAsync(net.activations(images, 'layer2.*'), { code: 'BNETS_ARGUMENT', message: /layer2/ })

  const { fc, logits } = await net.activations(images, ['fc', 'logits'])
  t.deepEqual(fc, logits)
  const { 'layer1.pool': pool, features } = await net.activations(images, ['layer1.pool', 'features'])
  t.deepEqual(pool, features)
})

test('the binary convolution sums ±1: its outputs are α times integers of the parity of its taps', async (t) => {
  using net = await create()
  const { images } = shapes(1, 2)
  const { 'layer1.conv': y } = await net.activations(images, 'layer1.conv')
  const w = net.getParameter('layer1.conv.weight')
  y?.data.forEach((value, channel) => {
    const filter = w.subarray(channel * 64, (channel + 1) * 64)
    const alpha = filter.reduce((sum, it) => sum + Math.abs(it), 0) / 64
    const dot = value / alpha
    // α is rounded to f32, and so is the product: two roundings.
    t.true(Math.abs(dot - Math.round(dot)) <= 64 * 2 ** -22)
    t.is(Math.abs(Math.round(dot)) % 2, 0)
  })
})

test('evaluation does not depend on the batch size', async (t) => {
  using net = await create()
  const data = dataset(50)
  const a = await net.evaluate(data, { batchSize: 7 })
  const b = await net.evaluate(data)
  t.is(a.samples, 50)
  t.is(a.top1, b.top1)
  t.true(Math.abs(a.loss - b.loss) < 1e-5)
  const hits = (await net.predict(data, { topK: 1 })).filter(([best], index) => best?.index === data.at(index).label)
  t.is(a.top1, hits.length / 50, 'evaluate and predict are one program')
})

test('a saved network computes the same, bit by bit', async (t) => {
  const path = join(folder, 'same.safetensors')
  using net = await create()
  await fit(net, { train: dataset(64), epochs: 1, batchSize: 16, optimizer: adam() }).done
  await net.save(path)
  using loaded = await Network.load(path)
  t.deepEqual(loaded.classes, CLASSES)
  t.is(loaded.step, net.step)
  t.deepEqual(weights(loaded as typeof net), weights(net))
  const { images } = shapes(1, 9)
  t.deepEqual(await loaded.activations(images, 'logits'), await net.activations(images, 'logits'))
})

test('recalibration moves the statistics and nothing else', async (t) => {
  using net = await create()
  const before = weights(net)
  await net.recalibrate(dataset(64), { batches: 4, batchSize: 16 })
  const changed = Object.entries(weights(net)).filter(([path, bits]) => String(bits) !== String(before[path]))
  t.deepEqual(
    changed.map(([path]) => path).toSorted(),
    ['bn1', 'layer1.bn'].flatMap((norm) => [`${norm}.running_mean`, `${norm}.running_var`]),
  )
})

test('graphs and programs can be printed', async (t) => {
  using net = await create()
  t.regex(net.dump('model', { batch: 2 }), /^graph batch=2\n/)
  t.regex(net.dump('frozen'), /binary_conv2d/)
  t.regex(net.dump('fused'), /= fused /)
  t.throws(() => net.dump('onnx' as never), { code: 'BNETS_ARGUMENT' })
})
