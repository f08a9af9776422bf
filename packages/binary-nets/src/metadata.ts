import { BinaryNetsError } from './errors.js'
import type { Training } from './training.js'

/** What a checkpoint holds besides tensors and graph. */
export interface Metadata {
  readonly classes: readonly string[] | null
  readonly training: Training | null
}

/** The metadata of the checkpoint at a path; what is not there is null. */
export function parseMetadata(path: string, text: string): Metadata {
  try {
    const { classes = null, training = null }: Partial<Metadata> = text === '' ? {} : JSON.parse(text)
    return { classes, training }
  } catch (cause) {
    throw new BinaryNetsError('BNETS_FORMAT', `${path}: the metadata is not JSON`, { cause })
  }
}
