// Training from TypeScript: epochs, events, files, and how a run ends.
import { mkdtemp, readFile, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  adam,
  amongTop,
  counting,
  crossEntropy,
  distillation,
  type Epoch,
  type FitOptions,
  fit,
  fromBatches,
  frozen,
  inOrder,
  isBinary,
  type Loss,
  linear,
  Network,
  oneCycle,
  relu,
  rest,
  type StepEvent,
  type Sym,
  sequential,
  sgd,
  shuffle,
  type Tensor,
} from 'binary-nets'
import { CLASSES, create, dataset, input, type Outputs, shapes, weights } from './shapes.js'

const folder = await mkdtemp(join(tmpdir(), 'bnets-fit-'))
const train = dataset(256, 1)
const validation = dataset(128, 2)
const optimizer = adam({ lr: 1e-2 })
const options: FitOptions<Outputs> = { train, epochs: 3, batchSize: 32, optimizer }

test('a binary network learns', async (t) => {
  using net = await create()
  const before = await net.evaluate(validation)
  const { epochs, ending } = await fit(net, { ...options, epochs: 8, optimizer: adam({ lr: oneCycle(2e-2) }) }).done
  const after = await net.evaluate(validation)
  t.is(ending, 'epochs')
  t.is(epochs.length, 8)
  t.is(net.step, 64)
  t.true((epochs[7]?.train.loss ?? 1) < 0.5 * (epochs[0]?.train.loss ?? 0))
  t.true(after.loss < before.loss)
  t.true(after.top1 > 0.9, `top-1 is ${after.top1}`)
})

test('epochs and steps are reported', async (t) => {
  using net = await create()
  const events: StepEvent[] = []
  const epochs: Epoch[] = []
  for await (const epoch of fit(net, { ...options, validation, onStep: (event) => events.push(event) }))
    epochs.push(epoch)
  t.deepEqual(
    epochs.map(({ epoch }) => epoch),
    [0, 1, 2],
  )
  t.deepEqual(
    events.map(({ epoch, step }) => 8 * epoch + step),
    Array.from({ length: 24 }, (_, step) => step + 1),
  )
  t.true(events.every(({ steps, epochs }) => steps === 8 && epochs === 3))
  const last = events.at(-1)
  t.true(events.every(({ waited }) => waited >= 0 && waited < 10))
  t.is(last?.secondsLeft, 0)
  t.is(last?.loss, epochs[2]?.train.loss)
  t.is(last?.top1, epochs[2]?.train.top1)
  t.is(epochs[2]?.train.samples, 256)
  t.deepEqual(epochs[2]?.validation, await net.evaluate(validation), 'what an epoch reports is what the network does')
})

test('a profile has the parts of a step of the run, and changes nothing', async (t) => {
  using net = await create()
  await t.throwsAsync(net.profileStep(), { code: 'BNETS_ARGUMENT', message: /no training step has been compiled/ })
  await fit(net, { ...options, epochs: 1 }).done
  const before = weights(net)
  const times = await net.profileStep({ repeats: 2 })
  t.deepEqual(weights(net), before)
  t.deepEqual([...new Set(times.map(({ part }) => part))], ['forward', 'backward', 'update'])
  t.true(times.every(({ kernel, seconds }) => kernel !== '' && seconds >= 0))
  t.true(times.some(({ seconds }) => seconds > 0))
  const paths = (sought: string) => times.filter(({ op }) => op === sought).map(({ part, path }) => `${part} ${path}`)
  t.deepEqual(paths('binary_conv2d'), ['forward layer1.conv'])
  t.deepEqual(paths('binary_conv2d_grad_weight'), ['backward layer1.conv'])
  t.deepEqual(
    paths('adam').length,
    net.parameters().filter(({ kind }) => kind !== 'statistic').length,
    'an update for each parameter',
  )
  const refused = (options: object, message: RegExp) =>
    t.throwsAsync(net.profileStep(options), { code: 'BNETS_ARGUMENT', message })
  await refused({ repeats: 0 }, /profileStep: repeats should be an integer from 1 to 10000, got 0/)
  await refused({ image: [] }, /there is no option image; there are: repeats, signal/)

  // The run that comes next is the one that would have come.
  using twin = await create()
  await fit(twin, { ...options, epochs: 1 }).done
  for (const each of [net, twin]) await fit(each, { ...options, epochs: 1 }).done
  t.deepEqual(weights(net), weights(twin))
})

