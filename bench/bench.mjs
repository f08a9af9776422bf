// `npm run bench`: the kernels (one thread), then the training step, evaluation and peak memory of the digit example's network on one thread and on all.
// Times are the best of several. `npm run bench -- --record` also writes bench/record/<date>-bench-<instruction set>.md.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { measured, output } from './measured.mjs'
import { Report } from './report.mjs'

process.chdir(join(import.meta.dirname, '..'))

const report = new Report('bench')
report.say('Kernels, one thread')
const kernels = ['cargo', 'bench', '--quiet', '-p', 'binary-nets-kernels', '--bench', 'kernels']
output([...kernels, '--no-run'])
report.say(output(kernels, { cores: 1 }))
report.say()

const rows = [...new Set([1, availableParallelism()])].map((threads) =>
  measured([process.execPath, 'bench/step.mjs', String(threads)], threads),
)
const columns = [
  ['threads', (row) => String(row.threads)],
  ['kernels', (row) => row.isa],
  [`step, batch ${rows[0].batch}`, (row) => `${row.stepMs.toFixed(1)} ms`],
  ['training', (row) => `${row.trainImagesPerSecond.toFixed(0)} images/s`],
  ['evaluation', (row) => `${row.evaluateImagesPerSecond.toFixed(0)} images/s`],
  ['one image', (row) => `${row.predictMs.toFixed(2)} ms`],
  ['peak memory', (row) => `${row.peakMiB.toFixed(0)} MiB`],
]
report.say('Bi-Real ResNet-18, width 32, 28×28, fixed gradients: the network of `npm start`')
report.table(
  columns.map(([title]) => title),
  rows.map((row) => columns.map(([, cell]) => cell(row))),
)
report.end()
