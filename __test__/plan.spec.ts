// What a training step takes, before it is made.
import test from 'ava'
import {
  adam,
  binaryResnet18,
  distillation,
  fit,
  image,
  type Loss,
  meanSquaredError,
  Network,
  type PlanOptions,
  sgd,
} from 'binary-nets'
import { create, dataset, type Outputs } from './shapes.js'

const train = dataset(64, 1)
const optimizer = adam()

test('the less a policy keeps, the less a deep network takes', async (t) => {
  const input = image({ height: 32, width: 32, channels: 3 })
  using net = await Network.create(binaryResnet18({ classes: 10, width: 16, stem: 'small' }), { input, threads: 1 })
  const plan = (memory: 'speed' | 'balanced' | 'min') => {
    return net.plan({ optimizer: sgd(), batchSize: 16, memory, classes: 10 })
  }
  const [speed, balanced, min] = [await plan('speed'), await plan('balanced'), await plan('min')]
  t.true(min.bytes < balanced.bytes && balanced.bytes < speed.bytes, `${min.bytes} ${balanced.bytes} ${speed.bytes}`)
  t.is(speed.bytes, speed.stateBytes + speed.workspaceBytes + speed.batchBytes)
})

test('classes are those of the network, or told', async (t) => {
  using net = await create()
  const refused = (options: Partial<PlanOptions<Outputs>>, message: string | RegExp) =>
    t.throwsAsync(net.plan({ optimizer, ...options }), { code: 'BNETS_ARGUMENT', message })
  await refused({}, 'plan: the network knows no classes: give `classes`')
  await refused({ classes: 0 }, 'plan: classes should be an integer from 1 to 16777216, got 0')
  await refused({ classes: 1e9 }, /classes should be an integer from 1 to 16777216, got 1000000000/)
  await refused({ classes: 2 ** 24 }, /the data has 16777216 classes, the network's logits have 4/)
  t.is((await net.plan({ optimizer, classes: 4 })).batchSize, 64)
  const loss = meanSquaredError() as unknown as Loss<Outputs>
  t.is((await net.plan({ optimizer, loss, targets: 4 })).batchSize, 64)

  await fit(net, { train, epochs: 1, batchSize: 16, optimizer }).done
  t.is((await net.plan({ optimizer })).batchSize, 16, 'as in the last run')
  await refused({ classes: 5 }, "plan: classes should be 4, as many as the network's, got 5")
})

test('a plan takes no teacher away from a run', async (t) => {
  using net = await create()
  using teacher = await create(2)
  using other = await create(3)
  const taught = (by: typeof teacher) => ({ optimizer, loss: distillation(by), classes: 4 })
  const whole = await create()
  await fit(whole, { train, epochs: 2, batchSize: 16, optimizer, loss: distillation(teacher) }).done

  const run = fit(net, { train, epochs: 2, batchSize: 16, optimizer, loss: distillation(teacher) })
  for await (const _ of run) {
    t.true((await net.plan(taught(teacher))).bytes > 0)
    await t.throwsAsync(net.plan(taught(other)), { code: 'BNETS_BUSY', message: /another teacher/ })
    t.is((await net.plan({ optimizer, batchSize: 8 })).batchSize, 8)
  }
  t.deepEqual(net.stateDict(), whole.stateDict())
  t.true((await net.plan(taught(other))).bytes > 0)
})