test('the mean loss of an epoch is that of its batches', async (t) => {
  using net = await create()
  const losses: number[] = []
  const { epochs } = await fit(net, { ...options, epochs: 1, onStep: ({ batchLoss }) => losses.push(batchLoss) }).done
  t.true(Math.abs((epochs[0]?.train.loss ?? 0) - losses.reduce((sum, loss) => sum + loss, 0) / 8) < 1e-12)
})

test('a network may be used between epochs, and the loop may be left', async (t) => {
  using net = await create()
  const run = fit(net, options)
  for await (const { epoch } of run) {
    await net.evaluate(validation)
    if (epoch === 1) break
  }
  t.is(net.step, 16)
  const { ending, epochs } = await run.done
  t.is(ending, 'left')
  t.is(epochs.length, 2)
  t.throws(() => run[Symbol.asyncIterator](), { code: 'BNETS_BUSY' })
})

test('a run that is not resumed starts its optimizers afresh', async (t) => {
  using net = await create()
  await fit(net, { ...options, epochs: 1 }).done
  using alone = await create()
  for (const { path } of net.parameters()) alone.setParameter(path, net.getParameter(path))
  for (const each of [net, alone]) await fit(each, { ...options, epochs: 1 }).done
  t.deepEqual(weights(net), weights(alone))
})

test('two batches of half the size update as one batch does, where no norm tells them apart', async (t) => {
  const model = (x: Sym) => ({ logits: layers(x.flatten()) })
  const layers = sequential(linear(64, 16), relu, linear(16, 4))
  const loader = { sampler: inOrder() }
  const trained = await Promise.all(
    [1, 2].map(async (accumulate) => {
      using net = await Network.create(model, { input, threads: 1 })
      const batchSize = 32 / accumulate
      const run = { train, epochs: 1, batchSize, accumulate, loader, optimizer: adam({ lr: 1e-2 }) }
      await fit(net, run).done
      t.is(net.step, 8)
      return net.stateDict()
    }),
  )
  const [whole, halves] = trained as [Record<string, Tensor>, Record<string, Tensor>]
  for (const [path, { data }] of Object.entries(whole)) {
    const largest = Math.max(...data.map(Math.abs))
    t.true(data.every((w, index) => Math.abs(w - (halves[path]?.data[index] ?? Number.NaN)) <= 1e-4 * largest, path))
  }
})

test('a step of an update of several batches has a profile too', async (t) => {
  using net = await create()
  await fit(net, { ...options, epochs: 1, accumulate: 2 }).done
  const before = net.stateDict()
  const times = await net.profileStep({ repeats: 2 })
  t.deepEqual([...new Set(times.map(({ part }) => part))], ['forward', 'backward', 'update'])
  t.deepEqual(net.stateDict(), before)
})

test('clipped gradients together are no longer than asked for', async (t) => {
  using net = await create()
  const parameters = () => net.parameters().filter(({ kind }) => kind !== 'statistic')
  const before = parameters().map(({ path }) => net.getParameter(path))
  const batch = { train: train.take(32), epochs: 1, batchSize: 32 }
  await fit(net, { ...batch, clipNorm: 1e-2, optimizer: sgd({ lr: 1 }) }).done
  // With learning rate 1 a step is the gradient.
  const squares = parameters().flatMap(({ path }, index) =>
    [...net.getParameter(path)].map((w, i) => (w - (before[index]?.[i] ?? Number.NaN)) ** 2),
  )
  const norm = Math.sqrt(squares.reduce((sum, square) => sum + square, 0))
  t.true(Math.abs(norm - 1e-2) < 1e-4, `the norm is ${norm}`)
})

