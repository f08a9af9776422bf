// What goes wrong is a BinaryNetsError with a stable code, and the path of the layer to blame where there is one.
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  adam,
  BinaryNetsError,
  binaryConv2d,
  conv2d,
  ERROR_CODES,
  type ErrorCode,
  type FitOptions,
  fit,
  fromArrays,
  globalAvgPool,
  image,
  type Layer,
  type Loss,
  linear,
  maxPool2d,
  Network,
  relu,
  type Sym,
} from 'binary-nets'
import { CLASSES, create, dataset, input, type Outputs, SIZE, shapes, weights } from './shapes.js'

const folder = await mkdtemp(join(tmpdir(), 'bnets-errors-'))
const data = dataset(64)
const options: FitOptions<Outputs> = { train: data, epochs: 1, batchSize: 16, optimizer: adam() }

/** Checks that something rejects with a code, and where a layer is to blame its path. */
async function rejects(t: ExecutionContext, run: Promise<unknown>, code: ErrorCode, node?: string): Promise<string> {
  const error = await t.throwsAsync(run, { instanceOf: BinaryNetsError })
  t.is(error?.code, code)
  t.is(error?.node, node)
  return error?.message ?? ''
}

test('the codes are those of the native library', (t) => {
  // What is cancelled has a code of its own there; a user sees the reason of the signal.
  const native = readFileSync('crates/node/src/error.rs', 'utf8').match(/BNETS_[A-Z_]+/g) ?? []
  t.deepEqual([...new Set(native)].toSorted(), [...ERROR_CODES, 'BNETS_ABORTED'].toSorted())
})

/** A network of one layer under the key `net`. */
const made = (net: Layer) => Network.create((x) => ({ logits: x.pipe(net) }), { input })

test('shapes that do not fit together name the layer', async (t) => {
  const { block } = await import('binary-nets')
  const at = (child: Layer) =>
    made(block({ net: block({ child }, ({ child }, x) => child(x)) }, ({ net }, x) => net(x)))
  const message = await rejects(t, at(conv2d(3, 4, { kernel: 3 })), 'BNETS_SHAPE', 'net.child')
  t.regex(message, /conv2d at 'net\.child'/)
  await rejects(t, at(binaryConv2d(2, 4, { kernel: 3 })), 'BNETS_SHAPE', 'net.child')
  await rejects(t, at(linear(SIZE * SIZE, 4)), 'BNETS_SHAPE', 'net.child')
})

test('models that mix the images of a batch are refused by op', async (t) => {
  const yields = (output: (logits: Sym) => Sym) =>
    Network.create((x) => ({ logits: output(x.pipe(globalAvgPool, linear(1, 4))) }), { input })
  for (const [op, output] of [
    ['reduce', (it: Sym) => it.sub(it.mean([0]))],
    ['reduce', (it: Sym) => it.mean([0, 1])],
    ['reshape', (it: Sym) => it.reshape([-1])],
    ['transpose', (it: Sym) => it.transpose([1, 0])],
  ] as const) {
    const message = await rejects(t, yields(output), 'BNETS_SHAPE')
    t.regex(message, /a frozen network sees one image at a time/)
    t.true(message.startsWith(op), message)
  }
})

test('impossible geometry names the layer', async (t) => {
  const { sequential } = await import('binary-nets')
  t.regex(await rejects(t, made(sequential(relu, conv2d(1, 4, { kernel: 9 }))), 'BNETS_SHAPE', '1'), /8x8/)
  await rejects(t, made(sequential(maxPool2d({ kernel: 2, padding: 2 }))), 'BNETS_SHAPE', '0')
})

