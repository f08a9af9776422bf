import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { disk } from './disk.js'

/** A run's epochs in a file, one JSON object a line. */
export class History {
  readonly #path: string
  #lines: readonly string[]

  private constructor(path: string, lines: readonly string[]) {
    this.#path = path
    this.#lines = lines
  }

  /** Starts the file, keeping what it says of the epochs before `epoch`. */
  static async open(path: string, epoch: number): Promise<History> {
    const history = new History(path, epoch === 0 ? [] : earlier(await readText(path), epoch))
    await disk(path, async () => {
      await mkdir(dirname(path), { recursive: true })
      await history.#write()
    })
    return history
  }

  /** Adds an epoch. */
  async add(entry: object): Promise<void> {
    this.#lines = [...this.#lines, JSON.stringify(entry)]
    await disk(this.#path, () => this.#write())
  }

  #write(): Promise<void> {
    return writeFile(this.#path, this.#lines.map((line) => `${line}\n`).join(''))
  }
}

/** The lines of epochs before one; a line that a crash has cut off is none. */
function earlier(text: string, epoch: number): string[] {
  return text.split('\n').filter((line) => {
    try {
      return JSON.parse(line).epoch < epoch
    } catch {
      return false
    }
  })
}

async function readText(path: string): Promise<string> {
  return existsSync(path) ? disk(path, () => readFile(path, 'utf8')) : ''
}
