// What a frozen network can be shown: pixels, files, bytes of files, RGBA.
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { block, conv2d, type FrozenNetwork, flatten, image, Network, type Resize } from 'binary-nets'
import { png } from './png.js'

const folder = await mkdtemp(join(tmpdir(), 'bnets-images-'))
const [HEIGHT, WIDTH] = [4, 6] as const

/** A network whose logits are the pixels it saw, in steps of 1/255: a convolution with weights 1 and 0. */
async function mirror(channels: 1 | 3, resize: Resize = 'stretch'): Promise<FrozenNetwork> {
  const input = image({ height: HEIGHT, width: WIDTH, channels })
  const model = block({ conv: conv2d(channels, channels, { kernel: 1 }) }, ({ conv }, x) => ({
    logits: flatten(conv(x)),
  }))
  using net = await Network.create(model, { input, threads: 1 })
  const eye = Float32Array.from({ length: channels ** 2 }, (_, i) => (i % (channels + 1) === 0 ? 1 : 0))
  net.setParameter('conv.weight', eye)
  return await net.freeze({ resize })
}

const colour = Uint8Array.from({ length: HEIGHT * WIDTH * 3 }, (_, i) => (37 * i) % 256)
const grey = Uint8Array.from({ length: HEIGHT * WIDTH }, (_, i) => (29 * i) % 256)

/** RGBA of RGB, half transparent. */
const rgba = (rgb: Uint8Array) =>
  Uint8ClampedArray.from({ length: (rgb.length / 3) * 4 }, (_, i) =>
    i % 4 === 3 ? 128 : (rgb[3 * Math.floor(i / 4) + (i % 4)] ?? 0),
  )

const seen = async (net: FrozenNetwork, source: Parameters<FrozenNetwork['run']>[0]) => {
  const { logits } = await net.run(source)
  return [...logits.data].map((value) => Math.round(255 * value))
}

test('pixels, a file, its bytes and RGBA are the same image', async (t) => {
  using net = await mirror(3)
  const expected = await seen(net, colour)
  t.deepEqual(new Set(expected), new Set(colour))
  const path = join(folder, 'colour.png')
  const encoded = png(colour, WIDTH, HEIGHT)
  await writeFile(path, encoded)
  t.deepEqual(await seen(net, path), expected)
  t.deepEqual(await seen(net, encoded), expected)
  t.deepEqual(await seen(net, { data: rgba(colour), width: WIDTH, height: HEIGHT }), expected)
  t.deepEqual(await seen(net, png(new Uint8Array(rgba(colour)), WIDTH, HEIGHT)), expected, 'alpha is dropped')
  t.deepEqual(await seen(net, { data: colour, shape: [1, HEIGHT, WIDTH, 3] }), expected)
  t.deepEqual(await seen(net, { image: colour, label: 0 }), expected)
  t.deepEqual(await seen(net, Buffer.from(colour)), expected, 'a Buffer that is no file has pixels')
  t.deepEqual(await seen(net, [path, encoded, colour]), [...expected, ...expected, ...expected])

  using greyNet = await mirror(1)
  t.deepEqual(await seen(greyNet, png(grey, WIDTH, HEIGHT)), await seen(greyNet, grey))
})

test('one image has one answer, a list or a batch has a list', async (t) => {
  using net = await mirror(3)
  t.is((await net.predict(colour, { topK: 1 })).length, 1)
  const both = { data: Buffer.concat([colour, colour]), shape: [2, HEIGHT, WIDTH, 3] }
  const answers = await net.predict(both, { topK: 2 })
  t.deepEqual(answers, await net.predict([colour, colour], { topK: 2 }))
  t.deepEqual(answers[1], await net.predict(colour, { topK: 2 }))
})

test('an image of another size is stretched, or cut about its middle', async (t) => {
  // Left half black, right half white, twice as wide as high.
  const wide = Uint8Array.from({ length: 8 * 16 * 3 }, (_, i) => (Math.floor(i / 3) % 16 < 8 ? 0 : 255))
  using stretching = await mirror(3)
  const row = [0, 0, 0, 255, 255, 255].flatMap((value) => [value, value, value])
  const rows = Array.from({ length: HEIGHT }, () => row).flat()
  const stretched = await seen(stretching, png(wide, 16, 8))
  // A triangle filter mixes the two columns at the edge.
  t.true(stretched.every((value, i) => Math.abs(value - (rows[i] ?? 0)) <= 64))

  // Frame of 100 around 6×4 pixels of 200: the shorter side is 8 already, so nothing but the middle is seen.
  const framed = Uint8Array.from({ length: 8 * 10 * 3 }, (_, i) => {
    const [y, x] = [Math.floor(i / 30), Math.floor(i / 3) % 10]
    return y >= 2 && y < 6 && x >= 2 && x < 8 ? 200 : 100
  })
  using cropping = await mirror(3, { shorter: 8 })
  t.deepEqual(new Set(await seen(cropping, png(framed, 10, 8))), new Set([200]))
  const pixels = { data: rgba(framed), width: 10, height: 8 }
  t.deepEqual(new Set(await seen(cropping, pixels)), new Set([200]), 'RGBA as well')
})

test('what is no image is refused by name', async (t) => {
  using net = await mirror(3)
  await t.throwsAsync(net.predict(join(folder, 'none.png')), { code: 'BNETS_IO', message: /none\.png/ })
  const path = join(folder, 'text.png')
  await writeFile(path, 'this is no image')
  await t.throwsAsync(net.predict(path), { code: 'BNETS_FORMAT', message: /text\.png/ })
  const cut = png(colour, WIDTH, HEIGHT).subarray(0, 40)
  await t.throwsAsync(net.predict(cut), { code: 'BNETS_FORMAT' })
  await t.throwsAsync(net.predict([colour, path]), { code: 'BNETS_FORMAT', message: /text\.png/ })
  const data = new Uint8ClampedArray(7)
  await t.throwsAsync(net.predict({ data, width: 2, height: 1 }), { code: 'BNETS_SHAPE', message: /8 bytes/ })
  await t.throwsAsync(net.predict({ data, width: 0, height: 1 }), { code: 'BNETS_ARGUMENT' })
})
