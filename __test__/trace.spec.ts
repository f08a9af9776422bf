// Tracing: what a model's calls become, how layers get their paths, what is refused.
import test from 'ava'
import {
  BinaryNetsError,
  batchNorm1d,
  block,
  concat,
  conv2d,
  crossEntropy,
  dropout,
  flatten,
  image,
  type Layer,
  layer,
  linear,
  type Model,
  relu,
  type Sym,
  select,
  sequential,
  trace,
} from 'binary-nets'
import { specText } from './spec-text.js'

const input = image({ height: 2, width: 2, channels: 1 })
const logits =
  (net: Layer): Model =>
  (x) => ({ logits: net(x) })

/** The lines of what a function of the flattened image traces to, after the image's own four. */
const lines = (net: Layer) =>
  specText(trace(logits(net), input))
    .split('\n')
    .slice(2, -3)

test('each method records one op, and numbers become tensors', (t) => {
  t.deepEqual(
    lines((x) => x.add(2)),
    ['%2 = fill value=2 shape=[] ()', '%3 = arithmetic function="add" (%1, %2)'],
  )
  const one = (net: Layer) => lines(net).at(-1)
  t.is(
    one((x) => x.sub(x)),
    '%2 = arithmetic function="sub" (%1, %1)',
  )
  t.is(
    one((x) => x.mul(x)),
    '%2 = arithmetic function="mul" (%1, %1)',
  )
  t.is(
    one((x) => x.div(x)),
    '%2 = arithmetic function="div" (%1, %1)',
  )
  t.is(
    one((x) => x.minimum(x)),
    '%2 = arithmetic function="min" (%1, %1)',
  )
  t.is(
    one((x) => x.maximum(x)),
    '%2 = arithmetic function="max" (%1, %1)',
  )
  t.is(
    one((x) => x.neg()),
    '%2 = unary function="neg" (%1)',
  )
  t.is(
    one((x) => x.abs()),
    '%2 = unary function="abs" (%1)',
  )
  t.is(
    one((x) => x.exp()),
    '%2 = unary function="exp" (%1)',
  )
  t.is(
    one((x) => x.log()),
    '%2 = unary function="log" (%1)',
  )
  t.is(
    one((x) => x.sqrt()),
    '%2 = unary function="sqrt" (%1)',
  )
  t.is(
    one((x) => x.clamp(0, 1)),
    '%2 = clamp min=0 max=1 (%1)',
  )
  t.is(
    one((x) => x.less(x)),
    '%2 = compare comparison="less" (%1, %1)',
  )
  t.is(
    one((x) => x.lessEqual(x)),
    '%2 = compare comparison="less_equal" (%1, %1)',
  )
  t.is(
    one((x) => x.greater(x)),
    '%2 = compare comparison="greater" (%1, %1)',
  )
  t.is(
    one((x) => x.greaterEqual(x)),
    '%2 = compare comparison="greater_equal" (%1, %1)',
  )
  t.is(
    one((x) => x.equal(x)),
    '%2 = compare comparison="equal" (%1, %1)',
  )
  t.is(
    one((x) => x.matmul(x, { transposeB: true })),
    '%2 = matmul transpose_a=false transpose_b=true (%1, %1)',
  )
  t.is(
    one((x) => x.transpose([0, 3, 1, 2])),
    '%2 = transpose permutation=[0,3,1,2] (%1)',
  )
  t.is(
    one((x) => x.reshape([0, -1])),
    '%2 = reshape dims=[0,-1] (%1)',
  )
  t.is(one(flatten), '%2 = reshape dims=[0,-1] (%1)')
  t.is(
    one((x) => x.slice(1, 0, 1)),
    '%2 = slice axis=1 start=0 end=1 (%1)',
  )
  t.is(
    one((x) => concat([x, x], 3)),
    '%2 = concat axis=3 (%1, %1)',
  )
  t.is(
    one((x) => x.repeat(3, 2)),
    '%2 = repeat axis=3 times=2 (%1)',
  )
  t.is(
    one((x) => x.sum([2, 1])),
    '%2 = reduce reduction="sum" axes=[1,2] keep=false (%1)',
  )
  t.is(
    one((x) => x.mean(1, { keep: true })),
    '%2 = reduce reduction="mean" axes=[1] keep=true (%1)',
  )
  t.is(
    one((x) => x.max(3)),
    '%2 = reduce reduction="max" axes=[3] keep=false (%1)',
  )
  t.is(
    one((x) => x.gather(1, x)),
    '%2 = gather axis=1 (%1, %1)',
  )
  t.is(
    one((x) => x.stopGradient()),
    '%2 = stop_gradient (%1)',
  )
  t.is(
    one((x) => select(x.less(x), 1, x)),
    '%4 = select (%2, %3, %1)',
  )
  t.is(one(dropout(0.5)), '%2 = dropout p=0.5 stream=2 (%1)')
})

