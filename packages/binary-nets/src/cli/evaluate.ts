import { loadFrozen } from '../index.js'
import { percent } from '../table.js'
import type { Command } from './command.js'
import { openFolder } from './files.js'

/** The most classes whose confusion is shown. */
const MOST = 20

export const evaluate: Command = {
  about: 'test a packed model on images, folder/<class>/*.png|jpg',
  args: ['model', 'folder'],
  options: { json: { about: 'print JSON' } },
  async run([model = '', folder = ''], options) {
    using frozen = await loadFrozen(model)
    const { samples, top1, top5, confusion } = await frozen.evaluate(await openFolder(folder, frozen))
    if (options['json']) {
      console.log(JSON.stringify({ samples, top1, top5, classes: confusion.classes, confusion: confusion.counts }))
      return
    }
    const table = confusion.classes.length <= MOST ? [`${confusion}`, ''] : []
    const right = `${samples} images: ${percent(top1)} right, ${percent(top5)} among the first five.`
    console.log([...table, right].join('\n'))
  },
}
