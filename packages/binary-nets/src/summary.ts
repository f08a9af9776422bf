import { bytes, GAP } from './table.js'

/** Multiply-adds of one image: on packed bits, and on floats. */
export interface Macs {
  readonly binary: number
  readonly float: number
}

/** One layer of a network. */
export interface SummaryRow {
  readonly path: string
  /** The name of its most telling op. */
  readonly kind: string
  /** The shape of its output for one image. */
  readonly output: readonly number[]
  /** Parameters that ship as bits. */
  readonly binaryParameters: number
  /** The bits that those ship as: one each, or two where they are ternary. */
  readonly packedBits: number
  /** Parameters that ship as 32 bits. */
  readonly floatParameters: number
  readonly macs: Macs
}

/** What the layers of a network yield, hold and compute. */
export class Summary {
  readonly rows: readonly SummaryRow[]
  readonly binaryParameters: number
  readonly floatParameters: number
  /** Bytes of the parameters with binary ones packed, eight to a byte. */
  readonly bytes: number
  /** Bytes of the same parameters as 32-bit floats. */
  readonly floatBytes: number
  readonly macs: Macs

  constructor(rows: readonly SummaryRow[]) {
    const sum = (of: (row: SummaryRow) => number) => rows.reduce((total, row) => total + of(row), 0)
    this.rows = rows
    this.binaryParameters = sum((row) => row.binaryParameters)
    this.floatParameters = sum((row) => row.floatParameters)
    this.bytes = sum(packedBytes)
    this.floatBytes = 4 * (this.binaryParameters + this.floatParameters)
    this.macs = {
      binary: sum((row) => row.macs.binary),
      float: sum((row) => row.macs.float),
    }
  }

  /** A table of at most 100 columns, in which layers that several bases have alike share a line. */
  toString(): string {
    const body = basesTogether(this.rows).map((row) => [
      row.path,
      row.kind,
      row.output.join('×'),
      count(row.binaryParameters),
      count(row.floatParameters),
      size(packedBytes(row)),
      short(row.macs.binary),
      short(row.macs.float),
    ])
    const head = ['layer', 'op', 'output', '1-bit', '32-bit', 'size', '1-bit MACs', '32-bit MACs']
    const { binaryParameters, floatParameters, macs } = this
    const total = ['total', '', '', count(binaryParameters), count(floatParameters), size(this.bytes)]
    const foot = [...total, short(macs.binary), short(macs.float)]
    const lines = [head, ...body, foot]
    const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
    // The path gives way where the table would be wider than 100 columns.
    const others = widths.slice(1).reduce((total, width) => total + width + GAP.length, 0)
    widths[0] = Math.min(widths[0] ?? 0, Math.max(100 - others, 8))
    const line = (cells: readonly string[]) =>
      cells
        .map((cell, column) => fit(cell, widths[column] ?? 0, column < 3))
        .join(GAP)
        .trimEnd()
    const rule = '─'.repeat(others + (widths[0] ?? 0))
    const smaller = (this.floatBytes / Math.max(this.bytes, 1)).toFixed(1)
    const note = `${bytes(this.bytes)} of parameters with binary ones packed, ${bytes(this.floatBytes)} as floats: ${smaller} times smaller.`
    return [line(head), rule, ...body.map(line), rule, line(foot), note].join('\n')
  }
}

/** Rows in which `layer1.0.bases.*.conv1` stands for those of all bases; the output is that of one. */
function basesTogether(rows: readonly SummaryRow[]): SummaryRow[] {
  const together = new Map<string, SummaryRow[]>()
  for (const row of rows) {
    const path = row.path.replace(/\.bases\.\d+\./, '.bases.*.')
    together.set(path, [...(together.get(path) ?? []), row])
  }
  return [...together].map(([path, bases]) => {
    const [first] = bases
    if (first === undefined || bases.length === 1) return first as SummaryRow
    const sum = (of: (row: SummaryRow) => number) => bases.reduce((total, row) => total + of(row), 0)
    return {
      path,
      kind: `${first.kind} ×${bases.length}`,
      output: first.output,
      binaryParameters: sum((row) => row.binaryParameters),
      packedBits: sum((row) => row.packedBits),
      floatParameters: sum((row) => row.floatParameters),
      macs: { binary: sum((row) => row.macs.binary), float: sum((row) => row.macs.float) },
    }
  })
}

function packedBytes({ packedBits, floatParameters }: SummaryRow): number {
  return Math.ceil(packedBits / 8) + 4 * floatParameters
}

function fit(cell: string, width: number, left: boolean): string {
  const cut = cell.length > width ? `…${cell.slice(cell.length - width + 1)}` : cell
  return left ? cut.padEnd(width) : cut.padStart(width)
}

function count(value: number): string {
  return value === 0 ? '' : value.toLocaleString('en-US')
}

/** A size, where there is one. */
function size(value: number): string {
  return value === 0 ? '' : bytes(value)
}

function short(value: number): string {
  if (value === 0) return ''
  if (value < 1e3) return String(value)
  return value < 1e6 ? `${(value / 1e3).toFixed(1)} k` : `${(value / 1e6).toFixed(1)} M`
}
