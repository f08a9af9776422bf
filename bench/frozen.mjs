// A packed model on raw uint8 images 224×224, all in one call or some at a time: `node bench/frozen.mjs <file.bnn> <threads> <runs> [images] [at a time]` prints a line of JSON.
import { loadFrozen } from 'binary-nets'
import { latency } from './latency.mjs'

const [path, threads, runs, images = '1', atATime = images] = process.argv.slice(2)
const model = await loadFrozen(path, { threads: Number(threads) })
const size = Number(atATime) * 224 * 224 * 3
const calls = Array.from({ length: Number(images) / Number(atATime) }, (_, call) => ({
  data: Uint8Array.from({ length: size }, (_, i) => (37 * (call * size + i)) % 256),
  shape: [Number(atATime), 224, 224, 3],
}))
await latency(async () => {
  for (const call of calls) await model.run(call)
}, Number(runs))
