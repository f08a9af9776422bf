import { existsSync } from 'node:fs'
import * as library from '../index.js'
import {
  adam,
  BinaryNetsError,
  image,
  Network,
  type Optimizer,
  type Outputs,
  type ParallelOptions,
  type ResNet,
  sgd,
} from '../index.js'
import { type Command, count, type Options, runOptions, text } from './command.js'
import { checkpointOf } from './files.js'

/** The models of the library, by name: all that are called a ResNet of so many layers. */
const MODELS = Object.fromEntries(
  Object.entries(library).filter(([name]) => /resnet\d+/i.test(name)),
) as unknown as Readonly<Record<string, (options: ParallelOptions) => ResNet>>

const OPTIMIZERS: Readonly<Record<string, () => Optimizer>> = {
  sgd: () => sgd({ momentum: 0.9 }),
  adam: () => adam(),
}

export const plan: Command = {
  about: 'tell what training takes in memory: of a checkpoint, or of a model by its name, such as binaryResnet18',
  args: ['model'],
  options: {
    batch: { value: 'count', about: 'images of a batch; else those of the checkpoint, or 64' },
    optimizer: { value: 'name', about: 'sgd (with momentum, default) or adam' },
    memory: { value: 'policy', about: 'speed, balanced (default) or min' },
    gradients: { value: 'kind', about: 'how gradients of binary convolutions are multiplied: f32 (default) or fixed' },
    slopes: { value: 'kind', about: 'how slopes of pseudo-gradients wait for backward: f32 (default) or int8' },
    accumulate: { value: 'count', about: 'batches of an update; else 1' },
    classes: { value: 'count', about: 'classes; else those of the checkpoint, or 1000' },
    size: { value: 'pixels', about: 'height and width of the images of a named model; else 224' },
    channels: { value: 'count', about: 'channels of the images of a named model; else 3' },
    stem: { value: 'kind', about: 'stem of a named model: imagenet (default), or small, for images up to 64 pixels' },
    width: { value: 'count', about: 'channels of the first stage of a named model; else 64' },
    parallel: { value: 'count', about: 'bases of a named model; else 1' },
    threads: { value: 'count', about: 'threads; else one for each core' },
    isa: { value: 'name', about: 'instruction set: scalar, avx2, avx512 or neon; else the best there is' },
    json: { about: 'print JSON' },
  },
  async run([model = ''], options) {
    const [batchSize, accumulate, classes] = [
      countOf(options, 'batch'),
      countOf(options, 'accumulate'),
      classesOf(model, options),
    ]
    const [memory, gradients, slopes] = [text(options, 'memory'), text(options, 'gradients'), text(options, 'slopes')]
    const optimizer = known('--optimizer', 'one of', OPTIMIZERS, text(options, 'optimizer') ?? 'sgd')()
    using network = await open(model, options)
    const made = await network.plan({
      optimizer,
      ...(batchSize !== undefined && { batchSize }),
      ...(accumulate !== undefined && { accumulate }),
      ...(classes !== undefined && { classes }),
      // What is none of the policies or kinds is refused there.
      ...(memory !== undefined && { memory: memory as 'min' }),
      ...(gradients !== undefined && { gradients: gradients as 'fixed' }),
      ...(slopes !== undefined && { slopes: slopes as 'int8' }),
    })
    console.log(options['json'] ? JSON.stringify(made, null, 2) : `${made}`)
  },
}

/** The options that say what a named model is, which a checkpoint says itself. */
const OF_MODELS = ['stem', 'size', 'channels', 'width', 'parallel']

/** The network of a checkpoint, or a new one by the name of its model, which a file of that name does not hide. */
async function open(model: string, options: Options): Promise<Network<Outputs>> {
  const running = runOptions(options, countOf(options, 'threads'))
  if (!Object.hasOwn(MODELS, model) && existsSync(model)) {
    const given = OF_MODELS.find((name) => options[name] !== undefined)
    if (given === undefined) return Network.load(checkpointOf(model), running)
    throw new BinaryNetsError('BNETS_ARGUMENT', `--${given} is for named models, and ${model} is a file or folder`)
  }
  const build = known('model', 'a file or one of', MODELS, model)
  const [size = 224, channels = 3] = [countOf(options, 'size'), countOf(options, 'channels')]
  const [width, parallel] = [countOf(options, 'width'), countOf(options, 'parallel')]
  const [classes, stem] = [classesOf(model, options), text(options, 'stem')]
  const built = build({
    ...(classes !== undefined && { classes }),
    ...(stem !== undefined && { stem: stem as 'small' }),
    ...(width !== undefined && { width }),
    ...(parallel !== undefined && { parallel }),
  })
  return Network.create(built, { input: image({ height: size, width: size, channels }), ...running })
}

/** How many classes were asked for; a named model has some in any case. */
function classesOf(model: string, options: Options): number | undefined {
  return countOf(options, 'classes') ?? (Object.hasOwn(MODELS, model) ? 1000 : undefined)
}

/** A count that may have been given. */
function countOf(options: Options, name: string): number | undefined {
  const value = text(options, name)
  return value === undefined ? undefined : count(name, value)
}

/** What has that name, of few. */
function known<T>(what: string, kinds: string, all: Readonly<Record<string, T>>, name: string): T {
  const found = Object.hasOwn(all, name) ? all[name] : undefined
  if (found !== undefined) return found
  const names = Object.keys(all).join(', ')
  throw new BinaryNetsError('BNETS_ARGUMENT', `${what} should be ${kinds} ${names}, got ${name}`)
}
