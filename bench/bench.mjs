// `npm run bench`: the kernels (one thread), then the training step, evaluation and peak memory of the digit example's network on one thread and on all.
// Times are the best of several. `npm run bench -- --record` also writes bench/record/<date>-bench.md.
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Report } from './report.mjs'

process.chdir(join(import.meta.dirname, '..'))

/** Runs a command, pinned to the last core where the system can do that, and returns what it printed. */
function output(pinned, command, ...args) {
  const pin = pinned && process.platform === 'linux' ? ['taskset', '-c', String(availableParallelism() - 1)] : []
  const [first, ...rest] = [...pin, command, ...args]
  const { status, stdout, stderr, error } = spawnSync(first, rest, { encoding: 'utf8', maxBuffer: 1 << 26 })
  if (status !== 0) {
    console.error(stderr || error?.message)
    process.exit(1)
  }
  return stdout.trim()
}

const report = new Report('bench')
report.say('Kernels, one thread')
const kernels = ['bench', '--quiet', '-p', 'binary-nets-kernels', '--bench', 'kernels']
output(false, 'cargo', ...kernels, '--no-run')
report.say(output(true, 'cargo', ...kernels))
report.say()

const rows = [...new Set([1, availableParallelism()])].map((threads) =>
  JSON.parse(output(threads === 1, process.execPath, 'bench/step.mjs', String(threads))),
)
const columns = [
  ['threads', (row) => String(row.threads)],
  ['kernels', (row) => row.isa],
  ['step, batch 64', (row) => `${row.stepMs.toFixed(1)} ms`],
  ['training', (row) => `${row.trainImagesPerSecond.toFixed(0)} images/s`],
  ['evaluation', (row) => `${row.evaluateImagesPerSecond.toFixed(0)} images/s`],
  ['one image', (row) => `${row.predictMs.toFixed(2)} ms`],
  ['peak memory', (row) => `${row.peakMiB.toFixed(0)} MiB`],
]
report.say('Bi-Real ResNet-18, width 16, 28×28: the network of `npm start`')
report.table(
  columns.map(([title]) => title),
  rows.map((row) => columns.map(([, cell]) => cell(row))),
)
report.end()
