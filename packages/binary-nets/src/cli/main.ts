import { cac } from 'cac'
import { BinaryNetsError, version } from '../index.js'
import { evaluate } from './evaluate.js'
import { exportModel } from './export.js'
import { freeze } from './freeze.js'
import { importModel } from './import.js'
import { inspect } from './inspect.js'
import { predict } from './predict.js'

/** Runs one command line; the process's exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const cli = cac('binary-nets')
  cli
    .command('freeze <run>', 'Make a packed model of a trained network: a checkpoint, or a folder of checkpoints')
    .option('-o, --output <file>', 'The model file', { default: 'model.bnn' })
    .option('--floats <kind>', 'How float weights are kept: f32, f16 or int8', { default: 'f32' })
    .option(
      '--resize <pixels>',
      'Images of another size get this shorter side, then are cropped; else they are stretched',
    )
    .option('--validation <folder>', 'Images by class that tell what rounding floats costs')
    .example('  $ binary-nets freeze runs/digits -o digits.bnn')
    .action(freeze)
  cli
    .command('export <model>', 'Write a packed model as ONNX')
    .option('-o, --output <file>', 'The ONNX file', { default: 'model.onnx' })
    .option('--form <form>', 'portable: weights as int8; compact: weights as bits', { default: 'portable' })
    .action(exportModel)
  cli
    .command('import <onnx>', 'Make a packed model of an ONNX file')
    .option('-o, --output <file>', 'The model file', { default: 'model.bnn' })
    .option('--mean <list>', 'Means that pixels from 0 to 1 are normalised by, such as 0.485,0.456,0.406')
    .option('--std <list>', 'Their standard deviations')
    .action(importModel)
  cli
    .command('inspect <model>', 'Show the layers of a packed model, their sizes, and how they run')
    .option('--json', 'Print JSON')
    .action(inspect)
  cli
    .command('predict <model> <...images>', 'Tell what PNG and JPEG files show')
    .option('--top <count>', 'How many classes to tell for each', { default: 3 })
    .option('--json', 'Print JSON')
    .action(predict)
  cli
    .command('eval <model> <folder>', 'Test a packed model on images, folder/<class>/*.png|jpg')
    .option('--json', 'Print JSON')
    .action(evaluate)
  cli.help()
  cli.version(version())

  try {
    const { args, options } = cli.parse(['node', 'binary-nets', ...argv], { run: false })
    if (options['help'] || options['version']) return 0
    if (cli.matchedCommand === undefined) {
      const unknown = args[0] === undefined ? 'a command is missing' : `there is no command ${args[0]}`
      throw new BinaryNetsError(
        'BNETS_ARGUMENT',
        `${unknown}; there are: freeze, export, import, inspect, predict, eval`,
      )
    }
    await cli.runMatchedCommand()
    return 0
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`)
    return error instanceof BinaryNetsError ? 1 : 2
  }
}

/** An error as a person at a terminal wants it: without a stack, unless it is nobody's fault but ours. */
function explain(error: unknown): string {
  if (error instanceof BinaryNetsError) {
    const stack = error.code === 'BNETS_INTERNAL' ? `\n${error.stack}` : ''
    return `${error.code}${error.node === undefined ? '' : ` at '${error.node}'`}: ${error.message}${stack}`
  }
  if (error instanceof Error && error.name === 'CACError') return `${error.message} (binary-nets --help tells more)`
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
