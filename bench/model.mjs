// `npm run bench:model`: what a frozen ResNet-18 of 1000 classes weighs as a file, in each form, and how fast it opens: in a process of its own, pinned to a core where
// the system can do that, the best of ten. `-- --record` also writes bench/record/<date>-bench-model-<instruction set>.md.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { binaryResnet18, biRealResnet18, groupNetResnet18, image, Network } from 'binary-nets'
import { Report } from './report.mjs'

const OPEN = `
  import { loadFrozen } from 'binary-nets'
  const times = []
  for (let run = 0; run < 10; run++) {
    const start = performance.now()
    const model = await loadFrozen(process.argv[1], { threads: 1 })
    times.push(performance.now() - start)
    model.dispose()
  }
  console.log(JSON.stringify({ first: times[0], best: Math.min(...times) }))
`

/** How long opening a file takes, in ms: the first time in a process, and the best. */
function opening(path) {
  const pin = process.platform === 'linux' ? ['taskset', '-c', String(availableParallelism() - 1)] : []
  const [command, ...rest] = [...pin, process.execPath, '--input-type=module', '-e', OPEN, path]
  const { status, stdout, stderr } = spawnSync(command, rest, { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

const models = [
  ['binaryResnet18', binaryResnet18({ classes: 1000 })],
  ['biRealResnet18', biRealResnet18({ classes: 1000 })],
  ['groupNetResnet18, K = 4', groupNetResnet18({ classes: 1000, parallel: 4 })],
]
const input = image({ height: 224, width: 224, channels: 3 })
const folder = mkdtempSync(join(tmpdir(), 'bnets-bench-'))
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`
const report = new Report('bench:model')
const rows = []
for (const [name, model] of models) {
  const net = await Network.create(model, { input, seed: 1 })
  for (const floats of ['f32', 'f16', 'int8']) {
    const frozen = await net.freeze({ floats })
    const path = join(folder, 'model.bnn')
    await frozen.save(path)
    const forms = []
    for (const form of ['portable', 'compact']) {
      forms.push(megabytes(await frozen.exportOnnx(join(folder, `${form}.onnx`), { form })))
    }
    const { first, best } = opening(path)
    rows.push([
      name,
      floats,
      megabytes(statSync(path).size),
      ...forms,
      `${first.toFixed(1)} ms`,
      `${best.toFixed(1)} ms`,
    ])
    frozen.dispose()
  }
  net.dispose()
}
rmSync(folder, { recursive: true })
report.table(['1000 classes, 224×224', 'floats', '.bnn', 'ONNX', 'compact', 'opened first', 'best'], rows)
report.end()
