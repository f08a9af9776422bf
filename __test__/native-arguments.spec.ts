// That no argument can crash the process.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeImage, errorCodes, NativeDataset, NativeLoader, NativeNetwork } from '@binary-nets/native'
import test from 'ava'
import { BATCH, create, dataset, loader, lr, model, objective, once, SIDE, spec, updates } from './native-network.js'

const folder = mkdtempSync(join(tmpdir(), 'bnets-junk-'))

/** What junk is tried on; made here, as no test may be declared behind an `await`. */
const own = { net: await create(), batches: loader(), data: dataset() }

const detached = new Uint8Array(BATCH * SIDE * SIDE)
structuredClone(detached, { transfer: [detached.buffer] })
/** What getters of junk throw, ours on objects of other classes among them; it is passed on as it is. */
const THROWN = 'thrown by a getter'
const isThrown = (message = '') => message === THROWN || message.startsWith('Failed to unwrap exclusive reference')
const hostile = new Proxy(
  {},
  {
    get: () => {
      throw new Error(THROWN)
    },
    ownKeys: () => {
      throw new Error(THROWN)
    },
  },
)

/** What no function should be given, and none may crash on. */
const JUNK: unknown[] = [
  ...[
    undefined,
    null,
    true,
    Number.NaN,
    -1,
    0,
    0.5,
    2 ** 31,
    2 ** 53,
    1e300,
    Number.POSITIVE_INFINITY,
    7n,
    Symbol('x'),
  ],
  ...[
    '',
    '{',
    '[]',
    '{}',
    '"shuffle"',
    '\u0000',
    '\ud800',
    '{"epoch":1e300}',
    '{"epoch":0,"position":18446744073709551615}',
  ],
  ...[{}, [], [undefined], new Array(3), { length: 2 ** 32 }, () => 1, class {}, new Map(), new Date(), hostile],
  ...[
    { lr: 'x' },
    { lr: Number.NaN },
    { image: detached },
    { batchSize: 1e300 },
    { seed: -1 },
    {
      get lr() {
        throw new Error(THROWN)
      },
    },
  ],
  ...[detached, new Uint8Array(3), new Uint8Array(BATCH * SIDE * SIDE), new Uint8ClampedArray(BATCH * SIDE * SIDE)],
  ...[
    new Float64Array(2),
    new Float32Array(0),
    new Uint32Array([2 ** 32 - 1]),
    new DataView(new ArrayBuffer(8)),
    new ArrayBuffer(8),
  ],
  ...[new Uint8Array(new SharedArrayBuffer(BATCH * SIDE * SIDE)), new Float32Array(new SharedArrayBuffer(64))],
  ...[Object.create(NativeNetwork.prototype), Object.create(NativeLoader.prototype), NativeDataset],
]

/** Calls with each argument in turn replaced by each junk value; whatever fails must fail with a code. */
async function survive(call: (...args: never[]) => unknown, valid: readonly unknown[]): Promise<string[]> {
  const surprises: string[] = []
  for (const [place, junk] of valid.flatMap((_, place) => JUNK.map((junk) => [place, junk] as const))) {
    try {
      await call(...(valid.map((it, i) => (i === place ? junk : it)) as never[]))
    } catch (error) {
      const { code, message } = error as { code?: string; message?: string }
      if (!errorCodes().includes(code ?? '') && !isThrown(message)) {
        surprises.push(`argument ${place}, ${typeof junk} ${JSON.stringify(String(message))}: ${code}`)
      }
      if (code === 'BNETS_INTERNAL') surprises.push(`argument ${place}: ${message}`)
    }
  }
  return surprises
}

