// The command line, as it is typed.
import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { adam, fit } from 'binary-nets'
import { png } from './png.js'
import { CLASSES, create, dataset, SIZE } from './shapes.js'

const folder = await mkdtemp(join(tmpdir(), 'bnets-cli-'))
const path = (...names: string[]) => join(folder, ...names)

const exec = promisify(execFile)
const bin = join(process.cwd(), 'packages/binary-nets/bin/binary-nets.js')
const run = async (...args: string[]) => (await exec(process.execPath, [bin, ...args], { cwd: folder })).stdout

/** How a command line fails: its exit code and what it says. */
async function failure(...args: string[]): Promise<{ readonly code: number; readonly stderr: string }> {
  try {
    return { code: 0, stderr: await run(...args) }
  } catch (error) {
    return error as { code: number; stderr: string }
  }
}

const data = dataset(200)
const test0 = dataset(24, 5)
test.before(async () => {
  using net = await create()
  const optimizer = adam({ lr: 1e-2 })
  await fit(net, { train: data, validation: data, epochs: 4, batchSize: 16, optimizer, checkpoints: path('run') }).done
  for (const [index, { image, label }] of [...test0].entries()) {
    const name = CLASSES[label] ?? ''
    await mkdir(path('shapes', name), { recursive: true })
    await writeFile(path('shapes', name, `${index}.png`), png(image, SIZE, SIZE))
  }
  await run('freeze', 'run', '-o', 'model.bnn')
})

test('freeze makes a model of a folder of checkpoints, or of one', async (t) => {
  const said = await run('freeze', 'run/', '-o', 'again.bnn')
  t.regex(said, /layer1\.conv +binary_conv2d · affine/)
  t.regex(said, /best\.safetensors → again\.bnn, \d+\.\d kB/)
  t.deepEqual(await readFile(path('again.bnn')), await readFile(path('model.bnn')))
  await run('freeze', 'run/last.safetensors', '-o', 'last.bnn', '--floats', 'int8', '--resize', '9')
  t.regex(await run('inspect', 'last.bnn'), /other sizes +shorter side 9, then cropped/)
  const ends = await run('freeze', 'run', '-o', 'ends.bnn', '--ends', 'int8', '--calibration', 'shapes')
  t.regex(ends, /image_conv2d \(int8\) · affine/)
  t.regex(await run('freeze', 'run', '-o', 'f16.bnn', '--floats', 'f16', '--validation', 'shapes'), /top-1 \d+\.\d\d %/)
})

test('inspect shows a tree of layers with sizes and what is packed', async (t) => {
  const said = await run('inspect', 'model.bnn')
  t.regex(said, /model +model\.bnn, \d+\.\d kB/)
  t.regex(said, /input +8×8×1, uint8/)
  t.regex(said, /classes +4: top left, top right, bottom left, bottom right/)
  t.regex(said, /normalised +mean 0\.4000; deviation 0\.2500/)
  t.regex(said, /training .*steps \d+/)
  t.regex(said, /└─ bits +16×2×2×16 +1 bit +\d+ B/)
  t.true(said.split('\n').every((line) => line.length <= 120))
  const facts = JSON.parse(await run('inspect', 'model.bnn', '--json'))
  t.is(facts.bytes, (await stat(path('model.bnn'))).size)
  t.deepEqual(facts.input, { height: 8, width: 8, channels: 1 })
})

test('predict tells what images show', async (t) => {
  const images = [...test0].flatMap(({ label }, index) => (index < 2 ? [`shapes/${CLASSES[label]}/${index}.png`] : []))
  const said = await run('predict', 'model.bnn', ...images, '--top', '2')
  t.is(said.trim().split('\n').length, 2 + 2 * 2)
  t.regex(said, /\d+\.\d\d % {2}█+/)
  const answers = JSON.parse(await run('predict', 'model.bnn', ...images, '--json'))
  t.deepEqual(
    answers.map(({ image }: { image: string }) => image),
    images,
  )
  t.is(answers[0].predictions.length, 3)
  t.true(CLASSES.includes(answers[0].predictions[0].label))
})

test('eval counts what is right', async (t) => {
  const said = await run('eval', 'model.bnn', 'shapes')
  t.regex(said, /24 images: \d+\.\d\d % right, 100\.00 % among the first five\./)
  t.regex(said, /recall/)
  const { samples, top1 } = JSON.parse(await run('eval', 'model.bnn', 'shapes', '--json'))
  t.is(samples, 24)
  t.true(top1 > 0.5)
})

