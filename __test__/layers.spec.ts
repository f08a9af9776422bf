// What each layer records, and which options it refuses.
import test from 'ava'
import {
  avgPool2d,
  batchNorm1d,
  batchNorm2d,
  binaryConv2d,
  binaryLinear,
  block,
  conv2d,
  globalAvgPool,
  identity,
  image,
  type Layer,
  libra,
  linear,
  maxPool2d,
  pooledShortcut,
  recu,
  rsign,
  scaledSign,
  shortcut,
  sign,
  step,
  ternary,
  trace,
} from 'binary-nets'
import { specText } from './spec-text.js'

const input = image({ height: 8, width: 8, channels: 4 })
const lines = (net: Layer) =>
  specText(trace((x) => ({ y: net(x) }), input))
    .split('\n')
    .slice(2, -3)

test('conv2d', (t) => {
  t.deepEqual(
    lines(
      conv2d(4, 6, {
        kernel: [3, 5],
        stride: 2,
        padding: [1, 2],
        dilation: 2,
        groups: 2,
        bias: true,
      }),
    ),
    [
      '%2 = state path="weight" shape=[6,2,3,5] kind="parameter" init="kaiming_normal" ()',
      '%3 = conv2d window={"kernel":[3,5],"stride":[2,2],"padding":[1,2],"dilation":[2,2]} groups=2 (%1, %2)',
      // PyTorch: uniform within 1/√fan-in, here 2·3·5.
      `%4 = state path="bias" shape=[6] kind="parameter" init={"uniform":{"low":${-1 / Math.sqrt(30)},"high":${1 / Math.sqrt(30)}}} ()`,
      '%5 = arithmetic function="add" (%3, %4)',
    ],
  )
})

test('binaryConv2d', (t) => {
  const window = '{"kernel":[3,3],"stride":[1,1],"padding":[1,1],"dilation":[1,1]}'
  t.deepEqual(lines(binaryConv2d(4, 6, { kernel: 3, padding: 1 })), [
    '%2 = state path="weight" shape=[6,4,3,3] kind="latent" init="kaiming_normal" ()',
    '%3 = sign gradient="clip" groups=1 (%1)',
    '%4 = binarize_weight scale="tensor" gradient="identity" groups=1 (%2)',
    `%5 = binary_conv2d window=${window} pad_value=0 (%3, %4, %4.1)`,
  ])
  const options = {
    kernel: 3,
    padding: 1,
    groups: 2,
    padValue: 1,
    weight: scaledSign({ scale: 'group', gradient: 'clip' }),
  } as const
  t.deepEqual(lines(binaryConv2d(4, 6, { ...options, input: step('approx') })), [
    '%2 = state path="weight" shape=[6,2,3,3] kind="latent" init="kaiming_normal" ()',
    '%3 = step gradient="approx" groups=2 (%1)',
    '%4 = binarize_weight scale="group" gradient="clip" groups=2 (%2)',
    `%5 = binary_conv2d window=${window} pad_value=1 (%3, %4, %4.1)`,
  ])
})

test('binaryLinear is a convolution of one pixel', (t) => {
  const window = '{"kernel":[1,1],"stride":[1,1],"padding":[0,0],"dilation":[1,1]}'
  t.deepEqual(lines(binaryLinear(16, 3, { weight: scaledSign({ scale: 'channel' }) })), [
    '%2 = state path="weight" shape=[3,16] kind="latent" init="kaiming_normal" ()',
    '%3 = reshape dims=[0,1,1,-1] (%1)',
    '%4 = reshape dims=[3,16,1,1] (%2)',
    '%5 = sign gradient="clip" groups=1 (%3)',
    '%6 = binarize_weight scale="channel" gradient="identity" groups=1 (%4)',
    `%7 = binary_conv2d window=${window} pad_value=0 (%5, %6, %6.1)`,
    '%8 = reshape dims=[0,-1] (%7)',
  ])
})

