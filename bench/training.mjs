// `npm run bench:training [-- --quick]`: a training step on one core and on two, with either kind of gradients and any policy of memory, SGD with momentum, and, where BINARY_NETS_PYTHON
// names a Python with torch, PyTorch's step of the same network and batch: emulated, which is codes and signs as floats in convolutions of floats, and the float network. Each in a
// process of its own, in turn, several rounds, the best of all; PyTorch in the memory format that suits it better. PyTorch's step is given floats that are ready,
// ours starts from bytes that it normalises. Peak memory is that of the whole process, with what it imports. `-- --record` also writes bench/record/<date>-bench-training-<instruction set>.md.
//
// `npm run bench:training -- --profile [<network>] [<folder>]`: where the time of a step goes, op by op, and what decoding and varying images costs. The folder has
// `train/<class>/*`; without one the images lie in memory.
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { measured } from './measured.mjs'
import { progress, Report } from './report.mjs'
import { networks } from './training-networks.mjs'

const quick = process.argv.includes('--quick')
const ROUNDS = quick ? 1 : 3
/** No round begins after so many seconds. */
const LIMIT = 420
/** Steps of a round, ours and PyTorch's, after one that warms up. */
const STEPS = quick ? { small: 1, imagenet: 1, digits: 5 } : { small: 2, imagenet: 3, digits: 15 }

const given = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const isProfile = process.argv.includes('--profile')
const report = new Report(isProfile ? 'bench:training:profile' : 'bench:training')
const percent = (part) => `${(100 * part).toFixed(1)} %`

if (isProfile) profile()
else compare()
// A quick look is none to keep.
if (!quick) report.end()

function ours(name, threads, steps, options = []) {
  progress([networks[name].name, threads > 1 ? `${threads} threads` : 'one thread', ...options].join(', '))
  const command = [process.execPath, 'bench/training-step.mjs', name, String(threads), String(steps), ...options]
  return measured(command, threads)
}

function compare() {
  const python = process.env.BINARY_NETS_PYTHON
  const torch = python !== undefined && spawnSync(python, ['-c', 'import torch']).status === 0
  const best = new Map()
  /** Keeps the best of the rounds. */
  const keep = (key, { ms, peakMiB }) => {
    const before = best.get(key)
    if (before === undefined || ms < before.ms) best.set(key, { ms, peakMiB })
  }
  const formats = new Map()
  const pytorch = (name, kind) => {
    const key = `${name} ${kind}`
    // The first round tells which one is better.
    for (const format of formats.get(key) ?? (quick ? ['channels_last'] : ['channels_last', 'contiguous'])) {
      progress(`${networks[name].name}, PyTorch, ${kind}, ${format}`)
      const result = measured([python, 'bench/peers/torch_training.py', name, kind, format, '1', String(STEPS[name])])
      if (result.ms <= (best.get(key)?.ms ?? result.ms)) formats.set(key, [format])
      keep(key, result)
    }
  }

  const start = performance.now()
  let rounds = 0
  for (; rounds < ROUNDS && (performance.now() - start) / 1000 < LIMIT; rounds++) {
    for (const name of ['small', 'imagenet', 'digits']) {
      keep(`${name} 1`, ours(name, 1, STEPS[name]))
      keep(`${name} fixed`, ours(name, 1, STEPS[name], ['--gradients', 'fixed']))
      if (torch) pytorch(name, 'binary')
      if (availableParallelism() > 1) keep(`${name} 2`, ours(name, 2, STEPS[name]))
      if (torch) pytorch(name, 'float')
    }
    // Four bases take long, and have no peer: they run once, for their memory.
    if (!quick && rounds === 0) keep('bases 1', ours('bases', 1, 1))
    for (const memory of ['speed', 'min']) keep(`small ${memory}`, ours('small', 1, STEPS.small, ['--memory', memory]))
    keep('small int8', ours('small', 1, STEPS.small, ['--gradients', 'fixed', '--slopes', 'int8']))
    keep('small both', ours('small', 1, STEPS.small, ['--gradients', 'fixed', '--memory', 'speed']))
  }

  report.say(
    `A training step, one core where not said otherwise, the best of ${rounds} round${rounds === 1 ? '' : 's'}; how many times faster`,
  )
  const rows = Object.entries(networks).flatMap(([name, { name: title, batch }]) => {
    const row = (label, key) => {
      const result = best.get(`${name} ${key}`)
      if (result === undefined) return []
      const times = (other) => {
        const peer = best.get(`${name} ${other}`)
        const isFair = other === '1' ? key === '2' : key !== '2' && other !== key
        return peer === undefined || !isFair ? '' : `${(peer.ms / result.ms).toFixed(2)} ×`
      }
      return [
        [
          label,
          result.ms.toFixed(1),
          ((1000 * batch) / result.ms).toFixed(0),
          `${result.peakMiB.toFixed(0)} MiB`,
          times('binary'),
          times('float'),
          times('1'),
        ],
      ]
    }
    return [
      ...row(title, '1'),
      ...row("  gradients: 'fixed'", 'fixed'),
      ...row('  two threads', '2'),
      ...row("  memory: 'speed'", 'speed'),
      ...row("  gradients: 'fixed', memory: 'speed'", 'both'),
      ...row("  gradients: 'fixed', slopes: 'int8'", 'int8'),
      ...row("  memory: 'min'", 'min'),
      ...row('  PyTorch, emulated', 'binary'),
      ...row('  PyTorch, float', 'float'),
    ]
  })
  report.table(['', 'ms', 'images/s', 'peak memory', 'PyTorch, emulated', 'PyTorch, float', 'one thread'], rows)
  if (!torch) report.say('\nBINARY_NETS_PYTHON names no Python with torch: PyTorch is left out.')
}

function profile() {
  const name = given.find((argument) => argument in networks) ?? 'small'
  const folder = given.find((argument) => !(argument in networks))
  const images = folder === undefined ? [] : ['--images', folder]
  const { name: title, size, batch } = networks[name]
  const steps = quick ? 3 : 8
  const { wall, waited, data, ops } = ours(name, 1, steps, ['--augment', '--profile', ...images])

  const total = sum(ops)
  report.say(`${title}, one thread: where the time of a step goes`)
  report.table(
    ['', 'ops', 'ms', 'share'],
    ['forward', 'backward', 'update'].flatMap((part) => {
      const own = ops.filter((op) => op.part === part)
      const kinds = [...new Set(own.map(({ op }) => op))].map((kind) => [kind, own.filter(({ op }) => op === kind)])
      const rows = kinds.sort(([, a], [, b]) => sum(b) - sum(a))
      return [[part, own], ...rows.map(([kind, ops]) => [`  ${kind}`, ops])].map(([label, ops]) => {
        return [label, String(ops.length), (1000 * sum(ops)).toFixed(2), percent(sum(ops) / total)]
      })
    }),
  )
  report.say()
  report.say(
    `All ops ${(1000 * total).toFixed(1)} ms; a step of the run ${(wall / steps).toFixed(1)} ms, the mean of ${steps}`,
  )
  report.say()
  report.say(
    `Batches of ${batch} images of ${size}×${size}, ${folder === undefined ? 'from memory' : 'decoded from files'}, cropped and mirrored, on the same core:`,
  )
  report.say(`  a step waits ${(waited / steps).toFixed(2)} ms for its batch, ${percent(waited / wall)} of its time`)
  if (data !== undefined)
    report.say(`  making one takes ${(data / steps).toFixed(2)} ms of the core, ${percent(data / wall)} of a step`)
}

function sum(ops) {
  return ops.reduce((sum, { seconds }) => sum + seconds, 0)
}
