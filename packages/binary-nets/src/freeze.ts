import { checkOneOf, checkOptions, reject } from './arguments.js'
import { checkDataset, checkImages, checkResize, type Dataset, inOrder, openLoader, type Resize } from './data.js'
import { type FrozenNetwork, type ModelMetadata, type Normalization, setAccuracy, wrapFrozen } from './frozen.js'
import { ask, type Inside } from './inside.js'
import { call, NativeFrozenNetwork, type NativeLoader, version } from './native.js'
import { type Abortable, checkRunOptions, RUN_OPTIONS, type RunOptions } from './run-options.js'
import { type GraphSpec, imageSize } from './spec.js'
import type { Outputs } from './trace.js'

export interface FreezeOptions extends RunOptions, Abortable {
  /**
   * How the float weights of products, such as the classifier and the shortcuts, are kept: as they are, rounded to 16-bit floats, or to 8-bit integers with a scale for
   * each output. Default: 'f32'.
   */
  readonly floats?: 'f32' | 'f16' | 'int8'
  /**
   * How the products of float maps are computed, the network's ends: the stem, shortcuts and the classifier. With 'int8', in integers of 8 bits, which is several times as fast; how
   * far the maps reach is measured on `calibration`. Default: 'f32', where the stem alone is computed in integers, of 16 bits.
   */
  readonly ends?: 'f32' | 'int8'
  /** Images such as the network will see, for `ends: 'int8'`; labels do not matter. Of more than 512, so many are taken, evenly spread. */
  readonly calibration?: Dataset
  /** Data that tell what rounding all those costs, in the report. */
  readonly validation?: Dataset
  /** What becomes of images of another size, which the model's file remembers. Default: 'stretch'. */
  readonly resize?: Resize
}

export async function freeze<O extends Outputs>(self: Inside, options: FreezeOptions): Promise<FrozenNetwork<O>> {
  checkOptions('freeze', options, ['floats', 'ends', 'calibration', 'validation', 'resize', 'signal', ...RUN_OPTIONS])
  const { floats = 'f32', ends = 'f32', resize = 'stretch', calibration, validation, signal } = options
  checkOneOf('freeze', 'floats', floats, ['f32', 'f16', 'int8'])
  checkOneOf('freeze', 'ends', ends, ['f32', 'int8'])
  const spec: GraphSpec = JSON.parse(call(() => self.native.spec))
  if (ends === 'int8') {
    const images = checkDataset('freeze', "calibration, which ends: 'int8' needs,", calibration)
    checkImages('freeze', 'calibration', images, imageSize(spec))
  } else if (calibration !== undefined) {
    reject('freeze', 'calibration', "left out, but with ends: 'int8'", calibration)
  }
  if (validation !== undefined) checkDataset('freeze', 'validation', validation)
  checkResize('freeze', resize)
  const { isa, threads } = call(() => ({ isa: self.native.isa, threads: self.native.threads }))
  const given = { isa, threads, ...checkRunOptions('freeze', options) }
  const metadata: ModelMetadata = {
    classes: self.classes,
    normalize: normalization(spec),
    resize,
    training: provenance(self),
  }
  const make = (given: Parameters<typeof NativeFrozenNetwork.freeze>[1]) =>
    ask(self, options, (native) => NativeFrozenNetwork.freeze(native, given, JSON.stringify(metadata)))
  const images = calibration && openSpread(calibration)
  const frozen = wrapFrozen<O>(
    await make({ ...given, floats, ...(images && { calibration: images }) }).finally(() => images?.close()),
  )
  if (validation === undefined) return frozen
  try {
    const top1 = async (network: FrozenNetwork<O>) =>
      (await network.evaluate(validation, { ...(signal && { signal }) })).top1
    const after = await top1(frozen)
    const isExact = floats === 'f32' && ends === 'f32'
    using exact = isExact ? null : wrapFrozen<O>(await make({ ...given, floats: 'f32' }))
    setAccuracy(frozen, { f32: exact === null ? after : await top1(exact), frozen: after })
    return frozen
  } catch (error) {
    frozen.dispose()
    throw error
  }
}

/** What made the weights, as far as the network knows. */
function provenance({ native, training }: Inside): Readonly<Record<string, unknown>> {
  const run = training && {
    ...{ epochs: training.epoch, batchSize: training.batchSize, seed: training.seed },
    ...(training.best && { best: training.best }),
  }
  return { library: `binary-nets ${version()}`, steps: native.step, ...run }
}

/** The most images that ranges of maps are measured on. */
const MOST_CALIBRATING = 512

/** Images of a dataset from its first to its last, so that every class has its part where data are sorted by class. */
function openSpread(dataset: Dataset): NativeLoader {
  const count = Math.min(dataset.length, MOST_CALIBRATING)
  const spread = Uint32Array.from({ length: count }, (_, i) => Math.floor((i * dataset.length) / count))
  return openLoader(dataset.subset(spread), { sampler: inOrder() }, { batchSize: 8, seed: 0, dropLast: false })
}

/** How the network normalises pixels. */
function normalization({ nodes }: GraphSpec): Normalization | null {
  return nodes.flatMap(({ op }) => ('normalize_image' in op ? [op.normalize_image] : []))[0] ?? null
}
