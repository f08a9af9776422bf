/** What kind of work a layer is: a convolution of bits, that of the image in integers, a convolution or product of floats, a pool or mean, or anything else. */
export type LayerKind = 'binary' | 'image' | 'float' | 'pool' | 'other'

/** Where the time of a frozen network goes: one step of it, which is a layer or several that run in one pass. */
export interface LayerTime {
  /** The layer's path. */
  readonly path: string
  readonly kind: LayerKind
  readonly op: string
  /** The ops that run in the same pass, in order. */
  readonly fused: readonly string[]
  /** What the pass writes: codes, a map of floats, both, or integers. */
  readonly writes: string
  /** The kernel that was chosen. */
  readonly kernel: string
  /** The shortest time of several runs, less what a run of nothing takes; 0 where that is all. */
  readonly seconds: number
  /** Multiply-adds of an image; 0 where there are none. */
  readonly macs: number
  /** Bytes of all that is read and written, once each: inputs, constants as the kernel reads them, outputs. */
  readonly bytes: number
  /**
   * Multiply-adds a second that the kernel reaches at best on this machine with all threads, measured in the same call: where everything lies in the nearest cache, or in a layer
   * that was faster yet. So a layer reaches the part `macs / seconds / peak` of it. Null where there are no multiply-adds, or the kernel's peak is not known.
   */
  readonly peak: number | null
}