test('keys of nested blocks make paths', (t) => {
  const inner = block({ fc: linear(4, 3) }, ({ fc }, x) => fc(x))
  const spec = trace(
    logits(
      sequential(
        flatten,
        block({ head: inner }, ({ head }, x) => head(x)),
      ),
    ),
    input,
  )
  const paths = spec.nodes.flatMap(({ op }) => ('state' in op ? [op.state.path] : []))
  t.deepEqual(paths, ['1.head.fc.weight', '1.head.fc.bias'])
  t.deepEqual(Object.keys(spec.layers).toSorted(), ['0', '1', '1.head', '1.head.fc', 'image'])
  t.deepEqual(spec.layers['1'], spec.outputs['logits'])
})

test('a layer called twice has one set of parameters, a layer under two keys two', (t) => {
  const states = (net: Layer) =>
    trace(
      logits((x) => net(x.flatten())),
      input,
    ).nodes.flatMap(({ op }) => ('state' in op ? [op.state.path] : []))
  const square = linear(4, 4, { bias: false })
  t.deepEqual(states(block({ fc: square }, ({ fc }, x) => fc(relu(fc(x))))), ['fc.weight'])
  t.deepEqual(states(block({ a: square, b: square }, ({ a, b }, x) => b(a(x)))), ['a.weight', 'b.weight'])
})

test('a layer of the user keeps tensors of its own', (t) => {
  const shift = (channels: number) => layer((x, own) => x.add(own('shift', [channels], { constant: 0 })))
  t.deepEqual(lines(block({ bias: shift(1) }, ({ bias }, x) => bias(x))).slice(0, 2), [
    '%2 = state path="bias.shift" shape=[1] kind="parameter" init={"constant":0} () @bias',
    '%3 = arithmetic function="add" (%1, %2) @bias',
  ])
})

/** The error that tracing ends in. */
const failure = (model: Model): BinaryNetsError | undefined => {
  try {
    trace(model, input)
  } catch (error) {
    return error instanceof BinaryNetsError ? error : undefined
  }
  return undefined
}

test('two layers at one path are refused', (t) => {
  const parameters = failure(logits((x) => batchNorm1d(4)(batchNorm1d(4)(x.flatten()))))
  t.is(parameters?.code, 'BNETS_SPEC')
  t.is(parameters?.node, 'weight')

  const fc = () => block({ fc: linear(4, 4) }, ({ fc }, x) => fc(x))
  const blocks = failure(logits((x) => x.flatten().pipe(fc(), fc())))
  t.is(blocks?.code, 'BNETS_SPEC')
  t.is(blocks?.node, 'fc')
  t.regex(blocks?.message ?? '', /two layers stand at 'fc'/)
})

