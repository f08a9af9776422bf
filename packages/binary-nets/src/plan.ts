import { checkFunction, checkInteger, checkOptions, reject } from './arguments.js'
import { BinaryNetsError } from './errors.js'
import { type Inside, parametersOf } from './inside.js'
import { crossEntropy, type Loss } from './losses.js'
import { callLong } from './native.js'
import { objectiveOf, setTeacher } from './objective.js'
import { assignUpdates, type Optimizers } from './optimizers.js'
import { checkStepOptions, STEP_OPTIONS, type StepOptions, stepOptions } from './step-options.js'
import type { Outputs } from './trace.js'
import { TrainingPlan } from './training-plan.js'

/** A training step, as `fit` is told it. */
export interface PlanOptions<O extends Outputs> extends StepOptions {
  readonly optimizer: Optimizers
  /** Default: that of the network's last run, or 64. */
  readonly batchSize?: number
  /** Default: `crossEntropy()`. */
  readonly loss?: Loss<O>
  /** How many classes labels have. Default: as many as the network has names of. */
  readonly classes?: number
  /** How many targets a sample has. Default: 0. */
  readonly targets?: number
}

/** The most classes: more than data have, and few enough for a loss that makes a row of them for each sample. */
const MOST_CLASSES = 2 ** 24

export async function plan<O extends Outputs>(self: Inside, options: PlanOptions<O>): Promise<TrainingPlan> {
  checkOptions('plan', options, ['optimizer', 'batchSize', 'loss', 'classes', 'targets', ...STEP_OPTIONS])
  const { loss = crossEntropy() as unknown as Loss<O>, targets = 0 } = options
  const batchSize = options.batchSize ?? self.training?.batchSize ?? 64
  checkFunction('plan', 'loss', loss)
  checkInteger('plan', 'batchSize', batchSize)
  checkInteger('plan', 'targets', targets, { min: 0 })
  checkStepOptions('plan', options)
  const classes = classesOf(self, options)
  if (classes === undefined && targets === 0) {
    throw new BinaryNetsError('BNETS_ARGUMENT', 'plan: the network knows no classes: give `classes`')
  }
  const objective = objectiveOf(self, loss, { classes: classes ?? 0, labelled: classes !== undefined, targets })
  const { updates } = assignUpdates(options.optimizer, parametersOf(self))
  if (loss.teacher !== undefined && loss.teacher !== self.teacher) {
    if (self.fitting) throw new BinaryNetsError('BNETS_BUSY', 'plan: a run goes on with another teacher, or none')
    await setTeacher(self, loss.teacher)
  }
  const facts = await callLong(() => {
    return self.native.planTraining(objective, JSON.stringify(updates), batchSize, stepOptions(options))
  })
  return new TrainingPlan(JSON.parse(facts))
}

/** How many classes labels have, if that is known. */
function classesOf(self: Inside, { classes }: { readonly classes?: number }): number | undefined {
  const known = self.classes?.length
  if (classes === undefined) return known
  checkInteger('plan', 'classes', classes, { min: 1, max: MOST_CLASSES })
  if (known === undefined || known === classes) return classes
  return reject('plan', 'classes', `${known}, as many as the network's`, classes)
}
