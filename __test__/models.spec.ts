// What the models trace to: the graph as text, the checkpoint keys, the number of parameters.
import { readFileSync, writeFileSync } from 'node:fs'
import test from 'ava'
import {
  batchNorm2d,
  binaryResnet18,
  biRealResnet18,
  block,
  conv2d,
  groupNetResnet18,
  groupNetResnet34,
  image,
  type ParallelOptions,
  parallelResnet18NoSqueeze,
  parallelResnet18WithFusionGate,
  parallelResnet18WithSqueeze,
  type ResNet,
  type ResNetBlock,
  reactNetResnet18,
  reidBinaryResnet18,
  reidParallelResnet18WithFusionGateFc,
  resnet,
  resnet18,
  resnet34,
  trace,
  xnorResnet18,
} from 'binary-nets'
import { specText } from './spec-text.js'

const models = { biRealResnet18, binaryResnet18, resnet18 }
const others = { reactNetResnet18, xnorResnet18 }
const parallel = {
  groupNetResnet18,
  parallelResnet18NoSqueeze,
  parallelResnet18WithFusionGate,
  parallelResnet18WithSqueeze,
}
const digit = image({
  height: 28,
  width: 28,
  channels: 1,
  normalize: { mean: [0.1307], std: [0.3081] },
})
const photo = image({ height: 224, width: 224, channels: 3 })

const SMALL = { classes: 10, stem: 'small', width: 8 } as const

function checkGraph(name: string, file: string, model: ResNet, input: typeof digit) {
  test(`the graph of ${name}`, (t) => {
    const path = `__test__/traces/${file}.txt`
    const text = specText(trace(model, input))
    // UPDATE_TRACES=1 accepts the graphs as they are now.
    if (process.env['UPDATE_TRACES']) writeFileSync(path, text)
    t.is(text, readFileSync(path, 'utf8'))
  })
}

for (const [name, build] of Object.entries(models)) {
  checkGraph(`${name} with the small stem`, `${name}-small`, build(SMALL), digit)
  checkGraph(`${name} with the imagenet stem`, `${name}-imagenet`, build({ ...SMALL, stem: 'imagenet' }), photo)
}
for (const [name, build] of Object.entries(others)) checkGraph(name, name, build(SMALL), digit)
for (const [name, build] of Object.entries(parallel)) {
  checkGraph(`${name} with two bases`, `${name}-2`, build({ ...SMALL, parallel: 2 }), digit)
}

/** The states of a model, in order. */
const states = (model: ResNet) => trace(model, photo).nodes.flatMap(({ op }) => ('state' in op ? [op.state] : []))

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

/** The elements of a model's states of some kinds. */
const elements = (model: ResNet, kinds: readonly string[]) =>
  states(model)
    .filter(({ kind }) => kinds.includes(kind))
    .reduce((sum, { shape }) => sum + shape.reduce((product, extent) => product * extent, 1), 0)

for (const [name, build] of Object.entries(models)) {
  test(`${name} has 11,689,512 parameters, as published`, (t) => {
    t.is(elements(build(), ['parameter', 'latent']), 11_689_512)
    t.is(elements(build(), ['latent']), name === 'resnet18' ? 0 : 10_985_472)
  })
}

test('Group-Net with five bases has the published numbers of binary and other parameters', (t) => {
  const model = groupNetResnet18({ parallel: 5 })
  t.is(elements(model, ['latent']), 55_099_392)
  t.is(elements(model, ['parameter']), 562_735)
})

test('the fusion gate has the published numbers of parameters, in millions', (t) => {
  const millions = (bases: number) => {
    const parameters = elements(parallelResnet18WithFusionGate({ parallel: bases }), ['parameter', 'latent'])
    return Math.round(parameters / 1e4) / 100
  }
  t.deepEqual([1, 4, 5, 8].map(millions), [11.69, 45.19, 56.36, 89.86])
})

test('34 layers are sixteen blocks', (t) => {
  // torchvision's number.
  t.is(elements(resnet34(), ['parameter']), 21_797_672)
  const paths = states(groupNetResnet34({ parallel: 2 })).map(({ path }) => path)
  t.is(paths.filter((path) => path.endsWith('.bases.1.conv1.weight')).length, 16)
  t.is(paths.filter((path) => path.endsWith('.gate')).length, 15)
})