test('policies of memory give the same weights, and a plan tells what they take', async (t) => {
  const policies = ['speed', 'balanced', 'min'] as const
  const runs = await Promise.all(
    policies.map(async (memory) => {
      using net = await create()
      const plan = await net.plan({ optimizer: adam(), batchSize: 16, memory, classes: 4 })
      await fit(net, { ...options, epochs: 1, memory }).done
      return { plan, weights: net.stateDict() }
    }),
  )
  const [speed, balanced, min] = runs as [(typeof runs)[0], (typeof runs)[0], (typeof runs)[0]]
  t.deepEqual(balanced.weights, speed.weights)
  t.deepEqual(min.weights, speed.weights)
  t.true(min.plan.bytes < speed.plan.bytes)
  t.is(speed.plan.memory, 'speed')
  t.deepEqual(speed.plan.again, [])
  t.true(speed.plan.kept.some(({ path, value }) => path !== '' && value.startsWith('bit')))
  t.regex(String(speed.plan), /memory: speed +batches of 16/)
  t.regex(String(speed.plan), /Nothing is computed again/)

  using net = await create()
  const wrong = { ...options, memory: 'small' as 'min' }
  t.throws(() => fit(net, wrong), { code: 'BNETS_ARGUMENT', message: /memory should be one of/ })
  await t.throwsAsync(net.plan({ optimizer: adam(), memory: 'small' as 'min', classes: 4 }), { code: 'BNETS_ARGUMENT' })
})

for (const [what, reduced, wrong] of [
  ['rounded gradients', { gradients: 'fixed' }, { gradients: 'int8' as 'fixed' }],
  ['slopes of 8 bits', { slopes: 'int8' }, { slopes: 'fixed' as 'int8' }],
] as const) {
  test(`${what} learn, the same on any number of threads and under any policy of memory`, async (t) => {
    const run = async (precision: typeof reduced | object, threads?: number, memory: 'speed' | 'min' = 'speed') => {
      using net = await create(1, threads)
      await fit(net, { ...options, epochs: 8, optimizer: adam({ lr: oneCycle(2e-2) }), ...precision, memory }).done
      return { weights: net.stateDict(), top1: (await net.evaluate(validation)).top1 }
    }
    const [floats, one, two, small] = await Promise.all([
      run({}),
      run(reduced, 1),
      run(reduced, 2),
      run(reduced, 1, 'min'),
    ])
    t.true(one.top1 > 0.9, `top-1 is ${one.top1}`)
    t.notDeepEqual(one.weights, floats.weights)
    t.deepEqual(two.weights, one.weights)
    t.deepEqual(small.weights, one.weights)

    using net = await create()
    const refusal = { code: 'BNETS_ARGUMENT', message: new RegExp(`${Object.keys(wrong)[0]} should be one of`) }
    t.throws(() => fit(net, { ...options, ...wrong }), refusal)
    await t.throwsAsync(net.plan({ optimizer: adam(), ...wrong, classes: 4 }), refusal)
  })
}

test('slopes of 8 bits take less memory', async (t) => {
  using net = await create()
  const plan = (slopes: 'f32' | 'int8') => net.plan({ optimizer: adam(), slopes, memory: 'speed', classes: 4 })
  const [floats, bytes] = [await plan('f32'), await plan('int8')]
  t.true(bytes.workspaceBytes < floats.workspaceBytes, `${bytes.workspaceBytes} B of ${floats.workspaceBytes}`)
})

test('moving averages stand beside the parameters, and validations see them', async (t) => {
  using net = await create()
  const decay = 0.9
  const path = 'fc.weight'
  let expected = [...net.getParameter(path)]
  const onStep = () => {
    const now = net.getParameter(path)
    expected = expected.map((average, i) => decay * average + (1 - decay) * (now[i] ?? Number.NaN))
  }
  const { epochs } = await fit(net, { ...options, epochs: 2, validation, average: decay, onStep }).done
  const raw = net.getParameter(path)
  const byParameters = await net.evaluate(validation)
  await net.swapAverages()
  const average = net.getParameter(path)
  t.true(average.every((w, i) => Math.abs(w - (expected[i] ?? Number.NaN)) < 1e-5))
  t.notDeepEqual(average, raw)
  t.deepEqual(await net.evaluate(validation), epochs[1]?.validation)
  t.notDeepEqual(byParameters, epochs[1]?.validation)
  await net.swapAverages()
  t.deepEqual(net.getParameter(path), raw)
  using plain = await create()
  await t.throwsAsync(plain.swapAverages(), { code: 'BNETS_ARGUMENT' })
})

