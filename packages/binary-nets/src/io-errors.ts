import { BinaryNetsError } from './errors.js'

/** Does something with a file; what the system refuses becomes BNETS_IO, which names it. */
export async function withIoErrors<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw new BinaryNetsError('BNETS_IO', `${path}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}