const image = new Uint8Array(BATCH * SIDE * SIDE)
const label = new Uint32Array(BATCH)
const options = { batchSize: BATCH, sampler: '"shuffle"', seed: 1, dropLast: true }
const CALLS: Record<string, readonly [call: (...args: never[]) => unknown, valid: readonly unknown[]]> = {
  mnist: [NativeDataset.mnist, [{ images: 'a', labels: 'b' }]],
  imageFolder: [NativeDataset.imageFolder, [folder, { height: 1, width: 1 }]],
  market1501: [NativeDataset.market1501, [folder, { height: 1, width: 1 }]],
  fromArrays: [NativeDataset.fromArrays, [image, label, SIDE, SIDE, 1, ['a'], new Float32Array(BATCH)]],
  decodeFile: [decodeImage, ['a.png', { height: 1, width: 1, channels: 1, shorter: 1 }]],
  decodePixels: [
    decodeImage,
    [
      { data: image, width: SIDE, height: SIDE },
      { height: 1, width: 1, channels: 1 },
    ],
  ],
  subset: [own.data.subset.bind(own.data), [Uint32Array.of(0)]],
  read: [own.data.read.bind(own.data), [0]],
  loader: [
    (...args: never[]) => new NativeLoader(...(args as unknown as [NativeDataset, typeof options])),
    [own.data, options],
  ],
  create: [NativeNetwork.create, [spec, { seed: 1, threads: 1 }]],
  load: [NativeNetwork.load, [join(folder, 'none'), { threads: 1 }]],
  save: [own.net.save.bind(own.net), [join(folder, 'junk.net'), '']],
  getState: [own.net.getState.bind(own.net), ['fc.weight']],
  setState: [own.net.setState.bind(own.net), ['fc.weight', new Float32Array(16)]],
  dump: [own.net.dump.bind(own.net), ['model', 1]],
  trainStep: [own.net.trainStep.bind(own.net), [own.batches, lr]],
  trainBatch: [own.net.trainBatch.bind(own.net), [{ image, label }, lr]],
  evaluate: [own.net.evaluate.bind(own.net), [own.batches, objective]],
  predict: [own.net.predict.bind(own.net), [image, BATCH, ['logits']]],
  confusion: [own.net.confusion.bind(own.net), [own.batches]],
  setTeacher: [own.net.setTeacher.bind(own.net), [null]],
  profileStep: [own.net.profileStep.bind(own.net), [1]],
  recalibrate: [own.net.recalibrate.bind(own.net), [own.batches, 1]],
  compileTraining: [own.net.compileTraining.bind(own.net), [objective, updates, BATCH, once]],
  planTraining: [own.net.planTraining.bind(own.net), [objective, updates, BATCH, once]],
  loadWeights: [own.net.loadWeights.bind(own.net), [join(folder, 'none'), { partial: true, noise: 0.1, seed: 1 }]],
  saveWeights: [own.net.saveWeights.bind(own.net), [join(folder, 'junk.weights')]],
  flippedSigns: [own.net.flippedSigns.bind(own.net), [new Uint8Array(0)]],
}

/** What takes no argument. */
const WITHOUT = ['summary', 'parameters', 'resetMoments', 'swapAverages', 'signs', 'cancel', 'dispose']

test('no method of a network is forgotten', (t) => {
  const methods = [NativeNetwork.prototype, NativeNetwork].flatMap((owner) =>
    Object.entries(Object.getOwnPropertyDescriptors(owner)).flatMap(([name, { value }]) =>
      typeof value === 'function' && name !== 'constructor' ? [name] : [],
    ),
  )
  const known = (name: string) => Object.hasOwn(CALLS, name) || WITHOUT.includes(name)
  t.true(methods.length > WITHOUT.length)
  t.deepEqual(
    methods.filter((name) => !known(name)),
    [],
  )
})

// Junk that is taken for a file's name makes its file there.
test.before(() => process.chdir(folder))

for (const [name, [call, valid]] of Object.entries(CALLS)) {
  test.serial(`no argument crashes ${name}`, async (t) => {
    t.deepEqual(await survive(call, valid), [])
  })
}

test.serial('options of loaders and networks, one by one', async (t) => {
  for (const field of ['batchSize', 'sampler', 'seed', 'dropLast', 'workers', 'crop', 'flip', 'state']) {
    const open = (value: never) => new NativeLoader(own.data, { ...options, [field]: value }).close()
    t.deepEqual(await survive(open, [undefined]), [], field)
  }
  for (const sampler of [
    '"x"',
    '{"weighted":[]}',
    '{"weighted":[-1]}',
    '{"identities":0,"images":1}',
    '{"identities":2,"images":1e9}',
  ]) {
    t.throws(() => new NativeLoader(own.data, { ...options, sampler }), { code: 'BNETS_ARGUMENT' }, sampler)
  }
  for (const field of ['seed', 'threads', 'isa']) {
    const open = async (value: never) =>
      (await NativeNetwork.create(spec, { seed: 1, threads: 1, [field]: value })).dispose()
    t.deepEqual(await survive(open, [undefined]), [], field)
  }
})

test.serial('no change of a spec crashes', async (t) => {
  const surprises: string[] = []
  const text = JSON.stringify(model({ depth: 1 }))
  const tokens = [...text.matchAll(/(?<=[[:,])(-?[\d.e-]+|"[^"]*")(?=[\],}])/g)]
  for (const { 0: token, index } of tokens) {
    for (const other of ['-1', '0', '3', '1.5', '4294967296', '1e18', '9007199254740993', '"x"', 'null', '[]', '{}']) {
      const changed = `${text.slice(0, index)}${other}${text.slice(index + token.length)}`
      try {
        const net = await NativeNetwork.create(changed, { seed: 1, threads: 1 })
        net.dispose()
      } catch (error) {
        const { code, message } = error as { code?: string; message?: string }
        if (!errorCodes().includes(code ?? '') || code === 'BNETS_INTERNAL') {
          surprises.push(`${text.slice(index - 20, index)}${other}: ${code} ${message}`)
        }
      }
    }
  }
  t.deepEqual(surprises, [])
})

test.serial('methods of one class on objects of another', (t) => {
  for (const self of [{}, null, own.data, own.batches, Object.create(NativeNetwork.prototype), 5]) {
    t.throws(() => NativeNetwork.prototype.summary.call(self as never))
    t.throws(() => NativeNetwork.prototype.cancel.call(self as never))
  }
})

test.serial('after all that the network still works', async (t) => {
  const net = await create()
  const step = await net.trainBatch({ image, label }, lr)
  t.true(Number.isFinite(step.loss))
})