test('the best network of a run with averages is saved as it was validated', async (t) => {
  using net = await create()
  const checkpoints = join(folder, 'averaged')
  const { epochs } = await fit(net, { ...options, epochs: 2, validation, average: 0.9, checkpoints }).done
  const best = epochs.findLast((epoch) => epoch.best)
  using loaded = await Network.load<Outputs>(join(checkpoints, 'best.safetensors'))
  t.deepEqual(await loaded.evaluate(validation), best?.validation)
})

test('what a run could not do is refused before it begins', async (t) => {
  using net = await create()
  const before = weights(net)
  const argument = (message: RegExp) => ({ code: 'BNETS_ARGUMENT', message })
  const refused = (more: Partial<FitOptions<Outputs>>, message: RegExp) =>
    t.throwsAsync(fit(net, { ...options, epochs: 1, ...more }).done, argument(message))
  await refused({ optimizer: [[rest, frozen]] }, /all parameters are frozen/)
  await refused({ accumulate: 9 }, /accumulate should be at most the run's 8 batches, got 9/)
  await refused(
    { scalars: { steep: () => 1 } },
    /scalars should be those that the model reads, which are none, got "steep"/,
  )
  await refused({ loss: counting<Outputs>(crossEntropy(), { loss: amongTop(2) }) }, /does not give itself, got "loss"/)
  t.is(net.step, 0)
  t.deepEqual(weights(net), before)
})

test('a run keeps its teacher, whoever else is asked between epochs', async (t) => {
  using teacher = await create(2)
  using other = await create(3)
  const trained = async (between: (net: Network<Outputs>) => Promise<unknown>) => {
    using net = await create()
    for await (const _ of fit(net, { ...options, epochs: 2, loss: distillation(teacher) })) await between(net)
    return weights(net)
  }
  const alone = await trained(async () => undefined)
  const disturbed = await trained((net) => net.evaluate(validation, { loss: distillation(other) }))
  t.deepEqual(disturbed, alone)
})

test('frozen parameters stay as they are', async (t) => {
  using net = await create()
  const before = weights(net)
  await fit(net, {
    ...options,
    epochs: 1,
    optimizer: [
      [isBinary, frozen],
      [rest, sgd({ lr: 0.1 })],
    ],
  }).done
  const after = weights(net)
  t.deepEqual(after['layer1.conv.weight'], before['layer1.conv.weight'])
  t.notDeepEqual(after['conv1.weight'], before['conv1.weight'])
})

test('clamped latent weights stay within bounds', async (t) => {
  using net = await create()
  await fit(net, {
    ...options,
    optimizer: [
      [isBinary, adam({ lr: 0.5, clamp: 0.25 })],
      [rest, optimizer],
    ],
  }).done
  const largest = Math.max(...net.getParameter('layer1.conv.weight').map(Math.abs))
  t.is(largest, 0.25)
})

test('a loss of the user is differentiated and its counts are summed', async (t) => {
  using net = await create()
  const loss: Loss<Outputs> = ({ features }, { label }) => ({
    loss: features.mul(features).mean([0, 1]),
    hits: features.gather(1, label).mean(0).mul(0).add(4),
  })
  const { epochs } = await fit(net, { ...options, loss, validation }).done
  const [first, , last] = epochs
  t.true((last?.train.loss ?? 1) < (first?.train.loss ?? 0))
  t.true(Number.isNaN(last?.train.top1))
  t.is(last?.train.metrics['hits'], (8 * 4) / 256, 'each batch counts 4')
  t.is(last?.validation?.metrics['hits'], 4 / 128, 'one batch')
})

test('data from an async iterable', async (t) => {
  using net = await create()
  const { images, labels } = shapes(256, 1)
  let opened = 0
  const batches = fromBatches(
    async function* (epoch) {
      t.is(epoch, opened++)
      for (let at = 0; at < 256; at += 32) {
        yield { image: images.subarray(64 * at, 64 * (at + 32)), label: labels.subarray(at, at + 32) }
      }
    },
    { classes: CLASSES, batches: 8 },
  )
  const waits: number[] = []
  await fit(net, { ...options, train: batches, onStep: ({ waited }) => waits.push(waited) }).done
  t.is(opened, 3)
  t.true(waits.length === 24 && waits.every((waited) => waited > 0))

  using same = await create()
  await fit(same, { ...options, loader: { sampler: 'sequential' } }).done
  t.deepEqual(weights(net), weights(same), 'the same batches make the same network')
})

test('an async iterable that fails when it is left fails nothing else', async (t) => {
  using net = await create()
  const { images, labels } = shapes(32, 1)
  const open = () => ({
    [Symbol.asyncIterator]: () => ({
      next: async () => ({ done: false, value: { image: images, label: labels } }),
      return: () => Promise.reject(new Error('of the iterable')),
    }),
  })
  const onStep = () => {
    throw new Error('of the callback')
  }
  const train = fromBatches(open, { classes: CLASSES, batches: 8 })
  await t.throwsAsync(fit(net, { ...options, train, onStep }).done, { message: 'of the callback' })
  // A rejection that nobody handles would end the process of this test.
  await new Promise((resolve) => setTimeout(resolve, 10))
})

test('batches of an async iterable are checked', async (t) => {
  using net = await create()
  const { images, labels } = shapes(64, 1)
  const failing = async (batch: unknown, expected: { code: string; message?: RegExp }) => {
    const open = () => [batch] as never
    const batches = fromBatches(open, { classes: CLASSES, batches: 2 })
    await t.throwsAsync(fit(net, { ...options, train: batches }).done, expected)
  }
  const image = images.subarray(0, 32 * 64)
  const label = labels.subarray(0, 32)
  await failing({ image, label }, { code: 'BNETS_ARGUMENT', message: /epoch 0 ended after 1 of 2 batches/ })
  await failing({ image, label: labels }, { code: 'BNETS_ARGUMENT', message: /32 labels, got 64/ })
  await failing(
    { image: [...image], label },
    { code: 'BNETS_ARGUMENT', message: /image of batch 0 should be a Uint8Array/ },
  )
  await failing(
    { image, label: new Int32Array(32) },
    { code: 'BNETS_ARGUMENT', message: /a Uint32Array, got a Int32Array/ },
  )
  await failing({ image: image.subarray(1), label }, { code: 'BNETS_SHAPE' })
  const none = fromBatches(() => undefined as never, { classes: CLASSES, batches: 2 })
  const message = 'fit: what open gives should be an iterable, got undefined'
  await t.throwsAsync(fit(net, { ...options, train: none }).done, { code: 'BNETS_ARGUMENT', message })
})

test('the history is a file of one line an epoch', async (t) => {
  using net = await create()
  const path = join(folder, 'runs', 'history.jsonl')
  const { epochs } = await fit(net, { ...options, validation, history: path }).done
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
  t.deepEqual(
    lines.map((line) => JSON.parse(line)),
    JSON.parse(JSON.stringify(epochs)),
  )
})

test('the best and the last network are kept', async (t) => {
  using net = await create()
  const checkpoints = join(folder, 'checkpoints')
  // The learning rate grows until the network is ruined.
  const worse = adam({ lr: (step) => 1e-2 * 10 ** Math.floor(step / 16) })
  const run = fit(net, { ...options, epochs: 6, validation, checkpoints, optimizer: worse })
  const kept: ReturnType<typeof weights>[] = []
  const epochs: Epoch[] = []
  for await (const epoch of run) {
    kept.push(weights(net))
    epochs.push(epoch)
  }
  const scores = epochs.map(({ validation }) => validation?.top1 ?? 0)
  const best = scores.indexOf(Math.max(...scores))
  t.is(
    epochs.findLastIndex(({ best }) => best),
    best,
  )
  t.true(best < 5)
  using bestNet = await Network.load<Outputs>(join(checkpoints, 'best.safetensors'))
  using lastNet = await Network.load<Outputs>(join(checkpoints, 'last.safetensors'))
  t.deepEqual(weights(bestNet), kept[best] ?? {})
  t.deepEqual(weights(lastNet), kept[5] ?? {})
  t.deepEqual(await bestNet.evaluate(validation), epochs[best]?.validation)
})

test('without a validation there is no best', async (t) => {
  using net = await create()
  const checkpoints = join(folder, 'last-only')
  await fit(net, { ...options, epochs: 1, checkpoints }).done
  await t.notThrowsAsync(stat(join(checkpoints, 'last.safetensors')))
  await t.throwsAsync(stat(join(checkpoints, 'best.safetensors')), { code: 'ENOENT' })
})

test('patience ends a run that gets no better', async (t) => {
  using net = await create()
  const run = fit(net, { ...options, epochs: 50, validation, patience: 2, optimizer: sgd({ lr: 0 }) })
  const { epochs, ending } = await run.done
  t.is(ending, 'patience')
  const best = epochs.findLastIndex(({ best }) => best)
  t.is(epochs.length, best + 3)
})

test('what a callback throws ends the run, and nothing else', async (t) => {
  using net = await create()
  const error = new Error('enough')
  const thrown = await t.throwsAsync(
    fit(net, {
      ...options,
      onStep: ({ step }) => {
        if (step === 3) throw error
      },
    }).done,
  )
  t.is(thrown, error)
  const rejected = await t.throwsAsync(fit(net, { ...options, onStep: () => Promise.reject(error) }).done)
  t.is(rejected, error)
  t.is(net.step, 4)
  await t.notThrowsAsync(fit(net, options).done, 'the network can be trained on')
})

test('a network that is disposed of in a callback ends the run', async (t) => {
  const net = await create()
  const onStep = ({ step }: StepEvent) => {
    if (step === 3) net.dispose()
  }
  await t.throwsAsync(fit(net, { ...options, onStep }).done, { code: 'BNETS_DISPOSED' })
})

test('a run that is refused leaves the network without classes', async (t) => {
  using net = await create()
  await t.throwsAsync(fit(net, { ...options, optimizer: [] }).done, { code: 'BNETS_ARGUMENT' })
  await t.throwsAsync(fit(net, { ...options, loss: () => ({}) as never }).done)
  t.is(net.classes, null)
})

test('one run at a time', async (t) => {
  using net = await create()
  const first = fit(net, options)
  const other = fit(net, options)
  for await (const { epoch } of first) {
    if (epoch === 0) await t.throwsAsync(other.done, { code: 'BNETS_BUSY' })
  }
  await t.notThrowsAsync(fit(net, options).done)
})

test('the order of samples depends on the seed alone', async (t) => {
  const after = async (seed: number) => {
    using net = await create()
    await fit(net, { ...options, epochs: 1, seed, loader: { sampler: shuffle() } }).done
    return weights(net)
  }
  t.deepEqual(await after(1), await after(1))
  t.notDeepEqual(await after(1), await after(2))
})

test('options are checked before anything runs', (t) => {
  const refuses = async (wrong: object, message: RegExp) => {
    const net = await create()
    t.throws(() => fit(net, { ...options, ...wrong } as never), { code: 'BNETS_ARGUMENT', message })
    net.dispose()
  }
  return Promise.all([
    refuses({ epochs: 0 }, /fit: epochs should be an integer of at least 1, got 0/),
    refuses({ batchSize: 1.5 }, /batchSize/),
    refuses({ storage: 'min' }, /no option storage/),
    refuses({ train: 'digits' }, /train should be a dataset or fromBatches/),
    refuses({ patience: 2 }, /patience should be left out where there is no validation, got 2/),
    refuses({ onStep: true }, /onStep should be a function/),
    refuses({ signal: new AbortController() }, /signal should be an AbortSignal/),
  ])
})

test('the promise of a network is none', (t) => {
  t.throws(() => fit(create() as never, options), { code: 'BNETS_ARGUMENT', message: /network should be a network/ })
})
