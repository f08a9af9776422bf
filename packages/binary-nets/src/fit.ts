import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkNumber,
  checkOptions,
  checkString,
  reject,
} from './arguments.js'
import { type Batches, checkDataset, checkImages, Dataset, type LoaderOptions } from './data.js'
import { BinaryNetsError } from './errors.js'
import { History } from './history.js'
import { type Inside, inside, parametersOf } from './inside.js'
import { withIoErrors } from './io-errors.js'
import { crossEntropy, type Loss } from './losses.js'
import { callLong, type NativeNetwork, type NativeStep } from './native.js'
import type { Network } from './network.js'
import { objectiveOf, setTeacher } from './objective.js'
import { assignUpdates, type Optimizers } from './optimizers.js'
import { type Ending, type Epoch, Run } from './run.js'
import type { Abortable } from './run-options.js'
import type { Schedule } from './schedules.js'
import { openSource, type Source } from './source.js'
import { checkStepOptions, STEP_OPTIONS, type StepOptions, stepOptions } from './step-options.js'
import type { Outputs } from './trace.js'
import { means, NOTHING, plus, type Training } from './training.js'

export interface FitOptions<O extends Outputs> extends StepOptions, Abortable {
  /** What to train on. */
  readonly train: Dataset | Batches
  /** What to evaluate with after each epoch. */
  readonly validation?: Dataset
  readonly epochs: number
  /** Default: 64, or what the sampler composes. A last batch that would be smaller is left out. */
  readonly batchSize?: number
  /** One optimizer for all parameters, or a list of rules, of which each parameter takes the first that selects it. */
  readonly optimizer: Optimizers
  /** Default: `crossEntropy()`. */
  readonly loss?: Loss<O>
  /**
   * Numbers by name that gradients of one's own read with each step. `progress`, which {@link ede} and {@link recu} read, is the part of the run that is done,
   * and can be given another course here.
   */
  readonly scalars?: Readonly<Record<string, Schedule>>
  /** The seed of the samples' order and their augmentation. Default: 0. */
  readonly seed?: number
  /** How samples are visited and varied. */
  readonly loader?: LoaderOptions
  /** Called after each step, and waited for; what it throws ends the run. */
  readonly onStep?: (event: StepEvent) => unknown
  /** A file that gets one line of JSON an epoch. */
  readonly history?: string
  /** A folder that gets the networks `last.safetensors` and, with a validation, `best.safetensors`. */
  readonly checkpoints?: string
  /** Ends the run when the validation has not become better for this many epochs. */
  readonly patience?: number
  /**
   * Goes on where the run stood when the network was saved, be it in the middle of an epoch; a network that stands in no run begins one. With the same options (batch size, seed,
   * `accumulate`, `gradients` and so on, but for `memory`) the weights become the same bit by bit as without the stop. Default: false, and then optimizers start afresh.
   */
  readonly resume?: boolean
}

/** A step of a run. Counts are of steps made; means are over the epoch so far. */
export interface StepEvent {
  /** From 0. */
  readonly epoch: number
  readonly epochs: number
  /** From 1 to `steps`, in this epoch. */
  readonly step: number
  readonly steps: number
  readonly loss: number
  readonly top1: number
  /** The loss of this step's batch alone. */
  readonly batchLoss: number
  readonly imagesPerSecond: number
  /** How long this step waited for its batch, in seconds. */
  readonly waited: number
  /** Until the run's last step, if the others take as long as this epoch's so far; validations not counted. */
  readonly secondsLeft: number
}

/**
 * Trains a network. The run is pulled: an epoch starts when the loop asks for it, so the loop may evaluate or save the network meanwhile, and leaving it ends
 * the run. `await run.done` does without a loop.
 */
export function fit<O extends Outputs>(network: Network<O>, options: FitOptions<O>): Run {
  const self = inside(network) ?? reject('fit', 'network', 'a network (Network.create gives a promise of one)', network)
  checkFit(options)
  return new Run(epochs(network, self, options))
}

