import { loadFrozen } from '../index.js'
import { percent, table } from '../table.js'
import { number } from './number.js'

interface Options {
  readonly top: unknown
  readonly json?: boolean
}

/** `binary-nets predict <model> <...images>` */
export async function predict(model: string, images: readonly string[], { top, json }: Options): Promise<void> {
  const topK = number('predict', '--top', top)
  using frozen = await loadFrozen(model)
  const predictions = await frozen.predict(images.map(String), { topK })
  if (json) {
    console.log(
      JSON.stringify(
        images.map((image, index) => ({ image, predictions: predictions[index] })),
        null,
        2,
      ),
    )
    return
  }
  const rows = predictions.flatMap((classes, index) =>
    classes.map(({ label, probability }, place) => [
      place === 0 ? String(images[index]) : '',
      label,
      percent(probability),
      bar(probability),
    ]),
  )
  console.log(
    table(
      ['image', 'class', 'probability', ''],
      rows.map(([a = '', b = '', c = '', d = '']) => [a, b, c.padStart(11), d]),
      { left: 4 },
    ),
  )
}

/** A share as a bar of twenty characters. */
function bar(share: number): string {
  return '█'.repeat(Math.round(20 * share))
}