test('values of another trace, or after the end of their own, are refused', (t) => {
  let stolen: Sym | undefined
  trace(
    logits((x) => {
      stolen = x
      return x
    }),
    input,
  )
  t.throws(() => stolen?.add(1), {
    code: 'BNETS_SPEC',
    message: /after its trace had ended/,
  })
  t.throws(
    () =>
      trace(
        logits((x) => x.add(stolen as Sym)),
        input,
      ),
    { code: 'BNETS_SPEC', message: /another trace/ },
  )
  t.throws(
    () =>
      trace(
        logits(() => stolen as Sym),
        input,
      ),
    { code: 'BNETS_SPEC', message: /another trace as logits/ },
  )
})

test('a model returns named values', (t) => {
  for (const model of [() => undefined, () => ({}), (x: Sym) => x, () => ({ logits: 3 })]) {
    t.throws(() => trace(model as unknown as Model, input), {
      code: 'BNETS_SPEC',
    })
  }
})

test('arguments of values and layers are checked, naming option and value', (t) => {
  const refuses = (net: Layer, message: RegExp) =>
    t.throws(() => trace(logits(net), input), {
      code: 'BNETS_ARGUMENT',
      message,
    })
  refuses((x) => x.sum(-1), /sum: an axis should be an integer of at least 0, got -1/)
  refuses((x) => x.sum([1, 1]), /sum: axes should be different axes, got \[1, 1\]/)
  for (const reduction of ['sum', 'mean', 'max'] as const) {
    const reduce = (axes: unknown, options?: unknown) => (x: Sym) => x[reduction](axes as number, options as never)
    refuses(reduce(undefined), new RegExp(`^${reduction}: axes should be a list of numbers, got undefined`))
    refuses(reduce('1'), /axes should be a list of numbers, got "1"/)
    refuses(reduce(['1']), /an axis should be an integer of at least 0, got "1"/)
    refuses(reduce(1, { keep: 1 }), /keep should be true or false, got 1/)
    refuses(reduce(1, { keepdims: true }), /there is no option keepdims/)
  }
  refuses((x) => x.transpose(undefined as never), /transpose: permutation should be a list of numbers, got undefined/)
  refuses((x) => x.transpose(1 as never), /transpose: permutation should be a list of numbers, got 1/)
  refuses((x) => x.transpose([0, -1]), /transpose: an axis should be an integer of at least 0, got -1/)
  refuses((x) => x.reshape(undefined as never), /reshape: dims should be a list of numbers, got undefined/)
  refuses((x) => x.reshape({} as never), /reshape: dims should be a list of numbers/)
  refuses((x) => x.reshape([0, 1.5]), /reshape: dims should be an integer of at least -1, got 1.5/)
  refuses((x) => x.add(Number.NaN), /a number, got NaN/)
  refuses((x) => x.add('1' as unknown as Sym), /a Sym or a number, got "1"/)
  refuses((x) => x.clamp(1, 0), /clamp: max should be a number of at least 1, got 0/)
  refuses((x) => x.slice(1, 2, 2), /slice: end should be an integer of at least 3, got 2/)

  const throws = (run: () => unknown, message: RegExp) => t.throws(run, { code: 'BNETS_ARGUMENT', message })
  throws(() => block({ 'a.b': relu }, (_, x) => x), /a key should be a name without dots, got "a.b"/)
  throws(() => block({ a: 3 as unknown as Layer }, (_, x) => x), /block: a should be a function, got 3/)
  throws(() => conv2d(3, 4, { kernel: 3, groups: 2 }), /groups should be a divisor of 3 and 4 channels, got 2/)
  throws(() => dropout(1), /dropout: p/)
  throws(
    () =>
      image({
        height: 2,
        width: 2,
        channels: 3,
        normalize: { mean: [0], std: [1] },
      }),
    /mean should be 3 numbers/,
  )
  throws(
    () =>
      image({
        height: 2,
        width: 2,
        channels: 1,
        normalize: { mean: [0], std: [0] },
      }),
    /std/,
  )
  throws(() => crossEntropy({ labelSmoothing: 2 }), /labelSmoothing should be a number from 0 to 1, got 2/)
})
