// Weights of other files: of PyTorch, of one base for several, and what is refused.
import { mkdtemp, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  adam,
  binaryResnet18,
  fit,
  fromArrays,
  groupNetResnet18,
  image,
  Network,
  parallelResnet18NoSqueeze,
  parallelResnet18WithFusionGate,
  resnet18,
} from 'binary-nets'
import { shapes } from './shapes.js'

const folder = await mkdtemp(join(tmpdir(), 'bnets-weights-'))
const input = image({ height: 8, width: 8, channels: 1 })
const small = { classes: 4, stem: 'small', width: 4 } as const
const create = (model: ReturnType<typeof resnet18>, seed = 1) => Network.create(model, { input, seed, threads: 1 })
const train = fromArrays({ ...shapes(64, 1), height: 8, width: 8, channels: 1, classes: ['a', 'b', 'c', 'd'] })

/** A float network's weights in a file. */
const float = join(folder, 'float.safetensors')
{
  using net = await create(resnet18(small), 7)
  await net.saveWeights(float)
}

test('weights that are saved are loaded, whole, into a network of the same shapes', async (t) => {
  using net = await create(resnet18(small), 1)
  using same = await create(resnet18(small), 7)
  const report = await net.loadWeights(float)
  t.deepEqual(report.loaded.length, net.parameters().length)
  t.deepEqual([report.tiled, report.cut, report.missing, report.leftOver], [[], [], [], []])
  t.deepEqual(net.stateDict(), same.stateDict())
})

test("torchvision's last layer is the classifier's", async (t) => {
  using net = await create(binaryResnet18(small))
  using source = await create(resnet18(small), 7)
  await net.loadWeights(float)
  t.deepEqual(net.getParameter('classifier.weight'), source.getParameter('fc.weight'))
})

/** Base `k` of `count` of a tensor. */
const base = (data: Float32Array, k: number, count: number) =>
  data.subarray((k * data.length) / count, ((k + 1) * data.length) / count)

test('a network of one base becomes three bases that go apart', async (t) => {
  const path = 'layer2.0.conv1.weight'
  const model = parallelResnet18WithFusionGate({ ...small, parallel: 3 })
  const optimizer = adam({ lr: 1e-2 })
  using net = await create(model)
  const report = await net.loadWeights(float, { partial: true })
  t.deepEqual(
    report.tiled.find((tensor) => tensor.path === path),
    { path, key: path, from: [8, 4, 3, 3], to: [24, 4, 3, 3] },
  )
  t.true(report.missing.includes('layer2.0.C_s.0'))
  using source = await create(resnet18(small), 7)
  t.deepEqual(base(net.getParameter(path), 0, 3), source.getParameter(path), 'the first base is the source')
  t.notDeepEqual(base(net.getParameter(path), 1, 3), source.getParameter(path))
  await fit(net, { train, epochs: 1, batchSize: 16, optimizer }).done
  const trained = net.getParameter(path)
  t.notDeepEqual(base(trained, 1, 3), base(trained, 2, 3))
})

test('equal bases learn the same for ever, and noise drives others further apart', async (t) => {
  const path = 'layer3.1.conv2.weight'
  const distances = async (symmetric: boolean) => {
    using net = await create(parallelResnet18NoSqueeze({ ...small, parallel: 2 }))
    await net.loadWeights(float, { partial: true, symmetric })
    const distance = () => {
      const weights = net.getParameter(path)
      const [first, second] = [base(weights, 0, 2), base(weights, 1, 2)]
      return Math.hypot(...first.map((w, i) => w - (second[i] as number)))
    }
    const before = distance()
    await fit(net, { train, epochs: 2, batchSize: 16, optimizer: adam({ lr: 1e-2 }) }).done
    return { before, after: distance() }
  }
  t.deepEqual(await distances(true), { before: 0, after: 0 })
  const { before, after } = await distances(false)
  t.true(before > 0 && after > 2 * before, `${before}, then ${after}`)
})

test("Group-Net's bases take what stands without them", async (t) => {
  using net = await create(groupNetResnet18({ ...small, parallel: 2, downsample: 'float' }))
  const report = await net.loadWeights(float, { partial: true })
  using source = await create(resnet18(small), 7)
  const path = 'layer1.0.bases.0.conv1.weight'
  t.deepEqual(net.getParameter(path), source.getParameter('layer1.0.conv1.weight'))
  t.true(report.loaded.includes(path))
  const second = report.tiled.find((tensor) => tensor.path === 'layer1.0.bases.1.conv1.weight')
  t.is(second?.key, 'layer1.0.conv1.weight')
  t.notDeepEqual(net.getParameter('layer1.0.bases.1.conv1.weight'), net.getParameter(path))
})

test('pretrained weights are loaded when a network is made', async (t) => {
  using net = await create(parallelResnet18WithFusionGate({ ...small, parallel: 2, pretrained: float }))
  using source = await create(resnet18(small), 7)
  t.deepEqual(net.getParameter('conv1.weight'), source.getParameter('conv1.weight'))
  t.true(net.pretrained?.loaded.includes('conv1.weight'))
  t.is(source.pretrained, null)
  const missing = create(resnet18({ ...small, pretrained: join(folder, 'nowhere.pth') }))
  await t.throwsAsync(missing, { code: 'BNETS_IO', message: /nowhere\.pth/ })
})

test('the report is a table', async (t) => {
  using net = await create(resnet18({ ...small, classes: 6, width: 8 }))
  const lines = String(await net.loadWeights(float, { partial: true })).split('\n')
  t.is(lines[0], 'loaded         0')
  t.regex(lines[1] ?? '', /^tiled {6,}\d+$/)
  t.true(lines.includes(`${' '.repeat(18)}bn1.bias  4 → 8`), lines.join('\n'))
  t.true(lines.some((line) => line.endsWith('fc.bias  4 → 6')))
  t.is(lines.at(-2), 'missing        0')
  t.is(lines.at(-1), 'left over      0')
})

test('what does not fit, or is no weights, is refused by name, and changes nothing', async (t) => {
  using net = await create(binaryResnet18({ ...small, width: 8 }))
  const before = net.stateDict()
  const format = { code: 'BNETS_FORMAT' }
  await t.throwsAsync(net.loadWeights(float), { ...format, message: /bn1\.bias. is \[4\] where the model has \[8\]/ })
  const stored = (name: string) => net.loadWeights(`parity/checkpoints/${name}`, { partial: true })
  await t.throwsAsync(stored('malicious.pth'), {
    ...format,
    message: /posix\.system.*byte \d+|byte \d+.*posix\.system/,
  })
  await t.throwsAsync(stored('legacy.pth'), { ...format, message: /before 1\.6/ })
  const text = join(folder, 'text.pth')
  await writeFile(text, 'no weights at all')
  await t.throwsAsync(net.loadWeights(text), format)
  const cut = join(folder, 'cut.safetensors')
  using source = await create(resnet18(small))
  await source.saveWeights(cut)
  await truncate(cut, 5000)
  await t.throwsAsync(net.loadWeights(cut, { partial: true }), { ...format, message: /cut\.safetensors.*5000 bytes/ })
  await t.throwsAsync(net.loadWeights(float, { noise: -1 }), { code: 'BNETS_ARGUMENT', message: /noise/ })
  t.deepEqual(net.stateDict(), before)
})