test('export and import', async (t) => {
  t.regex(await run('export', 'model.bnn', '-o', 'model.onnx'), /model\.bnn → model\.onnx, \d+\.\d kB, portable/)
  t.regex(await run('export', 'model.bnn', '-o', 'compact.onnx', '--form', 'compact'), /compact/)
  t.regex(await run('import', 'model.onnx', '-o', 'back.bnn'), /model\.onnx → back\.bnn/)
  const right = async (model: string) => JSON.parse(await run('eval', model, 'shapes', '--json')).top1
  t.is(await right('back.bnn'), await right('model.bnn'))
})

test('profile tells where the time goes', async (t) => {
  const narrow = await run('profile', 'model.bnn', '--threads', '1', '--repeats', '5')
  t.regex(narrow, /^model\.bnn: an image of 8×8×1, each layer the best of 5, on \w+, 1 thread$/m)
  t.regex(narrow, /^layer1\.conv +\d+ +\d+\.\d{3} +\d+\.\d % +\d+(\.\d)? +\d+ % +\d+/m)
  t.regex(narrow, /^all +\d+\.\d{3} +100\.0 %/m)
  t.regex(narrow, /^binary convolutions +\d+\.\d{3}/m)
  t.regex(narrow, /^ *\d+ {2}binary_conv2d · affine.* → .*, binary_conv2d_/m)
  t.regex(narrow, /Binary multiply-adds need \d+\.\d % of the time/)
  t.true(narrow.split('\n').every((line) => line.length <= 80))
  const file = `shapes/${CLASSES[test0.at(0).label]}/0.png`
  const { layers, threads, isa } = JSON.parse(
    await run('profile', 'model.bnn', '--image', file, '--threads', '2', '--isa', 'scalar', '--repeats', '2', '--json'),
  )
  t.deepEqual([threads, isa], [2, 'scalar'])
  t.true(layers.some(({ kernel }: { kernel: string }) => kernel.startsWith('binary_conv2d_2x2_scalar')))
})

