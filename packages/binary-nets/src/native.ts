// The one file that touches the native package, and what its errors become.
import { BinaryNetsError, ERROR_CODES } from './errors.js'

export {
  decodeImage,
  NativeDataset,
  NativeFrozenNetwork,
  NativeLoader,
  NativeNetwork,
  type NativeStep,
  version,
} from '@binary-nets/native'

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
    if (codeOf(error) !== 'BNETS_ABORTED') throw translate(error)
    if (signal?.aborted) throw signal.reason
    // Nothing but a signal and the end of the network cancels a call.
    throw new BinaryNetsError('BNETS_DISPOSED', 'the network was disposed of during the call', { cause: error })
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

function translate(error: unknown): BinaryNetsError {
  if (error instanceof BinaryNetsError) return error
  const code = ERROR_CODES.find((code) => code === codeOf(error)) ?? 'BNETS_INTERNAL'
  const message = error instanceof Error ? error.message : String(error)
  const node = error instanceof Error && 'node' in error && typeof error.node === 'string' ? { node: error.node } : {}
  // The native error says no more than this one, unless it is a fault.
  return new BinaryNetsError(code, message, { ...node, ...(code === 'BNETS_INTERNAL' && { cause: error }) })
}
