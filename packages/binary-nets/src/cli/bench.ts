import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { BinaryNetsError, type FrozenNetwork, loadFrozen } from '../index.js'
import { bytes, table } from '../table.js'
import { type Command, number, runOptions, text } from './command.js'
import { columns, wrapped } from './terminal.js'

/** Calls before the ones that count. */
const WARM = 3

/** How fast a network is in one setting. Times are in ms. */
interface Row {
  readonly threads: number
  readonly batch: number
  readonly calls: number
  readonly best: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly imagesPerSecond: number
}

export const bench: Command = {
  about: 'measure how fast a packed model predicts, by threads and images at a time',
  args: ['model'],
  options: {
    threads: { value: 'counts', about: 'threads, as in 1,2; else 1 and one for each core' },
    batch: { value: 'counts', about: 'images at a time; else 1,8,32' },
    isa: { value: 'name', about: 'instruction set: scalar, avx2, avx512 or neon; else the best there is' },
    seconds: { value: 'time', about: 'how long each setting is measured; else 1' },
    json: { about: 'print JSON' },
  },
  async run([model = ''], options) {
    const everyCore = [...new Set([1, availableParallelism()])].join(',')
    const threads = counts('threads', text(options, 'threads') ?? everyCore)
    const batches = counts('batch', text(options, 'batch') ?? '1,8,32')
    const seconds = positive('seconds', text(options, 'seconds') ?? '1')
    const [rows, loads, kernels]: [Row[], number[], Set<string>] = [[], [], new Set()]
    let isa = ''
    for (const count of threads) {
      const start = performance.now()
      using frozen = await loadFrozen(model, runOptions(options, count))
      loads.push(performance.now() - start)
      for (const batch of batches) rows.push({ threads: count, batch, ...(await measure(frozen, batch, seconds)) })
      for (const kernel of frozen.device.kernels.split('\n')) kernels.add(kernel)
      isa = frozen.device.isa
    }
    const [load = 0] = loads
    const peakBytes = peakMemory()
    const names = [...kernels].toSorted()
    if (options['json']) {
      console.log(JSON.stringify({ isa, loadMs: load, peakBytes, kernels: names, rows }, null, 2))
      return
    }
    const about = `${model}: ${isa}, opened in ${load.toFixed(1)} ms, at most ${bytes(peakBytes)} of memory in this process`
    const used = `Kernels: ${names.map((name) => name.replace(': ', ' by ')).join(', ')}.`
    console.log([about, '', shown(rows), '', wrapped(used, columns())].join('\n'))
  },
}

/** The peak memory of this process, in bytes. What `resourceUsage` tells has on Linux that of the process in it which started this one: there the system's own file is better. */
function peakMemory(): number {
  const status = process.platform === 'linux' ? readFileSync('/proc/self/status', 'utf8') : ''
  const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? process.resourceUsage().maxRSS
  return Number(kibibytes) * 1024
}

async function measure(frozen: FrozenNetwork, batch: number, seconds: number): Promise<Omit<Row, 'threads' | 'batch'>> {
  const { height, width, channels } = frozen.input
  const images = { data: new Uint8Array(batch * height * width * channels), shape: [batch, height, width, channels] }
  for (let i = 0; i < WARM; i++) await frozen.run(images)
  const times: number[] = []
  const start = performance.now()
  let now = start
  while (now - start < 1e3 * seconds || times.length === 0) {
    await frozen.run(images)
    const end = performance.now()
    times.push(end - now)
    now = end
  }
  times.sort((a, b) => a - b)
  // The least time that so large a part of the calls did not exceed.
  const percentile = (part: number) => times[Math.ceil(part * times.length) - 1] ?? 0
  return {
    ...{ calls: times.length, best: times[0] ?? 0 },
    ...{ p50: percentile(0.5), p90: percentile(0.9), p99: percentile(0.99) },
    imagesPerSecond: (1e3 * batch * times.length) / (now - start),
  }
}

function shown(rows: readonly Row[]): string {
  const head = ['threads', 'images', 'best, ms', 'p50', 'p90', 'p99', 'images/s', 'calls']
  const lines = rows.map(({ threads, batch, calls, best, p50, p90, p99, imagesPerSecond }, place) => [
    threads === rows[place - 1]?.threads ? '' : String(threads),
    String(batch),
    ...[best, p50, p90, p99].map((ms) => ms.toFixed(ms < 10 ? 3 : 1)),
    imagesPerSecond.toFixed(imagesPerSecond < 100 ? 1 : 0),
    String(calls),
  ])
  return table(head, lines, '>>>>>>>>')
}

/** A list of counts of the command line. */
function counts(name: string, value: string): number[] {
  const counts = value.split(',').map((count) => number(name, count))
  if (counts.every((count) => Number.isSafeInteger(count) && count >= 1)) return counts
  throw new BinaryNetsError('BNETS_ARGUMENT', `--${name} should be numbers from 1 on, as in 1,8, got ${value}`)
}

function positive(name: string, value: string): number {
  const got = number(name, value)
  if (got > 0) return got
  throw new BinaryNetsError('BNETS_ARGUMENT', `--${name} should be above 0, got ${value}`)
}
