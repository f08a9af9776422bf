// What is long can be stopped: it rejects with the signal's reason and has changed nothing.
import { mkdtemp, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { adam, type Batch, type FitOptions, fit, fromBatches, Network } from 'binary-nets'
import { CLASSES, create, dataset, type Outputs, shapes, weights } from './shapes.js'

const folder = await mkdtemp(join(tmpdir(), 'bnets-abort-'))
const data = dataset(512)
const options: FitOptions<Outputs> = { train: data, epochs: 2, batchSize: 16, optimizer: adam() }
const reason = new Error('the user has changed their mind')

test('a signal that was aborted before', async (t) => {
  using net = await create()
  const signal = AbortSignal.abort(reason)
  const before = weights(net)
  const path = join(folder, 'never')
  for (const run of [
    () => fit(net, { ...options, signal }).done,
    () => net.evaluate(data, { signal }),
    () => net.predict(data, { signal }),
    () => net.activations(data, 'fc', { signal }),
    () => net.recalibrate(data, { signal }),
    () => net.save(path, { signal }),
  ]) {
    t.is(await t.throwsAsync(run()), reason)
  }
  t.deepEqual(weights(net), before)
  await t.throwsAsync(stat(path), { code: 'ENOENT' })
})

test('a reason need not be an error', async (t) => {
  using net = await create()
  const thrown = await net.evaluate(data, { signal: AbortSignal.abort('enough') }).catch((it: unknown) => it)
  t.is(thrown, 'enough')
})

test('right after a call', async (t) => {
  using net = await create()
  for (let round = 0; round < 20; round++) {
    const controller = new AbortController()
    const run = net.evaluate(dataset(256), { signal: controller.signal })
    controller.abort(reason)
    t.is(await t.throwsAsync(run), reason)
  }
})

test('during an evaluation, after which the network is free', async (t) => {
  using net = await create()
  const controller = new AbortController()
  const run = net.evaluate(dataset(16_384), { batchSize: 16, signal: controller.signal })
  setTimeout(() => controller.abort(reason), 5)
  t.is(await t.throwsAsync(run), reason)
  await t.notThrowsAsync(net.evaluate(data))
})

test('during a run: what was trained stays, and can be gone on with', async (t) => {
  using through = await create()
  await fit(through, options).done

  // Each time at another moment of a step.
  for (const delay of [0, 0.2, 0.5, 1, 2]) {
    const path = join(folder, `at-${delay}.safetensors`)
    {
      using net = await create()
      const controller = new AbortController()
      let steps = 0
      const run = fit(net, {
        ...options,
        signal: controller.signal,
        onStep: () => {
          steps += 1
          if (steps === 5) {
            const start = performance.now()
            const abort = () => (performance.now() - start < delay ? setImmediate(abort) : controller.abort(reason))
            setImmediate(abort)
          }
        },
      })
      t.is(await t.throwsAsync(run.done), reason)
      t.is(net.step, steps, 'a step is made and reported, or it is not')
      await net.save(path)
    }
    using net = await Network.load<Outputs>(path)
    await fit(net, { ...options, resume: true }).done
    t.deepEqual(weights(net), weights(through))
  }
})

test('in a callback', async (t) => {
  using net = await create()
  const controller = new AbortController()
  const run = fit(net, { ...options, signal: controller.signal, onStep: () => controller.abort(reason) })
  t.is(await t.throwsAsync(run.done), reason)
  t.is(net.step, 1)
})

/** Epochs of four batches, of which the one numbered `stuck` never comes; how often one was left is counted. */
function sticking(stuck: number) {
  const { images, labels } = shapes(16, 1)
  const seen = { left: 0, asked: 0 }
  const open = () => ({
    [Symbol.asyncIterator]: () => {
      let made = 0
      return {
        next: async (): Promise<IteratorResult<Batch>> => {
          seen.asked += 1
          if (made++ === stuck) await new Promise(() => undefined)
          return { done: false, value: { image: images, label: labels } }
        },
        return: (): Promise<never> => {
          seen.left += 1
          return Promise.reject(new Error('of the iterable, which nobody asked'))
        },
      }
    },
  })
  return { train: fromBatches(open, { classes: CLASSES, batches: 4 }), seen }
}

test('while the batches of a program are waited for, which are left', async (t) => {
  using net = await create()
  const { train, seen } = sticking(2)
  const controller = new AbortController()
  const run = fit(net, {
    ...options,
    train,
    signal: controller.signal,
    onStep: ({ step }) => {
      if (step === 2) setTimeout(() => controller.abort(reason), 5)
    },
  })
  t.is(await t.throwsAsync(run.done), reason)
  t.is(net.step, 2)
  t.deepEqual(seen, { left: 1, asked: 3 })
  await t.notThrowsAsync(fit(net, options).done, 'the network is free')
})

test('while batches are passed over to resume, which are left', async (t) => {
  using net = await create()
  const enough = new Error('enough')
  const stop = ({ step }: { readonly step: number }) => (step === 2 ? Promise.reject(enough) : undefined)
  t.is(await t.throwsAsync(fit(net, { ...options, train: sticking(4).train, onStep: stop }).done), enough)

  const { train, seen } = sticking(1)
  const controller = new AbortController()
  const run = fit(net, { ...options, train, resume: true, signal: controller.signal })
  const poll = setInterval(() => seen.asked === 2 && controller.abort(reason), 1)
  t.is(await t.throwsAsync(run.done), reason)
  clearInterval(poll)
  t.deepEqual(seen, { left: 1, asked: 2 })

  const short = fromBatches(() => [], { classes: CLASSES, batches: 4 })
  const message = 'fit: epoch 0 ended after 0 of 4 batches'
  await t.throwsAsync(fit(net, { ...options, train: short, resume: true }).done, { code: 'BNETS_ARGUMENT', message })
})

test('listeners are taken off the signal', async (t) => {
  using net = await create()
  const { signal } = new AbortController()
  let listeners = 0
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)]
  Object.assign(signal, {
    addEventListener: (...args: Parameters<typeof add>) => {
      listeners += 1
      add(...args)
    },
    removeEventListener: (...args: Parameters<typeof remove>) => {
      listeners -= 1
      remove(...args)
    },
  })
  await fit(net, { ...options, signal }).done
  const { images, labels } = shapes(16, 1)
  const open = () => [{ image: images, label: labels }]
  await fit(net, { ...options, train: fromBatches(open, { classes: CLASSES, batches: 1 }), signal }).done
  t.is(listeners, 0)
})