test('codes may come from elsewhere', (t) => {
  const net = block(
    { rsign1: rsign(4), conv1: binaryConv2d(4, 6, { kernel: 1, input: identity }) },
    ({ rsign1, conv1 }, x) => x.pipe(rsign1, conv1),
  )
  const traced = lines(net)
  t.is(traced[0], '%2 = state path="rsign1.bias" shape=[4] kind="parameter" init={"constant":0} () @rsign1')
  t.is(traced[2], '%4 = sign gradient="approx" groups=1 (%3) @rsign1')
  t.regex(traced[5] ?? '', /^%7 = binary_conv2d .* pad_value=0 \(%4, %6, %6\.1\) @conv1$/)
})

test('ternary weights are two planes', (t) => {
  const traced = lines(binaryConv2d(4, 6, { kernel: 1, weight: ternary({ negativeGradient: 'published' }) }))
  t.is(traced[2], '%4 = state path="w_p" shape=[1] kind="parameter" init={"constant":1} ()')
  t.is(traced[4], '%6 = ternarize_weight threshold=0.05 negative_gradient="published" (%2, %4, %5)')
  t.regex(traced[5] ?? '', /^%7 = ternary_conv2d .* \(%3, %6, %6\.1, %4, %5\)$/)
})

test("gradients of one's own are graphs from x and g to dx", (t) => {
  const [node] = trace(
    (x) => ({ y: sign({ gradient: (x, g, scalar) => g.mul(x).mul(scalar('steepness')) })(x) }),
    input,
  ).nodes.flatMap(({ op }) => ('sign' in op ? [op.sign.gradient] : []))
  if (typeof node !== 'object' || !('custom' in node)) return t.fail()
  t.deepEqual(specText(node.custom).split('\n').slice(0, -1), [
    '%0 = input name="x" shape=[] meaning="f32" ()',
    '%1 = input name="g" shape=[] meaning="f32" ()',
    '%2 = arithmetic function="mul" (%1, %0)',
    '%3 = scalar name="steepness" ()',
    '%4 = arithmetic function="mul" (%2, %3)',
    'output dx = %4',
  ])
  const code = { code: 'BNETS_SPEC' }
  t.throws(() => sign({ gradient: (x, g) => linear(4, 4)(x).mul(g) }), { ...code, message: /keeps tensors/ })
  t.throws(() => sign({ gradient: () => 3 as never }), { ...code, message: /the gradient returns number as dx/ })
})

test('norms', (t) => {
  const expected = [
    '%2 = state path="weight" shape=[4] kind="parameter" init={"constant":1} ()',
    '%3 = state path="bias" shape=[4] kind="parameter" init={"constant":0} ()',
    '%4 = state path="running_mean" shape=[4] kind="statistic" init={"constant":0} ()',
    '%5 = state path="running_var" shape=[4] kind="statistic" init={"constant":1} ()',
    '%6 = batch_norm eps=0.00001 momentum=0.1 (%1, %2, %3, %4, %5)',
  ]
  t.deepEqual(lines(batchNorm2d(4)), expected)
  t.deepEqual(lines(batchNorm1d(4)), expected)
})

test('pools, whose stride is their kernel', (t) => {
  const window = (kernel: number, stride: number, padding: number) =>
    `window={"kernel":[${kernel},${kernel}],"stride":[${stride},${stride}],"padding":[${padding},${padding}],"dilation":[1,1]}`
  t.deepEqual(lines(maxPool2d({ kernel: 3, stride: 2, padding: 1 })), [`%2 = max_pool2d ${window(3, 2, 1)} (%1)`])
  t.deepEqual(lines(avgPool2d({ kernel: 2 })), [`%2 = avg_pool2d ${window(2, 2, 0)} (%1)`])
  t.deepEqual(lines(globalAvgPool), ['%2 = reduce reduction="mean" axes=[1,2] keep=false (%1)'])
})

test('linear starts as in PyTorch', (t) => {
  t.deepEqual(lines(linear(16, 3)), [
    '%2 = state path="weight" shape=[3,16] kind="parameter" init={"uniform":{"low":-0.25,"high":0.25}} ()',
    '%3 = matmul transpose_a=false transpose_b=true (%1, %2)',
    '%4 = state path="bias" shape=[3] kind="parameter" init={"uniform":{"low":-0.25,"high":0.25}} ()',
    '%5 = arithmetic function="add" (%3, %4)',
  ])
})

