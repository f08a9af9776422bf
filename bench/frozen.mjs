// A packed model on raw uint8 images 224×224: `node bench/frozen.mjs <file.bnn> <threads> <runs> [images]` prints a line of JSON.
import { loadFrozen } from 'binary-nets'
import { latency } from './latency.mjs'

const [path, threads, runs, images = '1'] = process.argv.slice(2)
const model = await loadFrozen(path, { threads: Number(threads) })
const data = Uint8Array.from({ length: Number(images) * 224 * 224 * 3 }, (_, i) => (37 * i) % 256)
const batch = { data, shape: [Number(images), 224, 224, 3] }
await latency(() => model.run(batch), Number(runs))
