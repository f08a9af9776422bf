import { BinaryNetsError } from './errors.js'
import type { Evaluation } from './training.js'

/** What an epoch came to. */
export interface Epoch {
  /** From 0. */
  readonly epoch: number
  readonly train: Evaluation & {
    readonly seconds: number
    readonly imagesPerSecond: number
    /** The part of the binary weights whose sign is another than when the epoch, or the resumed part of it, began. */
    readonly flipped?: number
  }
  readonly validation?: Evaluation
  /** Whether the validation is better than after every epoch before. */
  readonly best: boolean
}

/** Why a run ended: its epochs are over, `patience` is, or the loop over it was left. */
export type Ending = 'epochs' | 'patience' | 'left'

export interface FitResult {
  /** The epochs of this run, without those before it was resumed. */
  readonly epochs: readonly Epoch[]
  readonly ending: Ending
}

/** The epochs of a training, to be iterated once. */
export class Run implements AsyncIterable<Epoch> {
  readonly #epochs: AsyncGenerator<Epoch, Ending>
  readonly #done: Promise<FitResult>
  #settle: { resolve(result: FitResult): void; reject(error: unknown): void } | undefined
  #taken = false

  constructor(epochs: AsyncGenerator<Epoch, Ending>) {
    this.#epochs = epochs
    this.#done = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    // An error is thrown by the loop; nobody has to ask here as well.
    this.#done.catch(() => undefined)
  }

  /** The run's end. Without a loop over the run, this starts it. */
  get done(): Promise<FitResult> {
    if (!this.#taken) this.#drive()
    return this.#done
  }

  async #drive(): Promise<void> {
    try {
      for await (const _ of this);
    } catch {
      // `done` has it.
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<Epoch> {
    if (this.#taken) throw new BinaryNetsError('BNETS_BUSY', 'a run can be iterated once')
    this.#taken = true
    return this.#iterate()
  }

  async *#iterate(): AsyncGenerator<Epoch> {
    const finished: Epoch[] = []
    let ending: Ending = 'left'
    try {
      for (;;) {
        const { done, value } = await this.#epochs.next()
        if (done) {
          ending = value
          return
        }
        finished.push(value)
        yield value
      }
    } catch (error) {
      this.#settle?.reject(error)
      throw error
    } finally {
      await this.#epochs.return(ending)
      this.#settle?.resolve({ epochs: finished, ending })
    }
  }
}
