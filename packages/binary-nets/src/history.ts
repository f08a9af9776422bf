import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { BinaryNetsError } from './errors.js'

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
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return ''
    throw new BinaryNetsError('BNETS_IO', `${path}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

/** Does something with files; what the system refuses becomes BNETS_IO. */
export async function disk(path: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (cause) {
    throw new BinaryNetsError('BNETS_IO', `${path}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}
