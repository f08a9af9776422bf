/** Where the time of a training step goes: one op of it. */
export interface OpTime {
  /** `'forward'` up to the loss, `'backward'` from there to the gradients; `'update'` is what writes parameters, moments and running statistics. */
  readonly part: 'forward' | 'backward' | 'update'
  readonly op: string
  /** The layer's path. */
  readonly path: string
  /** The kernel that was chosen. */
  readonly kernel: string
  /** The shortest time of several runs, less what a run of nothing takes; 0 where that is all. */
  readonly seconds: number
}
