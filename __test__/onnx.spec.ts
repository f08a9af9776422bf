// Exported networks in another runtime, and imported ones in this.
import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  adam,
  binaryResnet18,
  biRealResnet18,
  type FrozenNetwork,
  fit,
  fromArrays,
  image,
  importOnnx,
  mnist,
  Network,
  type OnnxForm,
  type Tensor,
} from 'binary-nets'
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { create } from './shapes.js'
import { build, HEIGHT, harden, pictures, WIDTH, zoo } from './zoo.js'

const folder = await mkdtemp(join(tmpdir(), 'bnets-onnx-'))
const forms: readonly OnnxForm[] = ['portable', 'compact']

/** What onnxruntime makes of images `[count, height, width, channels]`. */
async function ort(path: string, pixels: Uint8Array, shape: readonly number[]): Promise<Record<string, Tensor>> {
  const session = await InferenceSession.create(path, { logSeverityLevel: 3, intraOpNumThreads: 1 })
  const outputs = await session.run({ image: new OrtTensor('uint8', pixels, shape) })
  const tensors = Object.entries(outputs).map(([name, { dims, data }]) => [
    name,
    { shape: dims, data: data as Float32Array },
  ])
  await session.release()
  return Object.fromEntries(tensors)
}

/** The largest difference of two tensors, as a part of the largest magnitude. */
function difference(a: Tensor | undefined, b: Tensor | undefined): number {
  if (a === undefined || b === undefined || String(a.shape) !== String(b.shape)) return Number.POSITIVE_INFINITY
  const largest = b.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  return a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - (b.data[i] ?? 0))), 0) / (largest || 1)
}

/** What runs in one pass, and what each pass writes. A constant that is subtracted may come back as one that is added. */
function passes({ report }: FrozenNetwork): string[] {
  return report.rows.map(({ op, fused, writes }) => `${[op, ...fused].join(' ').replaceAll('sub', 'add')} → ${writes}`)
}

for (const name of Object.keys(zoo)) {
  for (const hard of [false, true]) {
    test(`${name}${hard ? ', hardened' : ''}: in onnxruntime, and back`, async (t) => {
      using net = await build(name)
      if (hard) harden(net, name)
      using frozen = await net.freeze()
      const images = pictures(6)
      const expected: Readonly<Record<string, Tensor>> = await frozen.run(images)
      for (const form of forms) {
        const path = join(folder, `${name.replaceAll(/\W/g, '-')}-${hard}-${form}.onnx`)
        t.is(await frozen.exportOnnx(path, { form }), (await stat(path)).size)
        const given = await ort(path, Buffer.concat(images), [6, HEIGHT, WIDTH, 3])
        using imported = await importOnnx(path, { threads: 1 })
        const again: Readonly<Record<string, Tensor>> = await imported.run(images)
        for (const output of frozen.outputs) {
          const [there, back] = [
            difference(given[output], expected[output]),
            difference(again[output], expected[output]),
          ]
          t.true(there <= 1e-4, `${form} ${output}: ${there} in onnxruntime`)
          t.true(back <= 1e-4, `${form} ${output}: ${back} imported`)
        }
        t.deepEqual(imported.normalize, frozen.normalize)
        t.deepEqual(passes(imported), passes(frozen), 'it runs as it did')
      }
    })
  }
}

for (const name of Object.keys(zoo)) {
  test(`${name}, with ends of 8 bits: in onnxruntime`, async (t) => {
    using net = await build(name)
    const images = pictures(24)
    const calibration = fromArrays({
      ...{ height: HEIGHT, width: WIDTH, channels: 3, classes: ['any'] },
      images: Uint8Array.from(Buffer.concat(images)),
      labels: new Uint32Array(24),
    })
    using frozen = await net.freeze({ ends: 'int8', calibration })
    const expected: Readonly<Record<string, Tensor>> = await frozen.run(images)
    for (const form of forms) {
      const path = join(folder, `${name.replaceAll(/\W/g, '-')}-int8-${form}.onnx`)
      await frozen.exportOnnx(path, { form })
      const given = await ort(path, Buffer.concat(images), [24, HEIGHT, WIDTH, 3])
      for (const output of frozen.outputs) {
        // A number of the float stem that rounds to the other byte changes what stands behind it by a step.
        const there = difference(given[output], expected[output])
        t.true(there <= 1e-2, `${form} ${output}: ${there}`)
      }
    }
  })
}

