/** A tensor that was not copied as it was. */
export interface Reshaped {
  /** The path in the network. */
  readonly path: string
  /** The key in the file. */
  readonly key: string
  /** The shape in the file. */
  readonly from: readonly number[]
  /** The shape in the network. */
  readonly to: readonly number[]
}

/** What became of a file's tensors, and where the network's come from. */
export class LoadReport {
  /** Paths of tensors that were copied as they were. */
  readonly loaded: readonly string[]
  /** Tensors that were repeated until they filled their place. */
  readonly tiled: readonly Reshaped[]
  /** Tensors of which the corner was copied that both have. */
  readonly cut: readonly Reshaped[]
  /** Paths of the network that the file has nothing for: they stayed as they were. */
  readonly missing: readonly string[]
  /** Keys of the file that the network has no place for. */
  readonly leftOver: readonly string[]

  constructor({ loaded, tiled, cut, missing, leftOver }: Omit<LoadReport, 'toString'>) {
    this.loaded = loaded
    this.tiled = tiled
    this.cut = cut
    this.missing = missing
    this.leftOver = leftOver
  }

  /** A table: how many tensors went which way, and which, but for those that were copied as they were. */
  toString(): string {
    const reshaped = ({ path, key, from, to }: Reshaped) =>
      `${path}  ${key === path ? '' : `${key} `}${from.join('×')} → ${to.join('×')}`
    const groups: [name: string, tensors: readonly string[]][] = [
      ['loaded', this.loaded],
      ['tiled', this.tiled.map(reshaped)],
      ['cut', this.cut.map(reshaped)],
      ['missing', this.missing],
      ['left over', this.leftOver],
    ]
    const lines = groups.flatMap(([name, tensors]) => {
      const head = `${name.padEnd(9)}  ${String(tensors.length).padStart(5)}`
      if (name === 'loaded' || tensors.length === 0) return [head]
      const shown = tensors.slice(0, MOST)
      const more = tensors.length > MOST ? [`… and ${tensors.length - MOST} more`] : []
      return [head, ...[...shown, ...more].map((line) => `${' '.repeat(18)}${line}`)]
    })
    return lines.join('\n')
  }
}

/** Tensors of one kind that the table shows. */
const MOST = 12
