import { Network } from '../index.js'
import { bytes } from '../table.js'
import { type Command, count, text, UsageError } from './command.js'
import { checkpointOf, nameOf, openFolder, outputOf } from './files.js'

export const freeze: Command = {
  about: 'make a packed model of a trained network: a checkpoint, or a folder of checkpoints',
  args: ['run'],
  options: {
    output: { short: 'o', value: 'file', about: 'the model file; else the name of the run, with .bnn' },
    floats: { value: 'kind', about: 'how float weights are kept: f32 (default), f16 or int8' },
    ends: { value: 'kind', about: 'how products of float maps are computed: f32 (default) or int8' },
    calibration: { value: 'folder', about: 'images, folder/<class>/*.png|jpg, that --ends int8 measures maps on' },
    resize: { value: 'pixels', about: 'images get this shorter side, then are cropped; else they are stretched' },
    validation: { value: 'folder', about: 'images, folder/<class>/*.png|jpg, that tell what rounding floats costs' },
  },
  async run([run = ''], options) {
    const file = checkpointOf(run)
    const output = outputOf(file === run ? run : nameOf(run), text(options, 'output'), '.bnn')
    const [shorter, validation, calibration] = ['resize', 'validation', 'calibration'].map((name) =>
      text(options, name),
    )
    const resize = shorter === undefined ? 'stretch' : { shorter: count('resize', shorter) }
    if (text(options, 'ends') === 'int8' && calibration === undefined) {
      throw new UsageError('freeze: --ends int8 wants images to measure maps on, --calibration <folder>')
    }
    using network = await Network.load(file)
    const { input } = network
    using frozen = await network.freeze({
      // What is none of the kinds is refused there.
      floats: (text(options, 'floats') ?? 'f32') as 'f32',
      ends: (text(options, 'ends') ?? 'f32') as 'f32',
      resize,
      ...(calibration !== undefined && { calibration: await openFolder(calibration, { input, resize }) }),
      ...(validation !== undefined && { validation: await openFolder(validation, { input, resize }) }),
    })
    const written = await frozen.save(output)
    console.log(`${frozen.report}\n\n${file} → ${output}, ${bytes(written)}`)
  },
}
