// What is long can be stopped: it rejects with the signal's reason and has changed nothing.
import { mkdtemp, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { adam, type FitOptions, fit, Network } from 'binary-nets'
import { create, dataset, type Outputs, weights } from './shapes.js'

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
  t.is(listeners, 0)
})
