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

function datasetSource(data: Dataset, options: LoaderOptions, place: SourceOptions, before: Training | null): Source {
  if (before !== null && before.loader === null) reject('fit', 'train', 'batches, as in the run that is resumed', data)
  const loader = openLoader(data, options, {
    ...place,
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

async function iterableSource(data: Batches, { batchSize }: SourceOptions, before: Training | null): Promise<Source> {
  if (before !== null && before.loader !== null)
    reject('fit', 'train', 'a dataset, as in the run that is resumed', data)
  let epoch = before?.epoch ?? 0
  let made = 0
  let batches = iterate(data, epoch)
  // What the run had seen of its epoch is drawn again and passed over.
  for (; made < (before?.step ?? 0); made++) await batches.next()
  return {
    batches: data.batches,
    async step(network, scalars, signal) {
      if (made === data.batches) {
        await batches.return()
        epoch += 1
        made = 0
        batches = iterate(data, epoch)
        return null
      }
      const { done, value } = await batches.next()
      if (done) {
        throw new BinaryNetsError(
          'BNETS_ARGUMENT',
          `fit: epoch ${epoch} ended after ${made} of ${data.batches} batches`,
        )
      }
      const batch = checkBatch(value, made, batchSize)
      const report = await callLong(
        () => network.trainBatch(batch, scalars),
        signal,
        () => network.cancel(),
      )
      made += 1
      return report
    },
    place: () => null,
    // How the rest of an epoch ends, which nobody reads any more, is no failure of the run.
    close: () => void batches.return().catch(() => undefined),
  }
}

async function* iterate(data: Batches, epoch: number): AsyncGenerator<Batch, void> {
  yield* data.open(epoch)
}

function checkBatch(
  { image, label }: Batch,
  place: number,
  batchSize: number,
): Record<'image' | 'label', Uint8Array | Uint32Array> {
  checkArray('fit', `image of batch ${place}`, image, Uint8Array)
  checkArray('fit', `label of batch ${place}`, label, Uint32Array)
  if (label.length !== batchSize) reject('fit', `label of batch ${place}`, `${batchSize} labels`, label.length)
  return { image, label }
}
