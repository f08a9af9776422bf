import { table } from './table.js'

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
    return table(head, rows, { left: 1 })
  }
}
