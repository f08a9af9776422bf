import { bar } from '../bar.js'
import { loadFrozen } from '../index.js'
import { percent, table } from '../table.js'
import { type Command, count, text } from './command.js'

export const predict: Command = {
  about: 'tell what PNG and JPEG files show',
  args: ['model', 'image...'],
  options: {
    top: { value: 'count', about: 'how many classes to tell for each image; else 3' },
    json: { about: 'print JSON' },
  },
  async run([model = '', ...images], options) {
    const topK = count('top', text(options, 'top') ?? '3')
    using frozen = await loadFrozen(model)
    const predictions = await frozen.predict(images, { topK })
    if (options['json']) {
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
        place === 0 ? (images[index] ?? '') : '',
        label,
        percent(probability),
        bar(probability, 20),
      ]),
    )
    console.log(table(['image', 'class', 'probability', ''], rows, '<<><'))
  },
}
