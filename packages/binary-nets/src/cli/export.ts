import { loadFrozen, type OnnxForm } from '../index.js'
import { bytes } from '../table.js'
import { type Command, text } from './command.js'
import { outputOf } from './files.js'

export const exportModel: Command = {
  about: 'write a packed model as ONNX',
  args: ['model'],
  options: {
    output: { short: 'o', value: 'file', about: 'the ONNX file; else the name of the model, with .onnx' },
    form: { value: 'form', about: 'portable (default): weights as int8; compact: as bits' },
  },
  async run([model = ''], options) {
    const output = outputOf(model, text(options, 'output'), '.onnx')
    const form = text(options, 'form') ?? 'portable'
    using frozen = await loadFrozen(model)
    // What is none of the forms is refused there.
    const written = await frozen.exportOnnx(output, { form: form as OnnxForm })
    console.log(`${model} → ${output}, ${bytes(written)}, ${form}`)
  },
}
