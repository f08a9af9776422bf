// Data from TypeScript: digits, folders, arrays, views and samplers.
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  adam,
  type FitOptions,
  fit,
  fromArrays,
  identityBalanced,
  imageFolder,
  inOrder,
  market1501,
  mnist,
  Network,
  shuffle,
  weighted,
} from 'binary-nets'
import { png } from './png.js'
import { CLASSES, create, dataset, model, type Outputs, shapes } from './shapes.js'

const folder = await mkdtemp(join(tmpdir(), 'bnets-data-'))

/** A folder of images, `count` for each of four classes, one of which may be broken. */
async function images(name: string, count: number, broken?: string): Promise<string> {
  const root = join(folder, name)
  for (const [label, title] of CLASSES.entries()) {
    await mkdir(join(root, title), { recursive: true })
    const { images, labels } = shapes(40 * count, 11)
    const places = [...labels.keys()].filter((place) => labels[place] === label).slice(0, count)
    for (const [index, place] of places.entries()) {
      await writeFile(join(root, title, `${index}.png`), png(images.subarray(64 * place, 64 * (place + 1)), 8, 8))
    }
  }
  if (broken !== undefined) await writeFile(join(root, broken), 'this is no image')
  return root
}

test('MNIST, from the npm package', async (t) => {
  const { train, test } = await mnist()
  t.is(train.length, 60_000)
  t.is(test.length, 10_000)
  t.deepEqual([test.height, test.width, test.channels], [28, 28, 1])
  t.deepEqual(test.classes, [...'0123456789'])
  t.deepEqual(
    [...test.take(10)].map(({ label }) => label),
    [7, 2, 1, 0, 4, 1, 4, 9, 5, 9],
  )
  // The mean that everybody normalises with.
  const pixels = [...train.take(2000)].flatMap(({ image }) => [...image])
  const mean = pixels.reduce((sum, pixel) => sum + pixel, 0) / pixels.length / 255
  t.true(Math.abs(mean - 0.1307) < 0.005)
})

test('MNIST where there is none', async (t) => {
  await t.throwsAsync(mnist({ folder }), { code: 'BNETS_IO', message: /train-images-idx3-ubyte/ })
  await t.throwsAsync(mnist({ fodler: folder } as never), { code: 'BNETS_ARGUMENT' })
})

test('arrays are copied, and views take parts of them', (t) => {
  const { images, labels } = shapes(10, 1)
  const data = fromArrays({ images, labels, height: 8, width: 8, channels: 1, classes: CLASSES })
  const first = images.slice(0, 64)
  images.fill(0)
  t.deepEqual(data.at(0), { image: first, label: labels[0] ?? -1 })
  const view = data.subset([9, 0, 9])
  t.is(view.length, 3)
  t.deepEqual(view.at(1), data.at(0))
  t.deepEqual(
    [...view].map(({ label }) => label),
    [9, 0, 9].map((index) => labels[index] ?? -1),
  )
  t.deepEqual(view.take(1).at(0), data.at(9))
})

test('arrays and views are checked', (t) => {
  const { images, labels } = shapes(10, 1)
  const arrays = { images, labels, height: 8, width: 8, channels: 1, classes: CLASSES }
  const throws = (run: () => unknown, code: string, message: RegExp) => t.throws(run, { code, message })
  throws(() => fromArrays({ ...arrays, height: 7 }), 'BNETS_SHAPE', /10×7×8×1 = 560 bytes, got 640/)
  throws(() => fromArrays({ ...arrays, classes: ['a', 'b'] }), 'BNETS_ARGUMENT', /label [23]/)
  throws(
    () => fromArrays({ ...arrays, images: [...images] as never }),
    'BNETS_ARGUMENT',
    /images should be a Uint8Array/,
  )
  throws(() => fromArrays({ ...arrays, labels: new Uint8Array(10) as never }), 'BNETS_ARGUMENT', /labels/)
  const data = fromArrays(arrays)
  throws(() => data.at(10), 'BNETS_ARGUMENT', /index should be an integer from 0 to 9, got 10/)
  throws(() => data.subset([0, 10]), 'BNETS_ARGUMENT', /got 10/)
  throws(() => data.subset([-1]), 'BNETS_ARGUMENT', /got -1/)
  throws(() => data.subset([]), 'BNETS_ARGUMENT', /./)
  throws(() => data.take(11), 'BNETS_ARGUMENT', /count should be an integer from 1 to 10, got 11/)
})

test('a folder of images', async (t) => {
  const data = await imageFolder(await images('good', 4), { channels: 1 })
  t.is(data.length, 16)
  t.deepEqual(data.classes, CLASSES.toSorted())
  t.deepEqual([data.height, data.width, data.channels], [8, 8, 1])
  const { images: pixels, labels } = shapes(160, 11)
  const place = labels.indexOf(CLASSES.indexOf(data.classes[0] ?? ''))
  t.deepEqual(data.at(0).image, pixels.slice(64 * place, 64 * (place + 1)))

  const colour = await imageFolder(join(folder, 'good'), { height: 4, width: 6 })
  t.is(colour.at(0).image.length, 4 * 6 * 3)

  using net = await create()
  const { epochs } = await fit(net, { train: data, epochs: 1, batchSize: 8, optimizer: adam() }).done
  t.is(epochs[0]?.train.samples, 16)
})

