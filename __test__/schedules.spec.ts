// Schedules against their closed forms, written here once more.
import test from 'ava'
import { constant, cosine, linearDecay, multiStepDecay, oneCycle, type Schedule, stepDecay, warmup } from 'binary-nets'

/** Rounding of a handful of operations on numbers below 1. */
const EPS = 1e-15

const values = (schedule: Schedule, total: number) => Array.from({ length: total }, (_, step) => schedule(step, total))
const near = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((x, i) => Math.abs(x - (b[i] ?? Number.NaN)) <= EPS)

test('constant', (t) => {
  t.deepEqual(values(constant(0.1), 3), [0.1, 0.1, 0.1])
})

test('stepDecay divides by ten after each part of the run', (t) => {
  t.true(near(values(stepDecay(1, { every: 0.25 }), 8), [1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]))
  t.true(near(values(stepDecay(1, { every: 0.5, factor: 0.5 }), 4), [1, 1, 0.5, 0.5]))
})

test('multiStepDecay changes at its milestones', (t) => {
  t.true(near(values(multiStepDecay(0.4, { milestones: [0.5, 0.75], factor: 0.5 }), 4), [0.4, 0.4, 0.2, 0.1]))
})

test('linearDecay', (t) => {
  t.true(near(values(linearDecay(1), 4), [1, 0.75, 0.5, 0.25]))
  t.true(near(values(linearDecay(1, { end: 0.5 }), 2), [1, 0.75]))
})

test('cosine', (t) => {
  const half = Math.SQRT1_2 / 2
  t.true(near(values(cosine(1), 4), [1, 0.5 + half, 0.5, 0.5 - half]))
  t.true(near(values(cosine(1, { end: 0.5 }), 2), [1, 0.75]))
})

test('oneCycle is that of PyTorch', (t) => {
  // torch.optim.lr_scheduler.OneCycleLR(SGD(lr=1), max_lr=1, total_steps=10): rises to step 2, falls to step 9.
  const total = 10
  const rise = (at: number) => 1 / 25 + ((1 - 1 / 25) * (1 - Math.cos(Math.PI * at))) / 2
  const fall = (at: number) => 1 - ((1 - 1 / 25 / 1e4) * (1 - Math.cos(Math.PI * at))) / 2
  const expected = [0, 1, 2]
    .map((step) => rise(step / 2))
    .concat([3, 4, 5, 6, 7, 8, 9].map((step) => fall((step - 2) / 7)))
  t.true(near(values(oneCycle(1), total), expected))
  t.is(oneCycle(1)(0, total), 0.04, 'the first number is exact')
})

test('oneCycle of a run of one step is its peak', (t) => {
  t.deepEqual(values(oneCycle(0.5), 1).map(Math.sign), [1])
  t.true(values(oneCycle(0.5), 1).every(Number.isFinite))
})

test('warmup rises to the schedule and gives it the rest of the run', (t) => {
  t.true(near(values(warmup(0.5, linearDecay(1)), 8), [0.2, 0.4, 0.6, 0.8, 1, 0.75, 0.5, 0.25]))
  t.deepEqual(values(warmup(0, cosine(1)), 5), values(cosine(1), 5))
})

test('arguments are checked', (t) => {
  const throws = (run: () => unknown, message: RegExp) => t.throws(run, { code: 'BNETS_ARGUMENT', message })
  throws(() => constant(Number.NaN), /constant: value should be a number, got NaN/)
  throws(() => stepDecay(1, { every: 2 }), /every should be a number above 0 and at most 1, got 2/)
  throws(() => multiStepDecay(1, { milestones: [30, 60] }), /milestones should be a number from 0 to 1, got 30/)
  throws(() => cosine(1, { final: 0 } as never), /cosine: there is no option final/)
  throws(() => warmup(0.1, 0.5 as never), /schedule should be a function, got 0.5/)
})
