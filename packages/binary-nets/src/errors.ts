/** What can go wrong, as stable codes. */
export const ERROR_CODES = [
  /** Shapes or geometry that do not fit together. */
  'BNETS_SHAPE',
  /** A model or loss that cannot be traced into a graph. */
  'BNETS_SPEC',
  /** An option or argument that has a value it cannot have. */
  'BNETS_ARGUMENT',
  /** Something that this version cannot do; also what it does not understand of an ONNX model. */
  'BNETS_UNSUPPORTED',
  /** A device that is missing or fails. */
  'BNETS_DEVICE',
  /** A loss or a gradient that is not finite, where `node` is the first layer that produced such a number; or the logits of an image. */
  'BNETS_NOT_FINITE',
  /** A file whose content is not what it should be. */
  'BNETS_FORMAT',
  /** A file or folder that cannot be read or written. */
  'BNETS_IO',
  /** A network that is in the middle of another call. */
  'BNETS_BUSY',
  /** A network that was disposed of. */
  'BNETS_DISPOSED',
  /** A fault of this library. */
  'BNETS_INTERNAL',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

/** Every error of this library, but for what an `AbortSignal` was aborted with, which is thrown as it is. */
export class BinaryNetsError extends Error {
  override readonly name = 'BinaryNetsError'
  readonly code: ErrorCode
  /** The path of the layer to blame, `layer2.0.conv1`, where there is one. */
  declare readonly node?: string

  constructor(code: ErrorCode, message: string, options: { readonly node?: string; readonly cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    if (options.node !== undefined) this.node = options.node
  }
}