test('a broken image is an error that names it, or is passed over and counted', async (t) => {
  const root = await images('broken', 4, join(CLASSES[1] ?? '', '2.png'))
  const options: Omit<FitOptions<Outputs>, 'train'> = { epochs: 1, batchSize: 4, optimizer: adam() }
  const strict = await imageFolder(root, { height: 8, width: 8, channels: 1 })
  using net = await create()
  await t.throwsAsync(fit(net, { ...options, train: strict }).done, {
    code: 'BNETS_FORMAT',
    message: /top right\/2\.png/,
  })

  const lenient = await imageFolder(root, { height: 8, width: 8, channels: 1, onBroken: 'skip' })
  const { epochs } = await fit(net, { ...options, train: lenient }).done
  t.is(epochs[0]?.train.samples, 16, 'another image of the folder stands in for it')
  t.is(lenient.broken, 1)
})

test('a folder of Market-1501: its identities are the classes, junk and distractors are none', async (t) => {
  const root = join(folder, 'market')
  await mkdir(root)
  const files = [
    ['0007_c2s3_070952_01.png', 40],
    ['0002_c5s1_000451_03.png', 20],
    ['0002_c1s1_000451_03.png', 10],
    ['-1_c3s1_000551_00.png', 1],
    ['0000_c3s1_000551_00.png', 2],
  ] as const
  for (const [name, value] of files) await writeFile(join(root, name), png(new Uint8Array(64).fill(value), 8, 8))
  const data = await market1501(root, { channels: 1 })
  t.deepEqual(data.classes, ['0002', '0007'])
  t.deepEqual(
    [...data].map(({ image, label }) => [image[0], label]),
    [
      [10, 0],
      [20, 0],
      [40, 1],
    ],
  )
  t.is((await market1501(root, { height: 4, width: 2 })).at(0).image.length, 4 * 2 * 3)

  await t.throwsAsync(market1501(root, { width: 8 }), { code: 'BNETS_ARGUMENT', message: /^market1501: height and/ })
  await writeFile(join(root, 'holiday.png'), png(new Uint8Array(64), 8, 8))
  await t.throwsAsync(market1501(root), { code: 'BNETS_FORMAT', message: /holiday\.png/ })
})

test('folders that cannot be', async (t) => {
  await t.throwsAsync(imageFolder(join(folder, 'nowhere')), { code: 'BNETS_IO', message: /nowhere/ })
  await mkdir(join(folder, 'empty', 'class'), { recursive: true })
  await t.throwsAsync(imageFolder(join(folder, 'empty')), { code: 'BNETS_ARGUMENT', message: /empty/ })
  await t.throwsAsync(imageFolder(folder, { height: 8 }), { code: 'BNETS_ARGUMENT', message: /height and width/ })
  await t.throwsAsync(imageFolder(folder, { channels: 2 as 1 }), { code: 'BNETS_ARGUMENT', message: /channels/ })
})

test('samplers', async (t) => {
  const train = dataset(64)
  const steps = async (sampler: ReturnType<typeof shuffle>, batchSize = 16) => {
    using net = await Network.create(model, { input: (await import('./shapes.js')).input, threads: 1 })
    const losses: number[] = []
    const options = { train, epochs: 1, batchSize, optimizer: adam(), loader: { sampler } }
    await fit(net, { ...options, onStep: ({ batchLoss }) => losses.push(batchLoss) }).done
    return losses
  }
  t.is((await steps(inOrder())).length, 4)
  t.notDeepEqual(await steps(shuffle()), await steps(inOrder()))
  t.is((await steps(weighted(Array(64).fill(1)))).length, 4)
  t.true((await steps(identityBalanced({ identities: 4, images: 2 }), 8)).length >= 1)
  await t.throwsAsync(steps(weighted([1, 2])), { code: 'BNETS_ARGUMENT', message: /64/ })
  await t.throwsAsync(steps(identityBalanced({ identities: 4, images: 2 }), 16), {
    code: 'BNETS_ARGUMENT',
    message: /8/,
  })
  t.throws(() => weighted([-1]), { code: 'BNETS_ARGUMENT' })
})

test('all weight on one sample makes batches of that sample', async (t) => {
  const train = dataset(64)
  using net = await create()
  const sample = train.at(5)
  const alone = train.subset(Array(16).fill(5))
  const first = async (data: typeof train, sampler: ReturnType<typeof shuffle>) => {
    using net = await create()
    const options = { train: data, epochs: 1, batchSize: 16, optimizer: adam(), loader: { sampler } }
    const { epochs } = await fit(net, options).done
    return epochs[0]?.train.loss
  }
  t.is(sample.label, alone.at(3).label)
  const weights = Array.from({ length: 16 }, (_, index) => (index === 5 ? 1 : 0))
  t.is(await first(train.take(16), weighted(weights)), await first(alone, inOrder()))
  t.is(net.step, 0)
})

test('options of loaders are checked', async (t) => {
  using net = await create()
  const refuses = (loader: object, message: RegExp) =>
    t.throwsAsync(fit(net, { train: dataset(32), epochs: 1, optimizer: adam(), batchSize: 16, loader }).done, {
      code: 'BNETS_ARGUMENT',
      message,
    })
  await refuses({ sampler: 'random' }, /sampler/)
  await refuses({ augment: { rotate: 3 } }, /no option rotate/)
  await refuses({ augment: { crop: { padding: 0 } } }, /padding/)
  await refuses({ augment: { flip: 1 } }, /flip/)
  await refuses({ workers: 0 }, /workers/)
})