test('the page of a profile needs nothing else, and is whole or not there', async (t) => {
  await run('profile', 'model.bnn', '--repeats', '2', '--html', 'pages/model.html')
  const page = await readFile(path('pages', 'model.html'), 'utf8')
  t.regex(page, /^<!doctype html>\n<html lang="en">/)
  t.regex(page, /prefers-color-scheme: dark/)
  t.regex(page, /<td><i class="binary"><\/i>layer1\.conv<\/td>/)
  t.notRegex(page, /https?:|<script|<link|@import|url\(|NaN|undefined|Infinity/)
  t.deepEqual(await readdir(path('pages')), ['model.html'])
  const { code, stderr } = await failure('profile', 'model.bnn', '--repeats', '1', '--html', 'model.bnn/page.html')
  t.is(code, 1)
  t.regex(stderr, /BNETS_IO: model\.bnn\/page\.html/)
  await mkdir(path('pages', 'folder'))
  t.is((await failure('profile', 'model.bnn', '--repeats', '1', '--html', 'pages/folder')).code, 1)
  t.deepEqual(await readdir(path('pages')), ['folder', 'model.html'])
})

test('plan tells what training takes', async (t) => {
  const said = await run('plan', 'run/last.safetensors', '--batch', '16', '--optimizer', 'adam', '--memory', 'min')
  t.regex(said, /memory: min +batches of 16/)
  t.regex(said, /Kept for backward:/)
  t.regex(said, /At the peak, in \w+ of /)
  const named = [
    'plan',
    'binaryResnet18',
    '--stem',
    'small',
    '--size',
    '32',
    '--batch',
    '64',
    '--classes',
    '10',
    '--json',
  ]
  const [speed, min] = await Promise.all(
    ['speed', 'min'].map(async (memory) => JSON.parse(await run(...named, '--memory', memory))),
  )
  t.is(speed.batchSize, 64)
  t.true(min.workspaceBytes < speed.workspaceBytes / 2, `${min.workspaceBytes} of ${speed.workspaceBytes}`)
  const narrow = JSON.parse(await run(...named, '--memory', 'min', '--width', '16'))
  t.true(narrow.workspaceBytes < min.workspaceBytes / 2, `${narrow.workspaceBytes} of ${min.workspaceBytes}`)
  t.true(min.again.some(({ op }: { op: string }) => op === 'binary_conv2d'))
  const light = ['--gradients', 'fixed', '--slopes', 'int8']
  t.is(JSON.parse(await run('plan', 'run', ...light, '--isa', 'scalar', '--json')).batchSize, 16)
})

test('plan says what it cannot plan, and files may have names of one word', async (t) => {
  await copyFile(path('run', 'best.safetensors'), path('mine'))
  t.is(JSON.parse(await run('plan', 'mine', '--json')).memory, 'balanced')
  const fails = async (args: string[], message: string) => {
    const { code, stderr } = await failure('plan', ...args)
    t.is(code, 1)
    t.is(stderr, `BNETS_ARGUMENT: ${message}\n`)
  }
  const models =
    'biRealResnet18, binaryResnet18, groupNetResnet18, groupNetResnet34, parallelResnet18NoSqueeze, parallelResnet18WithFusionGate, parallelResnet18WithSqueeze, reactNetResnet18, reidBinaryResnet18, reidParallelResnet18NoSqueeze, reidParallelResnet18WithFusionGate, reidParallelResnet18WithFusionGateFc, reidParallelResnet18WithSqueeze, resnet18, resnet34, xnorResnet18'
  await fails(['nonsense'], `model should be a file or one of ${models}, got nonsense`)
  await fails(['run/none'], `model should be a file or one of ${models}, got run/none`)
  await fails(['resnet18', '--optimizer', 'none'], '--optimizer should be one of sgd, adam, got none')
  await fails(['run', '--classes', '5'], "plan: classes should be 4, as many as the network's, got 5")
  for (const option of ['stem', 'size', 'channels', 'width', 'parallel']) {
    await fails(['run', `--${option}`, '3'], `--${option} is for named models, and run is a file or folder`)
  }
  const small = ['resnet18', '--stem', 'small', '--size', '8']
  await fails([...small, '--memory', 'none'], 'plan: memory should be one of "speed", "balanced", "min", got "none"')
  await fails([...small, '--slopes', 'none'], 'plan: slopes should be one of "f32", "int8", got "none"')
  await fails([...small, '--gradients', 'none'], 'plan: gradients should be one of "f32", "fixed", got "none"')
  await fails(
    [...small, '--isa', 'mmx'],
    'Network.create: isa should be one of "scalar", "avx2", "avx512", "neon", got "mmx"',
  )
})

test('bench tells how fast a model predicts', async (t) => {
  const said = await run('bench', 'model.bnn', '--threads', '1,2', '--batch', '1,3', '--seconds', '0.02')
  t.regex(said, /^model\.bnn: \w+, opened in \d+\.\d ms, at most \d+\.\d\d MB of memory in this process$/m)
  t.regex(said, /^threads +images +best, ms +p50 +p90 +p99 +images\/s +calls$/m)
  t.regex(said, /^ +2 +1 +\d/m)
  t.regex(said, /Kernels: .*fused by binary_conv2d_/)
  const json = JSON.parse(
    await run('bench', 'model.bnn', '--batch', '1,3', '--threads', '1', '--seconds', '0.02', '--json'),
  )
  t.deepEqual(
    json.rows.map(({ threads, batch }: { threads: number; batch: number }) => [threads, batch]),
    [
      [1, 1],
      [1, 3],
    ],
  )
  for (const { best, p50, p90, p99, calls, imagesPerSecond } of json.rows) {
    t.true(0 < best && best <= p50 && p50 <= p90 && p90 <= p99)
    t.true(calls >= 1 && imagesPerSecond > 0)
  }
  t.true(json.loadMs > 0 && json.peakBytes > 1e6)
})

test('help, and what cannot be done', async (t) => {
  t.regex(await run('--help'), /inspect <model>/)
  t.is(await run('help'), await run('-h'))
  t.regex(await run('--version'), /^\d+\.\d+\.\d+$/m)
  t.regex(await run('freeze', '--help'), /--floats <kind>/)
  const fails = async (args: string[], code: number, message: RegExp) => {
    const { code: got, stderr } = await failure(...args)
    t.is(got, code, stderr)
    t.regex(stderr, message)
    t.notRegex(stderr, /node_modules|\bat .*\.js:\d+/, 'no stack')
  }
  await fails([], 2, /binary-nets predict <model> <image\.\.\.>/)
  await fails(['bake'], 2, /there is no command bake; there are: freeze/)
  await fails(['inspect'], 2, /inspect: <model> is missing/)
  await fails(['inspect', 'model.bnn', 'more'], 2, /more is one argument too many/)
  await fails(['inspect', 'model.bnn', '--color'], 2, /inspect: there is no option --color; there are: --/)
  await fails(['inspect', 'none.bnn'], 1, /BNETS_IO: .*none\.bnn/)
  await fails(['inspect', 'run/last.safetensors'], 1, /BNETS_FORMAT: .*last\.safetensors/)
  await fails(['predict', 'model.bnn', 'none.png'], 1, /BNETS_IO: .*none\.png/)
  await fails(['predict', 'model.bnn', 'model.bnn'], 1, /BNETS_FORMAT: .*model\.bnn/)
  await fails(['predict', 'model.bnn', 'a.png', '--top', 'all'], 1, /BNETS_ARGUMENT: .*--top/)
  await fails(['predict', 'model.bnn', 'a.png', '--top=-1'], 1, /BNETS_ARGUMENT: --top should be a whole number/)
  await fails(['predict', 'model.bnn', 'a.png', '--top', '-1'], 1, /BNETS_ARGUMENT: --top should be a whole number/)
  await fails(['predict', 'model.bnn', 'a.png', '--top', '--json'], 2, /predict: --top wants a value, <count>/)
  await fails(['predict', 'model.bnn', 'a.png', '--json=yes'], 2, /predict: --json takes no value/)
  await fails(['freeze', 'run', '-o'], 2, /freeze: -o wants a value, <file>/)
  await fails(['eval', 'model.bnn', 'nowhere'], 1, /BNETS_IO: .*nowhere/)
  await fails(['freeze', 'run', '--floats', 'f8'], 1, /BNETS_ARGUMENT: .*floats/)
  await fails(['freeze', 'run', '--ends', 'int8'], 2, /--ends int8 wants .*--calibration <folder>/)
  await fails(['freeze', 'shapes'], 1, /BNETS_IO: shapes holds no checkpoint/)
  await fails(['profile', 'none.bnn'], 1, /BNETS_IO: .*none\.bnn/)
  await fails(['profile', 'run/last.safetensors'], 1, /BNETS_FORMAT: .*last\.safetensors/)
  await fails(['profile', 'model.bnn', '--image', 'none.png'], 1, /BNETS_IO: .*none\.png/)
  await fails(['profile', 'model.bnn', '--repeats', '0'], 1, /BNETS_ARGUMENT: .*repeats/)
  await fails(['profile', 'model.bnn', '--threads', 'many'], 1, /BNETS_ARGUMENT: --threads should be a number/)
  await fails(['profile', 'model.bnn', '--isa', 'mmx'], 1, /BNETS_ARGUMENT: .*isa/)
  await fails(['bench', 'none.bnn'], 1, /BNETS_IO: .*none\.bnn/)
  await fails(['bench', 'run/last.safetensors'], 1, /BNETS_FORMAT: .*last\.safetensors/)
  await fails(['bench', 'model.bnn', '--batch', '1,0'], 1, /BNETS_ARGUMENT: --batch should be numbers from 1 on/)
  await fails(['bench', 'model.bnn', '--threads', '1,,2'], 1, /BNETS_ARGUMENT: --threads should be a number/)
  await fails(['bench', 'model.bnn', '--seconds', '0'], 1, /BNETS_ARGUMENT: --seconds should be above 0/)
  await fails(['export', 'model.bnn', '--form', 'tiny'], 1, /BNETS_ARGUMENT: .*form/)
  await fails(['export', 'model.bnn', '-o', './model.bnn'], 1, /BNETS_ARGUMENT: .*is read already/)
  await fails(['import', 'model.onnx', '--mean', '0.5'], 1, /BNETS_ARGUMENT: --mean and --std go together/)
})

test('values stay text, and outputs are named after inputs', async (t) => {
  t.regex(await run('freeze', 'run', '-o', '5.10'), /→ 5\.10, /)
  t.regex(await run('freeze', 'run/'), /→ run\.bnn, /)
  t.regex(await run('export', 'run.bnn'), /→ run\.onnx, /)
  await writeFile(path('-x.png'), png(test0.at(0).image, SIZE, SIZE))
  t.regex(await run('predict', 'model.bnn', '--top', '1', '--', '-x.png'), /^-x\.png/m)
})

test('images are resized for the validation as they will be', async (t) => {
  for (const [index, { image, label }] of [...test0].entries()) {
    // The image about the middle of one twice as wide, which is black elsewhere.
    const wide = Uint8Array.from({ length: SIZE * SIZE * 2 }, (_, i) => {
      const [y, x] = [Math.floor(i / (2 * SIZE)), (i % (2 * SIZE)) - SIZE / 2]
      return x < 0 || x >= SIZE ? 0 : (image[y * SIZE + x] ?? 0)
    })
    const name = CLASSES[label] ?? ''
    await mkdir(path('wide', name), { recursive: true })
    await writeFile(path('wide', name, `${index}.png`), png(wide, 2 * SIZE, SIZE))
  }
  const said = await run('freeze', 'run', '-o', 'wide.bnn', '--resize', String(SIZE), '--validation', 'wide')
  const { top1 } = JSON.parse(await run('eval', 'wide.bnn', 'wide', '--json'))
  t.is(top1, JSON.parse(await run('eval', 'model.bnn', 'shapes', '--json')).top1)
  t.true(said.includes(`top-1 ${(100 * top1).toFixed(2)} %`), said)
})
