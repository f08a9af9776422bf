import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { loadFrozen } from '../index.js'
import { withIoErrors } from '../io-errors.js'
import { replaceFile } from '../replace-file.js'
import { type Command, count, runOptions, text } from './command.js'
import { profilePage } from './profile-page.js'
import { profileText } from './profile-text.js'
import { columns } from './terminal.js'

export const profile: Command = {
  about: 'tell where the time of a packed model goes, layer by layer',
  args: ['model'],
  options: {
    image: { value: 'file', about: 'a PNG or JPEG file to look at; else a black image' },
    repeats: { value: 'count', about: 'how many times each layer runs, the best counts; else 30' },
    threads: { value: 'count', about: 'threads; else one for each core' },
    isa: { value: 'name', about: 'instruction set: scalar, avx2, avx512 or neon; else the best there is' },
    html: { value: 'file', about: 'write a page with a chart, too' },
    json: { about: 'print JSON' },
  },
  async run([model = ''], options) {
    const [image, page, threads] = [text(options, 'image'), text(options, 'html'), text(options, 'threads')]
    const repeats = count('repeats', text(options, 'repeats') ?? '30')
    const running = runOptions(options, threads === undefined ? undefined : count('threads', threads))
    using frozen = await loadFrozen(model, running)
    const layers = await frozen.profile({ repeats, ...(image !== undefined && { image }) })
    const { isa, threads: lanes } = frozen.device
    const { height, width, channels } = frozen.input
    const on = `${isa}, ${lanes} thread${lanes === 1 ? '' : 's'}`
    const about = `an image of ${height}×${width}×${channels}, each layer the best of ${repeats}, on ${on}`
    if (page !== undefined) {
      await withIoErrors(page, async () => {
        await mkdir(dirname(page), { recursive: true })
        await replaceFile(page, profilePage(model, about, layers))
      })
    }
    if (options['json']) console.log(JSON.stringify({ isa, threads: lanes, repeats, layers }, null, 2))
    else console.log(`${model}: ${about}\n\n${profileText(layers, columns())}`)
  },
}