test('images of another size, or of another type', async (t) => {
  using net = await create()
  const wrong = (images: unknown) => net.predict(images as Uint8Array)
  t.regex(await rejects(t, wrong(new Uint8Array(63)), 'BNETS_SHAPE'), /image 0 should hold 8×8×1 = 64 bytes, got 63/)
  await rejects(t, wrong([new Uint8Array(64), new Uint8Array(0)]), 'BNETS_SHAPE')
  t.regex(await rejects(t, wrong(new Float32Array(64)), 'BNETS_ARGUMENT'), /should be a Uint8Array, got a Float32Array/)
  await rejects(t, wrong([]), 'BNETS_ARGUMENT')
  await rejects(t, wrong(7), 'BNETS_ARGUMENT')
  await rejects(t, wrong([7]), 'BNETS_ARGUMENT')

  const shared = new Uint8Array(new SharedArrayBuffer(64))
  t.regex(await rejects(t, wrong(shared), 'BNETS_ARGUMENT'), /memory of its own/)
  const moved = new Uint8Array(64)
  structuredClone(moved, { transfer: [moved.buffer] })
  await rejects(t, wrong(moved), 'BNETS_SHAPE')
})

test('data that a network does not look at', async (t) => {
  using net = await create()
  const size = { height: 4, width: 4, channels: 1 }
  const small = fromArrays({ images: new Uint8Array(32 * 16), labels: new Uint32Array(32), ...size, classes: CLASSES })
  await rejects(t, fit(net, { ...options, train: small }).done, 'BNETS_SHAPE')
  await rejects(t, net.evaluate(small), 'BNETS_SHAPE')
  // As many bytes as the network takes, but of another size.
  const flat = { height: 4, width: 16, channels: 1, classes: CLASSES }
  const wide = fromArrays({ images: new Uint8Array(32 * 64), labels: new Uint32Array(32), ...flat })
  const message = await rejects(t, fit(net, { ...options, train: wide }).done, 'BNETS_SHAPE')
  t.regex(message, /train should have images of 8×8×1, as the network takes, got 4×16×1/)
  await rejects(t, fit(net, { ...options, validation: wide }).done, 'BNETS_SHAPE')
  await rejects(t, net.evaluate(wide), 'BNETS_SHAPE')
  await rejects(t, net.recalibrate(wide), 'BNETS_SHAPE')
  const { images, labels } = shapes(32, 1)
  const ten = fromArrays({ images, labels, height: 8, width: 8, channels: 1, classes: [...'0123456789'] })
  const classes = await rejects(t, fit(net, { ...options, train: ten }).done, 'BNETS_ARGUMENT')
  t.regex(classes, /the data has 10 classes, the network's logits have 4/)
})

test('a loss of another shape than a number', async (t) => {
  using net = await create()
  const loss: Loss<Outputs> = ({ logits }) => ({ loss: logits })
  await rejects(t, fit(net, { ...options, loss }).done, 'BNETS_SHAPE', 'fc')
  const none = (() => ({})) as unknown as Loss<Outputs>
  await rejects(t, fit(net, { ...options, loss: none }).done, 'BNETS_SPEC')
})

test('options that do not exist, anywhere', async (t) => {
  using net = await create()
  const wrong = { speed: 11 } as object
  await rejects(
    t,
    Network.create(() => ({}), { input, ...wrong } as never),
    'BNETS_ARGUMENT',
  )
  await rejects(t, Network.load('x', wrong), 'BNETS_ARGUMENT')
  await rejects(t, net.evaluate(data, wrong), 'BNETS_ARGUMENT')
  await rejects(t, net.predict(data, wrong), 'BNETS_ARGUMENT')
  await rejects(t, net.activations(data, 'fc', wrong), 'BNETS_ARGUMENT')
  await rejects(t, net.recalibrate(data, wrong), 'BNETS_ARGUMENT')
  await rejects(t, net.evaluate([] as never), 'BNETS_ARGUMENT')
  await rejects(t, net.save('x', wrong), 'BNETS_ARGUMENT')
  t.throws(() => image({ height: 1, width: 1, channels: 1, ...wrong }), { code: 'BNETS_ARGUMENT', message: /speed/ })
})

test('signals and paths that are none are named', async (t) => {
  using net = await create()
  using frozen = await net.freeze()
  const stop = { signal: {} } as never
  for (const run of [
    (async () => fit(net, { ...options, ...(stop as object) }).done)(),
    net.predict(data, stop),
    net.evaluate(data, stop),
    net.activations(data, 'fc', stop),
    net.save('x', stop),
    frozen.predict(data, stop),
    frozen.evaluate(data, stop),
    frozen.run(data, stop),
  ]) {
    t.regex(await rejects(t, run, 'BNETS_ARGUMENT'), /signal should be an AbortSignal/)
  }
  for (const paths of [5, null, [5], ['fc', undefined]]) {
    t.regex(await rejects(t, net.activations(data, paths as never), 'BNETS_ARGUMENT'), /a path should be a string/)
  }
})

test('logits that are not finite are no prediction', async (t) => {
  using net = await create()
  const bias = net.getParameter('fc.bias')
  bias[1] = Number.NaN
  net.setParameter('fc.bias', bias)
  using frozen = await net.freeze()
  for (const run of [net.predict(data.subset([0, 1])), frozen.predict(data.subset([0, 1]))]) {
    t.regex(await rejects(t, run, 'BNETS_NOT_FINITE'), /logits of image 0/)
  }
})

test('a loss that is not finite names the first layer that was not, and changes nothing', async (t) => {
  using net = await create()
  const bias = net.getParameter('layer1.bn.bias')
  bias[3] = Number.NaN
  net.setParameter('layer1.bn.bias', bias)
  const before = weights(net)
  await rejects(t, fit(net, options).done, 'BNETS_NOT_FINITE', 'layer1.bn')
  t.deepEqual(weights(net), before)
  t.is(net.step, 0)
  bias[3] = 0
  net.setParameter('layer1.bn.bias', bias)
  await t.notThrowsAsync(fit(net, options).done)
})

test('files that are missing, cut off, damaged or something else', async (t) => {
  using net = await create()
  const path = join(folder, 'net.safetensors')
  await rejects(t, Network.load(join(folder, 'nothing')), 'BNETS_IO')
  await writeFile(join(folder, 'file'), '')
  await rejects(t, net.save(join(folder, 'file', 'net.safetensors')), 'BNETS_IO')

  await fit(net, options).done
  await net.save(path)
  const bytes = await readFile(path)
  const broken = join(folder, 'broken.safetensors')
  const loads = async (content: Uint8Array) => {
    await writeFile(broken, content)
    await rejects(t, Network.load(broken), 'BNETS_FORMAT')
  }
  await loads(new Uint8Array())
  for (const part of [4, 8, 100, bytes.length >> 1, bytes.length - 1]) await loads(bytes.subarray(0, part))
  await loads(Buffer.concat([bytes, Buffer.of(0)]))
  await loads(Buffer.from('not a network at all'))
  for (const part of [0, 0.001, 0.3, 0.6, 0.9, 0.9999]) {
    const damaged = Buffer.from(bytes)
    const place = Math.floor(part * bytes.length)
    damaged[place] = (damaged[place] ?? 0) ^ 0x10
    await loads(damaged)
  }
})

test('a network that was disposed of', async (t) => {
  const net = await create()
  net.dispose()
  net.dispose()
  await rejects(t, net.evaluate(data), 'BNETS_DISPOSED')
  await rejects(t, net.predict(data), 'BNETS_DISPOSED')
  await rejects(t, net.save(join(folder, 'gone')), 'BNETS_DISPOSED')
  await rejects(t, fit(net, options).done, 'BNETS_DISPOSED')
  t.throws(() => net.summary(), { code: 'BNETS_DISPOSED' })
  t.throws(() => net.getParameter('fc.bias'), { code: 'BNETS_DISPOSED' })
  await t.throwsAsync(stat(join(folder, 'gone')), { code: 'ENOENT' })

  const running = await create()
  const prediction = running.predict(Array.from({ length: 4096 }, () => new Uint8Array(64)))
  running.dispose()
  await rejects(t, prediction, 'BNETS_DISPOSED')

  const used = await create()
  {
    await using _ = used
  }
  await rejects(t, used.evaluate(data), 'BNETS_DISPOSED')
})

test('a network that is in the middle of another call', async (t) => {
  using net = await create()
  const first = net.evaluate(dataset(8192), { batchSize: 1 })
  await rejects(t, net.predict(data), 'BNETS_BUSY')
  await rejects(t, net.save(join(folder, 'busy')), 'BNETS_BUSY')
  t.throws(() => net.getParameter('fc.bias'), { code: 'BNETS_BUSY' })
  t.is((await first).samples, 8192, 'the first goes on')
  await t.notThrowsAsync(net.predict(data))
})
