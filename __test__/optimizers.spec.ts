// Which parameter gets which optimizer, and what reaches the core of it.
import test from 'ava'
import { adam, adamW, assignUpdates, binaryResnet18, bop, cosine, frozen, isBinary, rest, sgd } from 'binary-nets'

const parameters = [
  { path: 'conv1.weight', shape: [8, 1, 3, 3], kind: 'parameter' },
  { path: 'bn1.running_mean', shape: [8], kind: 'statistic' },
  { path: 'layer1.0.conv1.weight', shape: [8, 8, 3, 3], kind: 'latent' },
] as const

const MOMENTS = { beta1: 0.9, beta2: 0.999, eps: 1e-8, decoupled: false, amsgrad: false }

test('one optimizer is for every parameter, and for no statistic', (t) => {
  const { updates, learningRates } = assignUpdates(adam(), parameters)
  const rule = {
    adam: { ...MOMENTS, weight_decay: 0, clamp: null },
  }
  t.deepEqual(updates, [
    { path: 'conv1.weight', rule, lr: '#lr0' },
    { path: 'layer1.0.conv1.weight', rule, lr: '#lr0' },
  ])
  t.deepEqual(Object.keys(learningRates), ['#lr0'])
  t.is(learningRates['#lr0']?.(0, 10), 1e-3)
})

test('each parameter takes the first rule that selects it', (t) => {
  const { updates, learningRates } = assignUpdates(
    [
      [isBinary, adam({ lr: cosine(2), clamp: 1 })],
      [rest, sgd({ lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 1e-4 })],
      [isBinary, frozen],
    ],
    parameters,
  )
  t.deepEqual(updates, [
    {
      path: 'conv1.weight',
      rule: {
        sgd: { momentum: 0.9, nesterov: true, weight_decay: 1e-4, clamp: null },
      },
      lr: '#lr1',
    },
    {
      path: 'layer1.0.conv1.weight',
      rule: {
        adam: { ...MOMENTS, weight_decay: 0, clamp: 1 },
      },
      lr: '#lr0',
    },
  ])
  t.is(learningRates['#lr0']?.(5, 10), 1)
  t.is(learningRates['#lr1']?.(5, 10), 0.1)
})

test('what is frozen has no update', (t) => {
  const { updates } = assignUpdates(
    [
      [isBinary, frozen],
      [rest, adam()],
    ],
    parameters,
  )
  t.deepEqual(
    updates.map(({ path }) => path),
    ['conv1.weight'],
  )
})

test('a parameter that no rule selects is an error that names it', (t) => {
  t.throws(() => assignUpdates([[isBinary, adam()]], parameters), {
    code: 'BNETS_ARGUMENT',
    message: /no rule selects conv1\.weight/,
  })
})

test('options are checked', (t) => {
  const throws = (run: () => unknown, message: RegExp) => t.throws(run, { code: 'BNETS_ARGUMENT', message })
  throws(() => adam({ lr: -1 }), /adam: lr should be a number of at least 0, got -1/)
  throws(() => adam({ betas: [0.9, 1] }), /adam: betas/)
  throws(() => adam({ momentum: 0.9 } as never), /adam: there is no option momentum/)
  throws(() => adam({ clamp: 0 }), /adam: clamp/)
  throws(() => sgd({ nesterov: true }), /nesterov should be false where there is no momentum, got true/)
  throws(() => sgd({ weightDecay: -1 }), /weightDecay/)
  throws(() => assignUpdates([[isBinary]] as never, parameters), /a rule should be \[selector, optimizer\]/)
  throws(() => assignUpdates([[rest, binaryResnet18]] as never, parameters), /an optimizer should be/)
})

test('AdamW decays apart from the gradient, AMSGrad keeps the largest moment, Bop has a threshold', (t) => {
  t.deepEqual(adamW({ lr: 0.1 }).rule, { adam: { ...MOMENTS, weight_decay: 0.01, clamp: null, decoupled: true } })
  t.deepEqual(adam({ amsgrad: true }).rule, { adam: { ...MOMENTS, weight_decay: 0, clamp: null, amsgrad: true } })
  const { rule, lr } = bop({ gamma: 1e-3, threshold: 1e-6 })
  t.deepEqual(rule, { bop: { threshold: 1e-6 } })
  t.is(lr(3, 10), 1e-3)
  t.throws(() => bop({ gamma: -1 }), { code: 'BNETS_ARGUMENT', message: /bop: gamma should be a number of at least 0/ })
  t.throws(() => assignUpdates(bop(), parameters), {
    code: 'BNETS_ARGUMENT',
    message: /bop should be .* got "conv1\.weight"/,
  })
  t.throws(() => adamW({ amsgrad: 1 as never }), { code: 'BNETS_ARGUMENT', message: /adamW: amsgrad should be true/ })
})
