// The one file that touches the native package: the types of the border, and what its errors become.
import binding from '@binary-nets/native'
import { BinaryNetsError, ERROR_CODES, type ErrorCode } from './errors.js'

/** Images and labels. */
export interface NativeDataset {
  readonly length: number
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly classes: string[]
  readonly broken: number
  subset(indices: Uint32Array): NativeDataset
  read(index: number): { image: Uint8Array; label: number }
}

export interface NativeImageFolderOptions {
  height?: number
  width?: number
  channels?: number
  onBroken?: string
}

export interface NativeLoaderOptions {
  batchSize: number
  /** JSON of a sampler. */
  sampler: string
  seed: number
  dropLast: boolean
  workers?: number
  crop?: { padding: number; fill?: number }
  flip?: boolean
  /** JSON of a place in the data, as `state` gives it. */
  state?: string
}

/** Batches, prepared on threads of their own. */
export interface NativeLoader {
  readonly batches: number
  state(): string
  close(): void
}

export interface NativeStep {
  loss: number
  metrics: Record<string, number>
  samples: number
  milliseconds: number
}

export interface NativeTensor {
  shape: number[]
  data: Float32Array
}

/** State and programs of a network. */
export interface NativeNetwork {
  readonly spec: string
  readonly metadata: string
  readonly step: number
  readonly isa: string
  readonly threads: number
  readonly kernels: string
  save(path: string, metadata: string): Promise<void>
  summary(): string
  parameters(): { path: string; shape: number[]; kind: string }[]
  getState(path: string): Float32Array
  setState(path: string, data: Float32Array): void
  dump(what: string, batch: number): string
  compileTraining(objective: string, updates: string, batchSize: number): void
  trainStep(loader: NativeLoader, scalars: Record<string, number>): Promise<NativeStep | null>
  trainBatch(batch: Record<string, Uint8Array | Uint32Array>, scalars: Record<string, number>): Promise<NativeStep>
  evaluate(loader: NativeLoader, objective: string): Promise<{ samples: number; metrics: Record<string, number> }>
  predict(images: Uint8Array, count: number, outputs: string[]): Promise<Record<string, NativeTensor>>
  recalibrate(loader: NativeLoader, batches: number): Promise<void>
  cancel(): void
  dispose(): void
}

export interface NativeRunOptions {
  threads?: number
  isa?: string
}

interface Native {
  version(): string
  NativeDataset: {
    mnist(files: { images: string; labels: string }): NativeDataset
    imageFolder(root: string, options: NativeImageFolderOptions): NativeDataset
    fromArrays(
      images: Uint8Array,
      labels: Uint32Array,
      height: number,
      width: number,
      channels: number,
      classes: string[],
    ): NativeDataset
  }
  NativeLoader: new (dataset: NativeDataset, options: NativeLoaderOptions) => NativeLoader
  NativeNetwork: {
    create(spec: string, options: NativeRunOptions & { seed: number }): NativeNetwork
    load(path: string, options: NativeRunOptions): Promise<NativeNetwork>
  }
}

export const native = binding as unknown as Native

/** The version of this library. */
export function version(): string {
  return native.version()
}

/** Calls the native library; its errors become {@link BinaryNetsError}. */
export function call<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw translate(error)
  }
}

/** As {@link call}, for what takes long: `cancel` is called when the signal is aborted, whose reason is then thrown. */
export async function callLong<T>(
  run: () => Promise<T>,
  signal?: AbortSignal | undefined,
  cancel: () => void = () => undefined,
): Promise<T> {
  signal?.throwIfAborted()
  const stop = () => cancel()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    return await run()
  } catch (error) {
    if (signal?.aborted && codeOf(error) === 'BNETS_ABORTED') throw signal.reason
    throw translate(error)
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

function translate(error: unknown): BinaryNetsError {
  if (error instanceof BinaryNetsError) return error
  const known = ERROR_CODES.find((code): code is ErrorCode => code === codeOf(error))
  const message = error instanceof Error ? error.message : String(error)
  const node = error instanceof Error && 'node' in error && typeof error.node === 'string' ? { node: error.node } : {}
  return new BinaryNetsError(known ?? 'BNETS_INTERNAL', message, {
    ...node,
    cause: error,
  })
}
