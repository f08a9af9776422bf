import * as all from '../index.js'
import {
  adam,
  BinaryNetsError,
  image,
  Network,
  type Optimizer,
  type ResNet,
  type ResNetOptions,
  sgd,
} from '../index.js'
import { type Command, number, type Options, text } from './command.js'

/** The models that have a name here. */
const MODELS: Readonly<Record<string, (options: ResNetOptions & { parallel?: number }) => ResNet>> = {
  binaryResnet18: all.binaryResnet18,
  parallelResnet18NoSqueeze: all.parallelResnet18NoSqueeze,
  parallelResnet18WithFusionGate: all.parallelResnet18WithFusionGate,
  parallelResnet18WithSqueeze: all.parallelResnet18WithSqueeze,
  groupNetResnet18: all.groupNetResnet18,
  groupNetResnet34: all.groupNetResnet34,
  biRealResnet18: all.biRealResnet18,
  reactNetResnet18: all.reactNetResnet18,
  xnorResnet18: all.xnorResnet18,
  resnet18: all.resnet18,
  resnet34: all.resnet34,
}

const OPTIMIZERS: Readonly<Record<string, () => Optimizer>> = {
  sgd: () => sgd({ momentum: 0.9 }),
  adam: () => adam(),
}

export const plan: Command = {
  about: 'tell what training takes in memory: of a checkpoint, or of a model by its name, such as binaryResnet18',
  args: ['model'],
  options: {
    batch: { value: 'count', about: 'images of a batch; else 64' },
    optimizer: { value: 'name', about: 'sgd (with momentum, default) or adam' },
    memory: { value: 'policy', about: 'speed, balanced (default) or min' },
    accumulate: { value: 'count', about: 'batches of an update; else 1' },
    classes: { value: 'count', about: 'classes; else those of the checkpoint, or 1000' },
    size: { value: 'pixels', about: 'height and width of the images of a named model; else 224' },
    channels: { value: 'count', about: 'channels of the images of a named model; else 3' },
    stem: { value: 'kind', about: 'stem of a named model: imagenet (default), or small, for images up to 64 pixels' },
    parallel: { value: 'count', about: 'bases of a named model; else 1' },
    threads: { value: 'count', about: 'threads; else one for each core' },
    json: { about: 'print JSON' },
  },
  async run([model = ''], options) {
    const count = (name: string) => {
      const value = text(options, name)
      return value === undefined ? undefined : number(name, value)
    }
    const [batchSize, accumulate, classes] = [count('batch'), count('accumulate'), count('classes')]
    const [policy, name] = [text(options, 'memory'), text(options, 'optimizer') ?? 'sgd']
    const optimizer = Object.hasOwn(OPTIMIZERS, name) ? OPTIMIZERS[name]?.() : undefined
    if (optimizer === undefined) throw unknown('--optimizer', OPTIMIZERS, name)
    using network = await open(model, options, count)
    const known = classes ?? network.classes?.length ?? 1000
    const made = await network.plan({
      ...{ optimizer, classes: known },
      ...(batchSize !== undefined && { batchSize }),
      ...(accumulate !== undefined && { accumulate }),
      // What is none of the policies is refused there.
      ...(policy !== undefined && { memory: policy as 'min' }),
    })
    console.log(options['json'] ? JSON.stringify(made, null, 2) : `${made}`)
  },
}

/** The network of a file, or a new one by the name of its model. */
async function open(model: string, options: Options, count: (name: string) => number | undefined) {
  const [threads, parallel, stem] = [count('threads'), count('parallel'), text(options, 'stem')]
  const running = threads === undefined ? {} : { threads }
  const builder = Object.hasOwn(MODELS, model) ? MODELS[model] : undefined
  if (builder === undefined) {
    if (/^\w+$/.test(model)) throw unknown('model', MODELS, model)
    return Network.load(model, running)
  }
  const size = count('size') ?? 224
  const built = builder({
    classes: count('classes') ?? 1000,
    ...(stem !== undefined && { stem: stem as 'small' }),
    ...(parallel !== undefined && { parallel }),
  })
  const input = image({ height: size, width: size, channels: count('channels') ?? 3 })
  return Network.create(built, { input, ...running })
}

function unknown(what: string, known: object, got: string): BinaryNetsError {
  return new BinaryNetsError(
    'BNETS_ARGUMENT',
    `${what} should be a file or one of ${Object.keys(known).join(', ')}, got ${got}`,
  )
}
