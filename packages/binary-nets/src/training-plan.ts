import type { MemoryPolicy } from './step-options.js'
import { bytes, table } from './table.js'

/** A value that a training step holds for a while. */
export interface HeldValue {
  /** The op that yields it. */
  readonly op: string
  /** The path of its layer. */
  readonly path: string
  /** Its meaning and shape, `f32[128,32,32,64]`. */
  readonly value: string
  readonly bytes: number
}

/** How many rows of what is held the text shows; the others are summed. */
const MOST = 16

/** What a training step takes, before it is made; as text, tables of what is kept for backward and of what lies in memory at the peak. Sizes are in bytes. */
export class TrainingPlan {
  readonly memory: MemoryPolicy
  readonly batchSize: number
  /** Parameters, running statistics and what optimizers remember. */
  readonly stateBytes: number
  /** Everything between the batch and the updates. Evaluation uses the same memory. */
  readonly workspaceBytes: number
  /** One batch, and what is read of the step. */
  readonly batchBytes: number
  /** What forward leaves for backward. */
  readonly kept: readonly HeldValue[]
  /** The op during which the workspace holds the most, what it needs itself while it runs, and what is held. */
  readonly peak: {
    readonly op: string
    readonly path: string
    readonly scratch: number
    readonly held: readonly HeldValue[]
  }
  /** What is computed again, and how often. */
  readonly again: readonly { readonly op: string; readonly path: string; readonly times: number }[]

  constructor({
    memory,
    batchSize,
    stateBytes,
    workspaceBytes,
    batchBytes,
    kept,
    peak,
    again,
  }: Omit<TrainingPlan, 'bytes' | 'toString'>) {
    this.memory = memory
    this.batchSize = batchSize
    this.stateBytes = stateBytes
    this.workspaceBytes = workspaceBytes
    this.batchBytes = batchBytes
    this.kept = kept
    this.peak = peak
    this.again = again
  }

  /** All of it together. Parameters and running statistics, and what the network evaluated in, are in the process already; the batches that are made meanwhile are not counted. */
  get bytes(): number {
    return this.stateBytes + this.workspaceBytes + this.batchBytes
  }

  toString(): string {
    const { memory, batchSize, peak, again } = this
    const sums = [
      ['parameters, statistics, moments', bytes(this.stateBytes)],
      ['workspace', bytes(this.workspaceBytes)],
      ['batch', bytes(this.batchBytes)],
      ['together', bytes(this.bytes)],
    ]
    const scratch = { op: peak.op, path: peak.path, value: 'scratch memory', bytes: peak.scratch }
    const runs = again.reduce((sum, { times }) => sum + times, 0)
    const ops = [...new Set(again.map(({ op }) => op))].map((op) => {
      return `${op} ×${again.reduce((sum, { op: other, times }) => sum + (other === op ? times : 0), 0)}`
    })
    return [
      table([`memory: ${memory}`, `batches of ${batchSize}`], sums, '<>'),
      `Kept for backward:\n${valuesTable(this.kept)}`,
      `At the peak, in ${peak.op} of ${peak.path || 'the loss'}:\n${valuesTable([...peak.held, scratch])}`,
      runs === 0 ? 'Nothing is computed again.' : `Computed again: ${ops.join(', ')}.`,
    ].join('\n\n')
  }
}

/** Values, largest first; those of one layer that are alike in one row. */
function valuesTable(values: readonly HeldValue[]): string {
  const together = new Map<string, { row: string[]; bytes: number; count: number }>()
  for (const { path, op, value, bytes } of values) {
    const key = [path, op, value].join('\n')
    const { count = 0, bytes: before = 0 } = together.get(key) ?? {}
    together.set(key, { row: [path, op, value], bytes: before + bytes, count: count + 1 })
  }
  const sorted = [...together.values()].toSorted((a, b) => b.bytes - a.bytes)
  const sum = (rows: readonly { bytes: number }[]) => rows.reduce((total, { bytes }) => total + bytes, 0)
  const [shown, others] = [sorted.slice(0, MOST), sorted.slice(MOST)]
  const rows = shown.map(({ row, bytes: size, count }) => [...row, count > 1 ? `${count}` : '', bytes(size)])
  if (others.length > 0) rows.push([`${others.length} others`, '', '', '', bytes(sum(others))])
  return table(['layer', 'op', 'value', '', 'size'], [...rows, ['all', '', '', '', bytes(sum(sorted))]], '<<<>>')
}
