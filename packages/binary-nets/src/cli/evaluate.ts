import { imageFolder, loadFrozen } from '../index.js'
import { percent } from '../table.js'

/** The most classes whose confusion is shown. */
const MOST = 20

/** `binary-nets eval <model> <folder>` */
export async function evaluate(model: string, folder: string, { json }: { readonly json?: boolean }): Promise<void> {
  using frozen = await loadFrozen(model)
  const { height, width, channels } = frozen.input
  const size = { height, width, channels: channels as 1 | 3, resize: frozen.resize }
  const { samples, top1, top5, confusion } = await frozen.evaluate(await imageFolder(folder, size))
  if (json) {
    console.log(
      JSON.stringify({ samples, top1, top5, classes: confusion.classes, confusion: confusion.counts }, null, 2),
    )
    return
  }
  const table = confusion.classes.length <= MOST ? [`${confusion}`, ''] : []
  console.log(
    [...table, `${samples} images: ${percent(top1)} right, ${percent(top5)} among the first five.`].join('\n'),
  )
}