function checkFit<O extends Outputs>(options: FitOptions<O>): void {
  checkOptions('fit', options, [
    ...['train', 'validation', 'epochs', 'batchSize', 'optimizer', 'loss', 'seed', 'loader', 'signal', 'onStep'],
    ...['history', 'checkpoints', 'patience', 'resume', 'scalars'],
    ...STEP_OPTIONS,
  ])
  const { train, validation, epochs, batchSize, loss, seed, onStep, history, checkpoints, patience, resume } = options
  const { scalars = {} } = options
  if (!(train instanceof Dataset) && typeof train?.open !== 'function') {
    reject('fit', 'train', 'a dataset or fromBatches(…)', train)
  }
  if (validation !== undefined) checkDataset('fit', 'validation', validation)
  checkInteger('fit', 'epochs', epochs)
  if (batchSize !== undefined) checkInteger('fit', 'batchSize', batchSize)
  checkStepOptions('fit', options)
  for (const [name, schedule] of Object.entries(scalars)) checkFunction('fit', `scalars: ${name}`, schedule)
  if (loss !== undefined) checkFunction('fit', 'loss', loss)
  if (seed !== undefined) checkInteger('fit', 'seed', seed, { min: 0 })
  if (onStep !== undefined) checkFunction('fit', 'onStep', onStep)
  if (history !== undefined) checkString('fit', 'history', history)
  if (checkpoints !== undefined) checkString('fit', 'checkpoints', checkpoints)
  if (patience !== undefined) checkInteger('fit', 'patience', patience)
  if (patience !== undefined && validation === undefined)
    reject('fit', 'patience', 'left out where there is no validation', patience)
  if (resume !== undefined) checkBoolean('fit', 'resume', resume)
}

async function* epochs<O extends Outputs>(
  network: Network<O>,
  self: Inside,
  options: FitOptions<O>,
): AsyncGenerator<Epoch, Ending> {
  options.signal?.throwIfAborted()
  if (self.fitting) throw new BinaryNetsError('BNETS_BUSY', 'the network is in the middle of another run')
  self.fitting = true
  let source: Source | undefined
  try {
    const { train, validation, loss = crossEntropy() as unknown as Loss<O> } = options
    const batchSize = options.batchSize ?? composed(options.loader) ?? 64
    if (train instanceof Dataset) checkImages('fit', 'train', train, network.input)
    if (self.classes !== null && self.classes.length !== train.classes.length) {
      reject('fit', 'train', `data of ${self.classes.length} classes, as the network's`, train.classes)
    }
    if (validation !== undefined) checkImages('fit', 'validation', validation, network.input)
    const { classes, labelled, targets } = train
    const objective = objectiveOf(self, loss, { classes: classes.length, labelled, targets })
    if (loss.teacher !== undefined) await setTeacher(self, loss.teacher)
    const { updates, learningRates } = assignUpdates(options.optimizer, parametersOf(self))
    checkScalars(network, options.scalars ?? {})
    await callLong(() => {
      return self.native.compileTraining(objective, JSON.stringify(updates), batchSize, stepOptions(options))
    })
    const { accumulate = 1 } = options
    const schedules = { progress: (step: number, total: number) => step / total, ...options.scalars, ...learningRates }

    const before = options.resume ? self.training : null
    const seed = options.seed ?? before?.seed ?? 0
    source = await openSource(train, options.loader ?? {}, { batchSize, seed, signal: options.signal }, before)
    const fresh = {
      epoch: 0,
      step: 0,
      sums: NOTHING,
      loader: source.place(),
      best: null,
      signs: '',
    }
    const training = { ...(before ?? fresh), seed, batchSize, batches: source.batches }
    const batches = options.epochs * source.batches
    if (batches < accumulate) reject('fit', 'accumulate', `at most the run's ${batches} batches`, accumulate)
    if (before === null) await callLong(() => self.native.resetMoments())
    else checkResumed(before, training)
    self.training = training
    self.classes ??= classes

    const history = options.history === undefined ? undefined : await History.open(options.history, training.epoch)
    const { checkpoints } = options
    if (checkpoints !== undefined) await withIoErrors(checkpoints, () => mkdir(checkpoints, { recursive: true }))

    while (self.training.epoch < options.epochs) {
      if (isStuck(self.training, options.patience)) return 'patience'
      await trainEpoch(self, options, source, schedules)
      const result = await endEpoch(network, self, options, source)
      await history?.add(result)
      if (checkpoints !== undefined) {
        await network.save(join(checkpoints, 'last.safetensors'), pick(options))
        const best = () => network.save(join(checkpoints, 'best.safetensors'), pick(options))
        if (result.best) await (options.average === undefined ? best() : averaged(network, best))
      }
      yield result
    }
    return 'epochs'
  } finally {
    self.fitting = false
    source?.close()
  }
}

/** The batch size that a sampler composes, if it does. */
function composed({ sampler }: LoaderOptions = {}): number | undefined {
  if (typeof sampler !== 'object' || !('identities' in sampler)) return undefined
  return sampler.identities * sampler.images
}