test('shortcuts are the identity where nothing changes', (t) => {
  t.is(shortcut(4, 4, 1), identity)
  t.is(pooledShortcut(4, 4, 1), identity)
  t.true(lines(shortcut(4, 8, 1)).length > 0)
  t.regex(lines(pooledShortcut(4, 4, 2))[0] ?? '', /avg_pool2d .*"kernel":\[2,2\],"stride":\[2,2\]/)
})

test('options are checked, naming option and value', (t) => {
  const throws = (run: () => unknown, message: RegExp) => t.throws(run, { code: 'BNETS_ARGUMENT', message })
  throws(() => binaryConv2d(4, 4, { kernel: 0 }), /binaryConv2d: kernel should be an integer of at least 1, got 0/)
  throws(() => binaryConv2d(4, 4, { kernel: 3, stride: 1.5 }), /stride should be an integer of at least 1, got 1.5/)
  throws(() => binaryConv2d(4, 4, { kernel: 3, padding: -1 }), /padding should be an integer of at least 0, got -1/)
  throws(() => binaryConv2d(4, 4, { kernel: 3, groups: 3 }), /groups should be a divisor of 4 and 4 channels, got 3/)
  throws(() => binaryConv2d(0, 4, { kernel: 3 }), /in should be an integer of at least 1, got 0/)
  throws(() => binaryConv2d(4, 4, { kernel: 3, padValue: 2 as 1 }), /padValue should be one of 0, 1, got 2/)
  throws(() => scaledSign({ scale: 'row' as 'none' }), /scale .* got "row"/)
  throws(() => scaledSign({ gradient: 'ste' as 'clip' }), /gradient .* got "ste"/)
  throws(() => binaryConv2d(4, 4, { kernel: 3, input: 'sign' as never }), /input should be a function, got "sign"/)
  throws(() => binaryConv2d(4, 4, { kernel: 3, bias: true } as never), /no option bias; there are: kernel, /)
  throws(() => conv2d(4, 4, {} as never), /conv2d: kernel should be a number or \[height, width\], got undefined/)
  throws(() => conv2d(4, 4, { kernel: 3, bias: 1 as never }), /bias should be true or false, got 1/)
  throws(() => batchNorm2d(4, { eps: -1 }), /batchNorm2d: eps should be a number of at least 0, got -1/)
  throws(() => batchNorm1d(4, { momentum: 2 }), /batchNorm1d: momentum should be a number from 0 to 1, got 2/)
  throws(() => maxPool2d({ kernel: 2, ceil: true } as never), /maxPool2d: there is no option ceil/)
  throws(() => linear(2.5, 1), /inFeatures/)
  throws(() => sign('tanh' as never), /sign: gradient should be one of "identity", "clip", "approx", .*, got "tanh"/)
  throws(() => sign(3 as never), /sign: gradient should be a name or \{ gradient: \(x, g\) => … \}, got 3/)
  throws(() => scaledSign({ gradient: {} as never }), /scaledSign: gradient should be a name or/)
  throws(() => ternary({ threshold: 2 }), /ternary: threshold should be a number from 0 to 1, got 2/)
  throws(() => rsign(0), /rsign: channels should be an integer of at least 1, got 0/)
  throws(() => sign({ swish: { beta: -1 } }), /swish: beta should be a number above 0, got -1/)
  throws(() => sign({} as never), /sign: gradient should be a name or \{ gradient/)
  throws(() => libra({ steep: 1 } as never), /libra: there is no option steep; there are: start, end/)
  throws(() => recu({ start: 0.2 }), /recu: start should be a number of at least 0.5 and below 1/)
  throws(() => binaryLinear(4, 0), /binaryLinear: features should be an integer of at least 1, got 0/)
  throws(() => step('tanh' as never), /step: gradient/)
})
