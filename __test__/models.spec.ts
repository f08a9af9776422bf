// What the models trace to: the graph as text, the checkpoint keys, the number of parameters.
import { readFileSync, writeFileSync } from 'node:fs'
import test from 'ava'
import { binaryResnet18, biRealResnet18, image, resnet18, trace } from 'binary-nets'
import { specText } from './spec-text.js'

const models = { biRealResnet18, binaryResnet18, resnet18 }
const digit = image({
  height: 28,
  width: 28,
  channels: 1,
  normalize: { mean: [0.1307], std: [0.3081] },
})
const photo = image({ height: 224, width: 224, channels: 3 })

for (const [name, build] of Object.entries(models)) {
  for (const stem of ['small', 'imagenet'] as const) {
    test(`the graph of ${name} with the ${stem} stem`, (t) => {
      const path = `__test__/traces/${name}-${stem}.txt`
      const text = specText(trace(build({ classes: 10, stem, width: 8 }), stem === 'small' ? digit : photo))
      // UPDATE_TRACES=1 accepts the graphs as they are now.
      if (process.env['UPDATE_TRACES']) writeFileSync(path, text)
      t.is(text, readFileSync(path, 'utf8'))
    })
  }
}

/** The states of a model, in order. */
const states = (model: ReturnType<typeof resnet18>) =>
  trace(model, photo).nodes.flatMap(({ op }) => ('state' in op ? [op.state] : []))

/** The keys of torchvision's `resnet18().state_dict()`, without the norms' counters. */
function torchvisionKeys(downsample: readonly [conv: number, norm: number], head: string): string[] {
  const norm = (path: string) => ['weight', 'bias', 'running_mean', 'running_var'].map((name) => `${path}.${name}`)
  const block = (path: string, isFirst: boolean) => [
    ...[`${path}.conv1.weight`, ...norm(`${path}.bn1`), `${path}.conv2.weight`, ...norm(`${path}.bn2`)],
    ...(isFirst ? [`${path}.downsample.${downsample[0]}.weight`, ...norm(`${path}.downsample.${downsample[1]}`)] : []),
  ]
  const layers = [1, 2, 3, 4].flatMap((layer) => [
    ...block(`layer${layer}.0`, layer > 1),
    ...block(`layer${layer}.1`, false),
  ])
  return ['conv1.weight', ...norm('bn1'), ...layers, `${head}.weight`, `${head}.bias`].toSorted()
}

test('resnet18 has the keys of torchvision', (t) => {
  const keys = states(resnet18()).map(({ path }) => path)
  t.deepEqual(keys.toSorted(), torchvisionKeys([0, 1], 'fc'))
})

test('binaryResnet18 has the keys of torchvision, but that its head is the classifier', (t) => {
  const keys = states(binaryResnet18()).map(({ path }) => path)
  t.deepEqual(keys.toSorted(), torchvisionKeys([0, 1], 'classifier'))
})

test('biRealResnet18 has a pool in front of the convolution of its shortcuts', (t) => {
  const keys = states(biRealResnet18()).map(({ path }) => path)
  t.deepEqual(keys.toSorted(), torchvisionKeys([1, 2], 'fc'))
})

for (const [name, build] of Object.entries(models)) {
  test(`${name} has 11,689,512 parameters, as published`, (t) => {
    const elements = (kinds: readonly string[]) =>
      states(build())
        .filter(({ kind }) => kinds.includes(kind))
        .reduce((sum, { shape }) => sum + shape.reduce((product, extent) => product * extent, 1), 0)
    t.is(elements(['parameter', 'latent']), 11_689_512)
    t.is(elements(['latent']), name === 'resnet18' ? 0 : 10_985_472)
  })
}

test('zeroInitResidual starts the last norm of each block at 0, and no other', (t) => {
  const zeros = states(binaryResnet18({ zeroInitResidual: true }))
    .filter(({ path, init }) => path.endsWith('.weight') && JSON.stringify(init) === '{"constant":0}')
    .map(({ path }) => path)
  const blocks = [1, 2, 3, 4].flatMap((layer) => [`layer${layer}.0`, `layer${layer}.1`])
  t.deepEqual(
    zeros,
    blocks.map((block) => `${block}.bn2.weight`),
  )
})

test('a layer can be named wherever it computes something', (t) => {
  const { layers, outputs } = trace(biRealResnet18({ classes: 10, stem: 'small', width: 8 }), digit)
  t.true('layer2.0.downsample.0' in layers)
  t.false('layer1.0.downsample' in layers, 'an identity has no value of its own')
  t.deepEqual(layers['fc'], outputs['logits'])
  t.deepEqual(layers['avgpool'], outputs['features'])
})

test('options of a model are checked', (t) => {
  const code = { code: 'BNETS_ARGUMENT' }
  // @ts-expect-error there is no such stem
  t.throws(() => resnet18({ stem: 'tiny' }), {
    ...code,
    message: /stem should be one of "imagenet", "small", got "tiny"/,
  })
  // @ts-expect-error there is no such option
  t.throws(() => binaryResnet18({ clases: 10 }), {
    ...code,
    message: /no option clases/,
  })
  t.throws(() => biRealResnet18({ width: 0 }), {
    ...code,
    message: /width should be an integer of at least 1, got 0/,
  })
})