/** The steps of an epoch, from where it stands. */
async function trainEpoch<O extends Outputs>(
  self: Inside,
  options: FitOptions<O>,
  source: Source,
  schedules: Readonly<Record<string, Schedule>>,
): Promise<void> {
  const { teacher } = options.loss ?? {}
  // The loop over the run may have evaluated with another one.
  if (teacher !== undefined && self.teacher !== teacher) await setTeacher(self, teacher)
  for (;;) {
    options.signal?.throwIfAborted()
    const at = await withSigns(current(self.training), self.native)
    const done = at.epoch * at.batches + at.step
    const scalars = Object.entries(schedules).map(([name, schedule]) => [
      name,
      checkNumber('fit', `the schedule of ${name}`, schedule(done, options.epochs * at.batches)),
    ])
    const start = performance.now()
    const report = await source.step(self.native, Object.fromEntries(scalars), options.signal)
    if (report === null) return
    const seconds = (performance.now() - start) / 1000
    const sums = plus(at.sums, report.samples, report.loss, report.metrics, seconds)
    const training = { ...at, step: at.step + 1, sums, loader: source.place() }
    self.training = training
    await options.onStep?.(stepEvent(training, options.epochs, report))
  }
}

/** The place at the begin of an epoch, with the signs that its end is compared with. */
async function withSigns(at: Training, native: NativeNetwork): Promise<Training> {
  if (at.step > 0) return at
  const signs = await callLong(() => native.signs())
  return { ...at, signs: Buffer.from(signs).toString('base64') }
}

function stepEvent(
  { epoch, step, batches, sums }: Training,
  epochs: number,
  { loss: batchLoss, waited }: NativeStep,
): StepEvent {
  const { loss, top1, samples } = means(sums)
  const left = epochs * batches - epoch * batches - step
  return {
    ...{ epoch, epochs, step, steps: batches, loss, top1, batchLoss },
    imagesPerSecond: samples / sums.seconds,
    waited: waited / 1000,
    secondsLeft: (left * sums.seconds) / step,
  }
}

/** Evaluates the epoch that is over and moves on to the next. */
async function endEpoch<O extends Outputs>(
  network: Network<O>,
  self: Inside,
  options: FitOptions<O>,
  source: Source,
): Promise<Epoch> {
  const at = current(self.training)
  const { validation: dataset, loss } = options
  const { seconds } = at.sums
  const { flipped, total } = await callLong(() => self.native.flippedSigns(Buffer.from(at.signs, 'base64')))
  const train = {
    ...means(at.sums),
    seconds,
    imagesPerSecond: at.sums.samples / seconds,
    ...(total > 0 && { flipped: flipped / total }),
  }
  const evaluate = (dataset: Dataset) => network.evaluate(dataset, { ...pick(options), ...(loss && { loss }) })
  const validation =
    dataset &&
    (options.average === undefined ? await evaluate(dataset) : await averaged(network, () => evaluate(dataset)))
  const score = validation && (Number.isNaN(validation.top1) ? -validation.loss : validation.top1)
  const best = score !== undefined && (at.best === null || score > at.best.score)
  self.training = {
    ...at,
    ...{ epoch: at.epoch + 1, step: 0, sums: NOTHING, loader: source.place(), signs: '' },
    ...(best && { best: { epoch: at.epoch, score } }),
  }
  return { epoch: at.epoch, train, ...(validation && { validation }), best }
}

/** What a call gives while the moving averages stand in for the parameters. */
async function averaged<O extends Outputs, T>(network: Network<O>, run: () => Promise<T>): Promise<T> {
  await network.swapAverages()
  try {
    return await run()
  } finally {
    await network.swapAverages()
  }
}

/** Every number that the model's gradients read has a schedule, and no other. */
function checkScalars<O extends Outputs>({ scalars }: Network<O>, given: Readonly<Record<string, Schedule>>): void {
  const unknown = Object.keys(given).find((name) => name !== 'progress' && !scalars.includes(name))
  if (unknown !== undefined) {
    const known = scalars.length > 0 ? scalars.join(', ') : 'none'
    reject('fit', 'scalars', `those that the model reads, which are ${known}`, unknown)
  }
  const missing = scalars.find((name) => name !== 'progress' && !(name in given))
  if (missing !== undefined) reject('fit', 'scalars', `a schedule of ${missing}, which the model reads`, given)
}

function isStuck({ epoch, best }: Training, patience = Number.POSITIVE_INFINITY): boolean {
  return best !== null && epoch - 1 - best.epoch >= patience
}

function pick({ signal }: Abortable): Abortable {
  return signal === undefined ? {} : { signal }
}

function current(training: Training | null): Training {
  if (training === null) throw new BinaryNetsError('BNETS_INTERNAL', 'a run without a place')
  return training
}

/** A run can only go on with what it began with. */
function checkResumed(before: Training, now: Training): void {
  for (const option of ['seed', 'batchSize', 'batches'] as const) {
    if (before[option] !== now[option]) {
      reject('fit', option, `${before[option]}, as in the run that is resumed`, now[option])
    }
  }
}
