import { percent, table } from './table.js'

/** What one op of a frozen network became. */
export interface FusedRow {
  /** The layer's path. */
  readonly path: string
  readonly op: string
  /** What the weights of a convolution of bytes are: `int8` or `int16`. */
  readonly weights?: string
  /** The ops that run in the same pass, in order. */
  readonly fused: readonly string[]
  /** What the pass writes: codes, a map of floats, both, or integers. */
  readonly writes: string
  /** Why something behind it runs on its own, where it does. */
  readonly apart?: string | null
}

/** What float weights and products in fewer bits cost. */
export interface FreezeAccuracy {
  /** Top-1 with all floats in 32 bits. */
  readonly f32: number
  /** Top-1 as frozen. */
  readonly frozen: number
}

/** What freezing folded and fused, what it could not, and why. */
export class FreezeReport {
  readonly rows: readonly FusedRow[]
  /** Known where `freeze` was given a validation. */
  readonly accuracy: FreezeAccuracy | null

  constructor(rows: readonly FusedRow[], accuracy: FreezeAccuracy | null = null) {
    this.rows = rows
    this.accuracy = accuracy
  }

  /** A table: a line for each pass over memory and, where something stands apart from it, why. */
  toString(): string {
    const head = ['layer', 'one pass of', 'writes']
    const body = this.rows.flatMap(({ path, op, weights, fused, writes, apart }) => {
      const first = weights === undefined ? op : `${op} (${weights})`
      const pass = [path, [first, ...fused].join(' · '), writes]
      return apart ? [pass, ['', `  apart: ${apart}`, '']] : [pass]
    })
    return [table(head, body, '<<<'), ...this.#cost()].join('\n')
  }

  #cost(): string[] {
    if (this.accuracy === null) return []
    const { f32, frozen } = this.accuracy
    if (f32 === frozen) return ['', `top-1 ${percent(frozen)}, as with floats of 32 bits`]
    const change = `${frozen >= f32 ? '+' : '−'}${(100 * Math.abs(frozen - f32)).toFixed(2)} points`
    return ['', `top-1 ${percent(frozen)}; with floats of 32 bits ${percent(f32)}: ${change}`]
  }
}
