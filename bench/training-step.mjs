// Training steps of one of the networks of bench/training-networks.mjs, SGD with momentum, in a process of its own so that its peak memory is theirs:
// `node bench/training-step.mjs <network> <threads> <steps> [--augment] [--images <folder>] [--profile] [--gradients <kind>] [--slopes <kind>] [--memory <policy>]` prints a line of
// JSON. Without a folder the images are noise that lies
// in memory; a folder has `train/<class>/*`, which are decoded. With `--profile` it tells how long each op takes, too.
import { readdirSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { fit, fromArrays, image, imageFolder, Network, sgd } from 'binary-nets'
import { peakMiB } from './peak-memory.mjs'
import { networks } from './training-networks.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    augment: { type: 'boolean' },
    images: { type: 'string' },
    profile: { type: 'boolean' },
    gradients: { type: 'string' },
    slopes: { type: 'string' },
    memory: { type: 'string' },
  },
})
const { gradients = 'f32', slopes = 'f32', memory = 'balanced' } = values
const [name, threads, steps] = [positionals[0], Number(positionals[1]), Number(positionals[2])]
const { size, channels, batch, classes, build } = networks[name]
const shape = { height: size, width: size, channels }
const half = Array.from({ length: channels }, () => 0.5)

const all = values.images
  ? await imageFolder(`${values.images}/train`, shape)
  : fromArrays({
      images: Uint8Array.from({ length: batch * size * size * channels }, (_, i) => (i * 2654435761) >>> 24),
      labels: Uint32Array.from({ length: batch }, (_, i) => i % classes),
      classes: Array.from({ length: classes }, (_, i) => `${i}`),
      ...shape,
    })
// One epoch. A folder lists its classes one after the other, so these are taken from all over it.
const count = (steps + 1) * batch
const train = all.subset(
  Array.from({ length: count }, (_, i) => Math.floor(i * Math.max(1, all.length / count)) % all.length),
)
const net = await Network.create(build({ classes: train.classes.length }), {
  input: image({ ...shape, normalize: { mean: half, std: half } }),
  seed: 1,
  threads,
})

/** The processor time so far of the threads that make batches, in ms, where the system tells. */
function dataTime() {
  if (process.platform !== 'linux') return undefined
  const tasks = readdirSync('/proc/self/task').map((task) => `/proc/self/task/${task}`)
  const own = tasks.filter((task) => readFileSync(`${task}/comm`, 'utf8').startsWith('data-'))
  return own.reduce((sum, task) => sum + Number(readFileSync(`${task}/schedstat`, 'utf8').split(' ')[0]) / 1e6, 0)
}

// The first step warms up.
const ends = []
let [waited, data] = [0, 0]
function onStep(event) {
  ends.push(performance.now())
  if (ends.length === 1) data = dataTime()
  else waited += 1000 * event.waited
  if (ends.length === steps + 1) data = data === undefined ? undefined : dataTime() - data
}
await fit(net, {
  ...{
    train,
    epochs: 1,
    batchSize: batch,
    optimizer: sgd({ lr: 0.01, momentum: 0.9 }),
    onStep,
    gradients,
    slopes,
    memory,
  },
  ...(values.augment && { loader: { augment: { crop: { padding: 4 }, flip: true } } }),
}).done
const peak = peakMiB()
const times = ends.slice(1).map((end, i) => end - ends[i])
const wall = ends.at(-1) - ends[0]
const ops = values.profile ? await net.profileStep({ repeats: 3 }) : []
console.log(JSON.stringify({ ms: Math.min(...times), peakMiB: peak, wall, waited, data, ops }))
