// What benchmarks print, and with `--record` also write to bench/record/<date>-<name>-<instruction set>.md.
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { image, Network } from 'binary-nets'

const date = () => new Date().toISOString().slice(0, 10)

/** The instruction set that is used here, as any network tells. */
async function instructionSet() {
  const normalize = { mean: [0], std: [1] }
  const net = await Network.create((x) => ({ x }), { input: image({ height: 1, width: 1, channels: 1, normalize }) })
  const { isa } = net.device
  net.dispose()
  return isa
}

const isa = await instructionSet()

/** Tells who waits what is being measured; no part of the report. */
export function progress(what) {
  console.error(`  measuring ${what} …`)
}

export class Report {
  #name
  #lines = []

  /** A report of `npm run <name>`, which begins with the machine. */
  constructor(name) {
    this.#name = name
    const memory = Math.round(totalmem() / 2 ** 30)
    const cores = availableParallelism()
    const cpu = cpus()[0]?.model ?? 'unknown processor'
    this.say(
      `${cpu}, ${isa}, ${cores} core${cores === 1 ? '' : 's'}, ${memory} GiB; Node ${process.version}; ${date()}`,
    )
    this.say()
  }

  /** Of a list those that the command names, or all. A report of some is none to keep. */
  chosen(list, name) {
    const names = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
    if (names.length === 0) return list
    const unknown = names.find((one) => !list.some((item) => name(item) === one))
    if (unknown !== undefined || process.argv.includes('--record')) {
      console.error(unknown === undefined ? 'Only a report of all is recorded.' : `There is no ${unknown}.`)
      process.exit(1)
    }
    return list.filter((item) => names.includes(name(item)))
  }

  say(line = '') {
    console.log(line)
    this.#lines.push(line)
  }

  /** Rows of cells under titles; all but the first column stand to the right. */
  table(titles, rows) {
    const lines = [titles, ...rows]
    const widths = titles.map((_, i) => Math.max(...lines.map((line) => line[i].length)))
    for (const line of lines) {
      this.say(line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '))
    }
  }

  /** Keeps the report where the command asks for it. */
  end() {
    if (!process.argv.includes('--record')) return
    const file = `bench/record/${date()}-${this.#name.replaceAll(':', '-')}-${isa}.md`
    mkdirSync('bench/record', { recursive: true })
    writeFileSync(file, `# \`npm run ${this.#name} -- --record\`\n\n\`\`\`\n${this.#lines.join('\n')}\n\`\`\`\n`)
    console.log(`\nWritten to ${file}`)
  }
}
