// onnxruntime-node on a network that takes raw uint8 images 224×224: `node bench/peers/onnxruntime.mjs <file.onnx> <threads> <runs>` prints a line of JSON.
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { latency } from '../latency.mjs'

const [path, threads, runs] = process.argv.slice(2)
const options = { intraOpNumThreads: Number(threads), interOpNumThreads: 1, logSeverityLevel: 3 }
const session = await InferenceSession.create(path, options)
const image = new Tensor(
  'uint8',
  Uint8Array.from({ length: 224 * 224 * 3 }, (_, i) => (37 * i) % 256),
  [1, 224, 224, 3],
)
await latency(() => session.run({ image }), Number(runs))
