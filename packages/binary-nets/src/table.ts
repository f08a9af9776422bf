/** A table of text: a head, a rule, a line for each row. The first `left` columns are aligned to the left, the others to the right. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { left }: { readonly left: number },
): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column < left ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join(GAP)
      .trimEnd()
  return [line(head), rule(widths), ...rows.map(line)].join('\n')
}

/** A line as wide as columns of these widths. */
export function rule(widths: readonly number[]): string {
  return '─'.repeat(widths.reduce((sum, width) => sum + width + GAP.length, -GAP.length))
}

/** What stands between columns. */
export const GAP = '  '

/** `0.9876` as `98.76 %`. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`
}

/** A size; units are powers of ten. */
export function bytes(value: number): string {
  if (value < 1e3) return `${value} B`
  return value < 1e6 ? `${(value / 1e3).toFixed(1)} kB` : `${(value / 1e6).toFixed(2)} MB`
}