test('the batch of an exported network is of any size', async (t) => {
  using net = await build('binary ResNet-18')
  using frozen = await net.freeze()
  const path = join(folder, 'batch.onnx')
  await frozen.exportOnnx(path)
  const images = pictures(6)
  const all = await ort(path, Buffer.concat(images), [6, HEIGHT, WIDTH, 3])
  const last = await ort(path, Buffer.concat(images.slice(5)), [1, HEIGHT, WIDTH, 3])
  const { logits } = last
  t.deepEqual(logits?.shape, [1, 7])
  t.true(
    difference(last['logits'], { shape: [1, 7], data: all['logits']?.data.slice(35) ?? new Float32Array() }) <= 1e-5,
  )
})

test('a thousand digits are told alike, here and there', async (t) => {
  const { train, test } = await mnist()
  const input = image({ height: 28, width: 28, channels: 1, normalize: { mean: [0.1307], std: [0.3081] } })
  using net = await Network.create(biRealResnet18({ classes: 10, stem: 'small', width: 8 }), { input, seed: 1 })
  await fit(net, { train: train.take(4000), epochs: 1, batchSize: 32, optimizer: adam({ lr: 5e-3 }) }).done
  using frozen = await net.freeze()
  const digits = [...test.take(1000)].map(({ image }) => image)
  const best = ({ data }: Tensor) =>
    digits.map((_, index) => {
      const logits = data.subarray(10 * index, 10 * index + 10)
      return logits.indexOf(Math.max(...logits))
    })
  const expected = best((await frozen.run(digits)).logits)
  const alike = (other: readonly number[]) => other.filter((index, digit) => index === expected[digit]).length
  for (const form of forms) {
    const path = join(folder, `digits-${form}.onnx`)
    await frozen.exportOnnx(path, { form })
    const { logits } = await ort(path, Buffer.concat(digits), [1000, 28, 28, 1])
    t.true(logits !== undefined && alike(best(logits)) >= 999, `${form} in onnxruntime`)
    using imported = await importOnnx(path)
    t.true(alike(best((await imported.run(digits)).logits)) >= 999, `${form} imported`)
    t.deepEqual(imported.classes, frozen.classes)
  }
})

test('two images give different codes in the first binary layer of the export', async (t) => {
  // Its logits are sums of the layer's codes: were the codes lost, all images would have the same.
  using net = await create()
  using frozen = await net.freeze()
  const path = join(folder, 'codes.onnx')
  await frozen.exportOnnx(path)
  const images = Uint8Array.from({ length: 2 * 64 }, (_, i) => (i < 64 ? (i * 37) % 256 : 255 - ((i * 91) % 256)))
  const { features } = await ort(path, images, [2, 8, 8, 1])
  const half = (features?.data.length ?? 0) / 2
  t.notDeepEqual(features?.data.slice(0, half), features?.data.slice(half))
})

test('a compact file is small, a portable one plain', async (t) => {
  const input = image({ height: 224, width: 224, channels: 3 })
  using net = await Network.create(binaryResnet18({ classes: 1000 }), { input })
  using frozen = await net.freeze()
  const compact = await frozen.exportOnnx(join(folder, 'full-compact.onnx'), { form: 'compact' })
  const portable = await frozen.exportOnnx(join(folder, 'full-portable.onnx'))
  t.true(compact <= 4.4e6, String(compact))
  t.true(portable <= 14.5e6, String(portable))
})

test('what is no ONNX file, or is cut off, is refused', async (t) => {
  using net = await create()
  using frozen = await net.freeze()
  const path = join(folder, 'whole.onnx')
  await frozen.exportOnnx(path)
  const whole = await readFile(path)
  const broken = join(folder, 'broken.onnx')
  for (const content of [whole.subarray(0, whole.length - 7), Buffer.from('this is no model'), Buffer.alloc(0)]) {
    await writeFile(broken, content)
    await t.throwsAsync(importOnnx(broken), { code: 'BNETS_FORMAT', message: /broken\.onnx/ })
  }
  await t.throwsAsync(importOnnx(join(folder, 'none.onnx')), { code: 'BNETS_IO', message: /none\.onnx/ })
  const unknown = Buffer.from(whole)
  for (let at = unknown.indexOf('Conv'); at >= 0; at = unknown.indexOf('Conv', at)) unknown.write('Pool', at)
  await t.throwsAsync(importOnnx(unknown), { code: 'BNETS_UNSUPPORTED', message: /the ONNX model's Pool/ })
  const normalize = { mean: [0], std: 'one' as never }
  await t.throwsAsync(importOnnx(path, { normalize }), { code: 'BNETS_ARGUMENT' })
})
