import { BinaryNetsError, importOnnx } from '../index.js'
import { bytes } from '../table.js'
import { type Command, number, text } from './command.js'
import { outputOf } from './files.js'

export const importModel: Command = {
  about: 'make a packed model of an ONNX file',
  args: ['onnx'],
  options: {
    output: { short: 'o', value: 'file', about: 'the model file; else the name of the ONNX file, with .bnn' },
    mean: { value: 'list', about: 'what is taken from pixels from 0 to 1, such as 0.485,0.456,0.406' },
    std: { value: 'list', about: 'what they are then divided by' },
  },
  async run([onnx = ''], options) {
    const output = outputOf(onnx, text(options, 'output'), '.bnn')
    const [mean, std] = [text(options, 'mean'), text(options, 'std')]
    if ((mean === undefined) !== (std === undefined)) {
      throw new BinaryNetsError('BNETS_ARGUMENT', '--mean and --std go together')
    }
    const normalize = mean !== undefined && std !== undefined && { mean: list('mean', mean), std: list('std', std) }
    using frozen = await importOnnx(onnx, { ...(normalize && { normalize }) })
    const written = await frozen.save(output)
    console.log(`${frozen.report}\n\n${onnx} → ${output}, ${bytes(written)}`)
  },
}

/** Numbers with commas between them. */
function list(name: string, value: string): number[] {
  return value.split(',').map((part) => number(name, part))
}
