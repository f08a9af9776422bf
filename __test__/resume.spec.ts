// A run that is stopped, saved, loaded and resumed ends in the same network, bit by bit.
import { appendFile, mkdtemp, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test from 'ava'
import { adam, cosine, type FitOptions, fit, fromBatches, Network, type StepEvent } from 'binary-nets'
import { CLASSES, create, dataset, type Outputs, shapes, weights } from './shapes.js'

const folder = await mkdtemp(join(tmpdir(), 'bnets-resume-'))
const EPOCHS = 4
const STEPS = 6
const loader = { augment: { crop: { padding: 1 }, flip: true } }
const options: FitOptions<Outputs> = {
  ...{ train: dataset(100, 1), validation: dataset(40, 2), epochs: EPOCHS, batchSize: 16, loader, seed: 3 },
  optimizer: adam({ lr: cosine(1e-2) }),
}

/** What an epoch reports, without the time that it took. */
const timeless = (line: string) => JSON.parse(line, (key, value) => (/seconds|imagesPerSecond/.test(key) ? 0 : value))
const lines = async (path: string) => (await readFile(path, 'utf8')).trimEnd().split('\n').map(timeless)

/** The uninterrupted run. */
const whole = (async () => {
  const history = join(folder, 'whole.jsonl')
  using net = await create()
  await fit(net, { ...options, history }).done
  return { weights: weights(net), history: await lines(history) }
})()

/** Stops a run after `stop` steps by saving there and forgetting the rest, and goes on from the file. */
async function interrupted(stop: number, history: string, crash = async () => {}) {
  const path = join(folder, `at-${stop}.safetensors`)
  {
    using net = await create()
    const enough = new Error('enough')
    const run = fit(net, {
      ...options,
      history,
      onStep: async ({ epoch, step }) => {
        if (epoch * STEPS + step === stop) await net.save(path)
        // Goes on a little, so that a later state of the network and of the loader is there to be mistaken for the saved one.
        if (epoch * STEPS + step === stop + 2) throw enough
      },
    })
    await run.done.catch((error) => {
      if (error !== enough) throw error
    })
  }
  await crash()
  using net = await Network.load<Outputs>(path, { threads: 1 })
  const before = net.step
  const { epochs } = await fit(net, { ...options, history, resume: true }).done
  return { before, epochs: epochs.length, weights: weights(net), history: await lines(history) }
}

for (const stop of [1, 3, STEPS - 1, STEPS, STEPS + 1, 2 * STEPS, 3 * STEPS + 2, EPOCHS * STEPS]) {
  test(`after ${stop} of ${EPOCHS * STEPS} steps`, async (t) => {
    const expected = await whole
    const got = await interrupted(stop, join(folder, `at-${stop}.jsonl`))
    t.is(got.before, stop)
    t.deepEqual(got.weights, expected.weights)
    t.deepEqual(got.history, expected.history, 'the history is that of one run')
  })
}

test('with gradients in whole numbers and slopes of 8 bits, in the middle of an update', async (t) => {
  const fixed: FitOptions<Outputs> = { ...options, gradients: 'fixed', slopes: 'int8', accumulate: 2 }
  using whole = await create()
  await fit(whole, fixed).done
  const path = join(folder, 'fixed.safetensors')
  using net = await create()
  const enough = new Error('enough')
  const onStep = async ({ epoch, step }: StepEvent) => {
    if (epoch === 1 && step === 3) await net.save(path)
    if (epoch === 1 && step === 4) throw enough
  }
  t.is(await t.throwsAsync(fit(net, { ...fixed, onStep }).done), enough)
  using resumed = await Network.load<Outputs>(path, { threads: 1 })
  t.notDeepEqual(weights(resumed), weights(whole))
  await fit(resumed, { ...fixed, resume: true }).done
  t.deepEqual(weights(resumed), weights(whole))
})

test('after a crash in the middle of a line of the history', async (t) => {
  const history = join(await mkdtemp(join(folder, 'crash-')), 'history.jsonl')
  const { history: got } = await interrupted(2 * STEPS + 1, history, async () => {
    t.is((await lines(history)).length, 2)
    await appendFile(history, '{"epoch":2,"train":{"lo')
  })
  t.deepEqual(got, (await whole).history)
  t.deepEqual(await readdir(dirname(history)), ['history.jsonl'], 'nothing is left beside it')
})

for (const after of [0, 1, 2, EPOCHS - 1]) {
  test(`from the last checkpoint, after epoch ${after}`, async (t) => {
    const checkpoints = join(folder, `epoch-${after}`)
    {
      using net = await create()
      for await (const { epoch } of fit(net, { ...options, checkpoints })) if (epoch === after) break
    }
    using net = await Network.load<Outputs>(join(checkpoints, 'last.safetensors'))
    const { epochs } = await fit(net, { ...options, resume: true }).done
    t.is(epochs.length, EPOCHS - 1 - after)
    t.deepEqual(weights(net), (await whole).weights)
  })
}

test('with data from an iterable', async (t) => {
  const { images, labels } = shapes(96, 5)
  const train = fromBatches(
    function* (epoch) {
      for (let batch = 0; batch < STEPS; batch++) {
        const at = 16 * ((batch + epoch) % STEPS)
        yield { image: images.subarray(64 * at, 64 * (at + 16)), label: labels.subarray(at, at + 16) }
      }
    },
    { classes: CLASSES, batches: STEPS },
  )
  const given = { train, epochs: 2, batchSize: 16, optimizer: options.optimizer }
  using through = await create()
  await fit(through, given).done

  const path = join(folder, 'iterable.safetensors')
  {
    using net = await create()
    const run = fit(net, {
      ...given,
      onStep: async ({ epoch, step }) => {
        if (epoch === 1 && step === 2) await net.save(path)
      },
    })
    await run.done
  }
  using net = await Network.load<Outputs>(path)
  await fit(net, { ...given, resume: true }).done
  t.deepEqual(weights(net), weights(through))
})

test('a network that was never trained starts at the begin', async (t) => {
  using net = await create()
  await fit(net, { ...options, resume: true }).done
  t.deepEqual(weights(net), (await whole).weights)
})

test('a run goes on only with what it began with', async (t) => {
  const path = join(folder, 'other.safetensors')
  {
    using net = await create()
    await fit(net, { ...options, epochs: 1 }).done
    await net.save(path)
  }
  using net = await Network.load<Outputs>(path)
  const refuses = (wrong: object, message: RegExp) =>
    t.throwsAsync(fit(net, { ...options, ...wrong, resume: true }).done, { code: 'BNETS_ARGUMENT', message })
  await refuses({ batchSize: 8 }, /batchSize should be 16, as in the run that is resumed, got 8/)
  await refuses({ seed: 4 }, /seed should be 3/)
  await refuses({ train: dataset(50, 1) }, /batches should be 6/)
  await t.notThrowsAsync(fit(net, { ...options, resume: true }).done, 'a refusal leaves the run where it stood')
})
