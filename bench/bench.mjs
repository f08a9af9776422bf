// `npm run bench`: the kernels (one thread), then the training step, evaluation and peak memory of the digit example's network on one thread and on all.
// Times are the best of several. `npm run bench -- --record` also writes bench/record/<date>.md.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join } from 'node:path'

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

const lines = []
const say = (line = '') => {
  console.log(line)
  lines.push(line)
}

const { version: node } = process
const memory = Math.round(totalmem() / 2 ** 30)
const cpu = cpus()[0]?.model ?? 'unknown processor'
say(`${cpu}, ${availableParallelism()} cores, ${memory} GiB; Node ${node}; ${new Date().toISOString().slice(0, 10)}`)
say()
say('Kernels, one thread')
const kernels = ['bench', '--quiet', '-p', 'binary-nets-kernels', '--bench', 'kernels']
output(false, 'cargo', ...kernels, '--no-run')
say(output(true, 'cargo', ...kernels))
say()

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
const cells = [columns.map(([title]) => title), ...rows.map((row) => columns.map(([, cell]) => cell(row)))]
const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i].length)))
say('Bi-Real ResNet-18, width 16, 28×28: the network of `npm start`')
for (const line of cells) say(line.map((cell, i) => cell.padStart(widths[i])).join('  '))

if (process.argv.includes('--record')) {
  const rustc = output(false, 'rustc', '--version')
  const file = `bench/record/${new Date().toISOString().slice(0, 10)}.md`
  mkdirSync('bench/record', { recursive: true })
  writeFileSync(file, `# \`npm run bench -- --record\`\n\n${rustc}\n\n\`\`\`\n${lines.join('\n')}\n\`\`\`\n`)
  console.log(`\nWritten to ${file}`)
}
