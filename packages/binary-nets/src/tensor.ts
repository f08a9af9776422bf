import { BinaryNetsError } from './errors.js'

/** A tensor, row after row. */
export interface Tensor {
  readonly shape: readonly number[]
  readonly data: Float32Array
}

/** The tensor of a name that was asked for. */
export function tensorOf(tensors: Readonly<Record<string, Tensor>>, name: string): Tensor {
  const tensor = tensors[name]
  if (tensor === undefined) throw new BinaryNetsError('BNETS_INTERNAL', `${name} was asked for and not given`)
  return tensor
}
