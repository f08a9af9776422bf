import { unlessAborted } from './abort.js'
import { checkArray, reject } from './arguments.js'
import { type Batch, type Batches, Dataset, type LoaderOptions, openLoader } from './data.js'
import { BinaryNetsError } from './errors.js'
import { callLong, type NativeNetwork, type NativeStep } from './native.js'
import type { Training } from './training.js'

/** Where a run's batches come from. */
export interface Source {
  /** Batches of an epoch. */
  readonly batches: number
  /** Makes a step on the next batch; null at the end of an epoch, after which the next one begins. */
  step(
    network: NativeNetwork,
    scalars: Record<string, number>,
    signal: AbortSignal | undefined,
  ): Promise<NativeStep | null>
  /** The place after the batches so far. */
  place(): string | null
  close(): void
}

interface SourceOptions {
  readonly batchSize: number
  readonly seed: number
  /** Stops the opening. */
  readonly signal: AbortSignal | undefined
}

/** Opens the data where a run stood, or at its begin. */
export async function openSource(
  data: Dataset | Batches,
  loader: LoaderOptions,
  options: SourceOptions,
  before: Training | null,
): Promise<Source> {
  return data instanceof Dataset ? datasetSource(data, loader, options, before) : iterableSource(data, options, before)
}

function datasetSource(
  data: Dataset,
  options: LoaderOptions,
  { batchSize, seed }: SourceOptions,
  before: Training | null,
): Source {
  if (before !== null && before.loader === null) reject('fit', 'train', 'batches, as in the run that is resumed', data)
  const loader = openLoader(data, options, {
    ...{ batchSize, seed },
    dropLast: true,
    state: before?.loader ?? undefined,
  })
  return {
    batches: loader.batches,
    step: (network, scalars, signal) =>
      callLong(
        () => network.trainStep(loader, scalars),
        signal,
        () => network.cancel(),
      ),
    place: () => loader.state(),
    close: () => loader.close(),
  }
}

async function iterableSource(
  data: Batches,
  { batchSize, signal }: SourceOptions,
  before: Training | null,
): Promise<Source> {
  if (before !== null && before.loader !== null)
    reject('fit', 'train', 'a dataset, as in the run that is resumed', data)
  let epoch = before?.epoch ?? 0
  let made = 0
  let stream = new Stream(data, epoch)
  const draw = async (signal: AbortSignal | undefined) => {
    const batch = await unlessAborted(signal, () => stream.next())
    const message = `fit: epoch ${epoch} ended after ${made} of ${data.batches} batches`
    return batch ?? Promise.reject(new BinaryNetsError('BNETS_ARGUMENT', message))
  }
  // How the rest of an epoch ends, which nobody reads any more, is no failure of the run.
  const close = () => void stream.close().catch(() => undefined)
  try {
    // What the run had seen of its epoch is drawn again and passed over.
    for (; made < (before?.step ?? 0); made++) await draw(signal)
  } catch (error) {
    close()
    throw error
  }
  return {
    batches: data.batches,
    async step(network, scalars, signal) {
      if (made === data.batches) {
        await unlessAborted(signal, () => stream.close())
        epoch += 1
        made = 0
        stream = new Stream(data, epoch)
        return null
      }
      const start = performance.now()
      const drawn = await draw(signal)
      const waited = performance.now() - start
      const batch = checkBatch(drawn, made, batchSize, data.targets)
      const report = await callLong(
        () => network.trainBatch(batch, scalars),
        signal,
        () => network.cancel(),
      )
      made += 1
      return { ...report, waited }
    },
    place: () => null,
    close,
  }
}

/**
 * The batches of an epoch, opened when the first is asked for. Not a generator: that would keep `close` from the
 * iterable until the batch that it waits for has come.
 */
class Stream {
  readonly #data: Batches
  readonly #epoch: number
  #iterator: AsyncIterator<Batch> | Iterator<Batch> | undefined
  #ended = false

  constructor(data: Batches, epoch: number) {
    this.#data = data
    this.#epoch = epoch
  }

  /** The next batch; undefined when there are no more. */
  async next(): Promise<Batch | undefined> {
    this.#iterator ??= iterator(this.#data.open(this.#epoch))
    try {
      const { done, value } = await this.#iterator.next()
      if (!done) return value
    } catch (error) {
      this.#ended = true
      throw error
    }
    this.#ended = true
    return undefined
  }

  /** Leaves the iterable, unless it has ended. */
  async close(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    await this.#iterator?.return?.()
  }
}

function iterator(batches: AsyncIterable<Batch> | Iterable<Batch>): AsyncIterator<Batch> | Iterator<Batch> {
  if (typeof batches !== 'object' || batches === null) reject('fit', 'what open gives', 'an iterable', batches)
  if (Symbol.asyncIterator in batches) return batches[Symbol.asyncIterator]()
  if (Symbol.iterator in batches) return batches[Symbol.iterator]()
  return reject('fit', 'what open gives', 'an iterable', batches)
}

function checkBatch(
  { image, label, target }: Batch,
  place: number,
  batchSize: number,
  targets: number,
): Record<string, Uint8Array | Uint32Array | Float32Array> {
  checkArray('fit', `image of batch ${place}`, image, Uint8Array)
  checkArray('fit', `label of batch ${place}`, label, Uint32Array)
  if (label.length !== batchSize) reject('fit', `label of batch ${place}`, `${batchSize} labels`, label.length)
  if (targets === 0) return { image, label }
  const numbers = checkArray('fit', `target of batch ${place}`, target, Float32Array)
  const length = batchSize * targets
  if (numbers.length !== length) reject('fit', `target of batch ${place}`, `${length} numbers`, numbers.length)
  return { image, label, target: numbers }
}