test('bases have scales and gates where they are asked for', (t) => {
  const keys = (model: ResNet, block = 'layer2.0.') =>
    states(model)
      .map(({ path }) => path)
      .filter((path) => path.startsWith(block) && !/conv|bn|downsample/.test(path))
  const two: ParallelOptions = { ...SMALL, parallel: 2 }
  const lambdas = ['layer2.0.lambdas.0', 'layer2.0.lambdas.1']
  t.deepEqual(keys(parallelResnet18WithSqueeze(two)), lambdas)
  t.deepEqual(keys(parallelResnet18NoSqueeze({ ...two, multiplication: false })), [])
  t.deepEqual(keys(parallelResnet18WithFusionGate(two)), [...lambdas, 'layer2.0.C_s.0', 'layer2.0.C_s.1'])
  t.deepEqual(keys(parallelResnet18WithFusionGate(SMALL)), ['layer2.0.lambdas.0', 'layer2.0.C_s.0'])
  t.deepEqual(keys(binaryResnet18(SMALL)), [])
  t.deepEqual(keys(groupNetResnet18(two)), ['layer2.0.gate'])
  t.deepEqual(keys(groupNetResnet18(two), 'layer1.0.'), [])
  t.deepEqual(keys(groupNetResnet18({ ...two, gate: false, merge: 'scaled' })), lambdas)
  const inner = ['layer2.0.lambdas1.0', 'layer2.0.lambdas1.1', ...lambdas]
  t.deepEqual(keys(groupNetResnet18({ ...two, span: 'layer', merge: 'scaled' })), inner)
  const spans = { block: 7, 'two-blocks': 3, network: 0, layer: 0 } as const
  for (const [span, gates] of Object.entries(spans)) {
    const model = groupNetResnet18({ ...two, span: span as keyof typeof spans, gate: 'per-base' })
    const shapes = states(model).filter(({ path }) => path.endsWith('.gate'))
    t.deepEqual(
      shapes.map(({ shape }) => shape),
      Array(gates).fill([2]),
      span,
    )
  }
})

test('hidden layers stand in front of the classifier', (t) => {
  const keys = (model: ResNet) =>
    states(model)
      .filter(({ path }) => /^(fc|classifier)/.test(path))
      .map(({ path, shape }) => `${path} ${shape.join('×')}`)
  const norm = (path: string, size: number) =>
    ['weight', 'bias', 'running_mean', 'running_var'].map((name) => `${path}.${name} ${size}`)
  t.deepEqual(keys(binaryResnet18({ ...SMALL, fcDims: [5, 6], dropout: 0.5 })), [
    ...['fc.0.weight 5×64', 'fc.0.bias 5', ...norm('fc.1', 5)],
    ...['fc.4.weight 6×5', 'fc.4.bias 6', ...norm('fc.5', 6)],
    ...['classifier.weight 10×6', 'classifier.bias 10'],
  ])
  t.true(keys(reidParallelResnet18WithFusionGateFc(SMALL)).includes('classifier.weight 10×512'))
  t.true(keys(biRealResnet18({ ...SMALL, fcDims: [5] })).includes('classifier.weight 10×5'))
  t.deepEqual(keys(biRealResnet18({ ...SMALL, head: 'classifier' })), ['classifier.weight 10×64', 'classifier.bias 10'])
  const code = { code: 'BNETS_ARGUMENT' }
  t.throws(() => resnet18({ fcDims: [5], head: 'fc' }), { ...code, message: /resnet18: head should be 'classifier'/ })
  t.throws(() => resnet18({ dropout: 0.5 }), { ...code, message: /dropout should be 0 where there are no fcDims/ })
})

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

test('a residual network of blocks of the user', (t) => {
  const flat: ResNetBlock = ({ inPlanes, planes, stride }) =>
    block({ conv: conv2d(inPlanes, planes, { kernel: 1, stride }), norm: batchNorm2d(planes) }, ({ conv, norm }, x) =>
      x.pipe(conv, norm),
    )
  const paths = states(resnet({ ...SMALL, block: flat, layers: [1, 1, 2, 1] })).map(({ path }) => path)
  t.true(paths.includes('layer3.1.conv.weight'))
  t.true(paths.includes('fc.weight'))
  const throws = (definition: object, message: RegExp) =>
    t.throws(() => resnet(definition as never), { code: 'BNETS_ARGUMENT', message })
  throws({ layers: [1, 1, 1, 1] }, /resnet: block should be a function, got undefined/)
  throws({ block: flat, layers: [1, 1, 1] }, /resnet: layers should be four numbers of blocks, got \[1, 1, 1\]/)
  throws({ block: flat, layers: [1, 1, 1, 1], bases: {} }, /resnet: bases: enter should be a function/)
})

test('messages name the builder that was called', (t) => {
  const message = (name: string) => new RegExp(`^${name}: classes should be an integer of at least 1, got 0`)
  for (const build of [
    reidParallelResnet18WithFusionGateFc,
    xnorResnet18,
    groupNetResnet34,
    parallelResnet18NoSqueeze,
  ]) {
    t.throws(() => build({ classes: 0 }), { code: 'BNETS_ARGUMENT', message: message(build.name) })
  }
  const options = { code: 'BNETS_ARGUMENT', message: /^reidBinaryResnet18: there is no option loss/ }
  t.throws(() => reidBinaryResnet18({ loss: 'triplet' } as never), options)
  t.throws(() => xnorResnet18({ zeroInitResidual: true } as never), {
    message: /xnorResnet18: zeroInitResidual should be/,
  })
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
