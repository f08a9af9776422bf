import { reject } from './arguments.js'
import { type Inside, inside } from './inside.js'
import type { Loss, Teacher } from './losses.js'
import { callLong } from './native.js'
import { type LossData, type Outputs, traceLoss } from './trace.js'

/** The graph of a loss on some data, as JSON. */
export function objectiveOf<O extends Outputs>(
  { outputs }: Inside,
  loss: Loss<O>,
  data: Omit<LossData, 'teacher'>,
): string {
  const teacher = Object.keys(loss.teacher?.outputs ?? {})
  return JSON.stringify(traceLoss(loss as Loss, outputs, { ...data, teacher }))
}

/** Copies a loss's teacher to the network, as it is now. */
export async function setTeacher(self: Inside, teacher: Teacher): Promise<void> {
  const { native } = inside(teacher) ?? reject('a loss', 'teacher', 'a network', teacher)
  await callLong(() => self.native.setTeacher(native))
  self.teacher = teacher
}
