import { existsSync } from 'node:fs'
import { appendFile, mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { withIoErrors } from './io-errors.js'
import { replaceFile } from './replace-file.js'

/** A run's epochs in a file, one JSON object a line. */
export class History {
  readonly #path: string

  private constructor(path: string) {
    this.#path = path
  }

  /** Starts the file, keeping what it says of the epochs before `epoch`. */
  static async open(path: string, epoch: number): Promise<History> {
    return withIoErrors(path, async () => {
      await mkdir(dirname(path), { recursive: true })
      const text = existsSync(path) ? await readFile(path, 'utf8') : ''
      await replaceFile(path, earlier(text, epoch))
      return new History(path)
    })
  }

  /** Adds an epoch. */
  async add(entry: object): Promise<void> {
    await withIoErrors(this.#path, () => appendFile(this.#path, `${JSON.stringify(entry)}\n`))
  }
}

/** The lines of epochs before one; a line that a crash has cut off is none. */
function earlier(text: string, epoch: number): string {
  const lines = text.split('\n').filter((line) => {
    try {
      return JSON.parse(line).epoch < epoch
    } catch {
      return false
    }
  })
  return lines.map((line) => `${line}\n`).join('')
}
