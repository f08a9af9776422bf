import { table } from './table.js'

/** The names of `count` classes; those without one are called by their numbers. */
export function named(names: readonly string[], count: number): string[] {
  return Array.from({ length: count }, (_, index) => names[index] ?? String(index))
}

/** How often images of one class were taken for another. */
export class ConfusionMatrix {
  /** The names of the classes. */
  readonly classes: readonly string[]
  /** `counts[truth][prediction]` */
  readonly counts: readonly (readonly number[])[]

  constructor(classes: readonly string[], counts: readonly (readonly number[])[]) {
    this.classes = classes
    this.counts = counts
  }

  /** From the counts of all rows, one after the other. */
  static of(classes: readonly string[], counts: ArrayLike<number>): ConfusionMatrix {
    const { length } = classes
    const row = (truth: number) => Array.from(classes, (_, prediction) => counts[truth * length + prediction] ?? 0)
    return new ConfusionMatrix(
      classes,
      classes.map((_, truth) => row(truth)),
    )
  }

  /** The part of the images that were told right. */
  get top1(): number {
    const right = this.counts.reduce((sum, row, truth) => sum + (row[truth] ?? 0), 0)
    return right / this.counts.flat().reduce((sum, count) => sum + count, 0)
  }

  /** The part of each class's images that were told right; NaN for a class without images. */
  get recall(): readonly number[] {
    return this.counts.map((row, truth) => (row[truth] ?? 0) / row.reduce((sum, count) => sum + count, 0))
  }

  /** A table: a row for each true class, a column for each prediction. */
  toString(): string {
    const head = ['', ...this.classes, 'recall']
    const rows = this.counts.map((row, truth) => {
      const recall = this.recall[truth] ?? Number.NaN
      const shown = Number.isNaN(recall) ? '' : `${(100 * recall).toFixed(1)} %`
      return [this.classes[truth] ?? '', ...row.map((count) => (count === 0 ? '·' : String(count))), shown]
    })
    return table(head, rows, `<${'>'.repeat(head.length - 1)}`)
  }
}
