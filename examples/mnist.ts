// Trains a network with 1-bit weights and activations on handwritten digits, checks it, saves it, and reads some digits with it.
import {
  adam,
  biRealResnet18,
  type FitResult,
  type FrozenNetwork,
  fit,
  frozen,
  image,
  importOnnx,
  isBinary,
  loadFrozen,
  mnist,
  Network,
  oneCycle,
  progress,
  rest,
} from 'binary-nets'

const { train, test } = await mnist()

// A residual network of half the width. All but its first, its last and its shortcuts' convolutions are binary.
const model = biRealResnet18({ classes: 10, width: 32 })
const input = image({ height: 28, width: 28, channels: 1, normalize: { mean: [0.1307], std: [0.3081] } })
const learning = adam({ lr: oneCycle(2e-2) })
// Gradients of 8 bits, rounded at random: as good, and in less time.
const recipe = { epochs: 2, batchSize: 256, gradients: 'fixed' } as const

const net = await Network.create(model, { input, seed: 1 })
console.log(`${net.summary()}\n`)

const start = performance.now()
const run = await fit(net, { train, optimizer: learning, onStep: progress(), ...recipe }).done
const seconds = Math.round((performance.now() - start) / 1000)

// Evaluation runs the program that ships: weights packed into bits, norms folded.
const trained = await net.evaluate(test)
console.log(`\n${percent(trained.top1)} of ${trained.samples} test digits are right, after ${seconds} s of training.\n`)

// What is loaded computes, bit for bit, what was saved.
const file = 'runs/digits.safetensors'
await net.save(file)
net.dispose()
const loaded = await Network.load(file)
const digits = [...test.take(3)]
const predictions = await loaded.predict(digits, { topK: 1 })
const labels = predictions.map(([best]) => (best ? `${best.label}, sure to ${percent(best.probability)}` : ''))
console.log(draw(digits.map((digit) => digit.image)))
console.log(`${labels.map((label) => label.padStart(20).padEnd(28)).join('')}\n`)
// What ships: weights of one bit packed, norms folded, as a model file of our own and as ONNX for other runtimes, each read back and tested.
const shipped = await loaded.freeze()
loaded.dispose()
const answers = await choices(shipped)
const copies = [
  ['packed', 'runs/digits.bnn', (path: string) => shipped.save(path), loadFrozen],
  ['ONNX, portable', 'runs/digits.onnx', (path: string) => shipped.exportOnnx(path), importOnnx],
  ['ONNX, compact', 'runs/digits-compact.onnx', exportCompact, importOnnx],
] as const
console.log('shipped as      file                            size   right    answers as before')
for (const [kind, path, write, read] of copies) {
  const bytes = await write(path)
  using copy = await read(path)
  const { top1 } = await copy.evaluate(test)
  const same = (await choices(copy)).filter((answer, digit) => answer === answers[digit]).length
  const cells = [kind.padEnd(14), path.padEnd(24), `${(bytes / 1000).toFixed(1)} kB`.padStart(10), percent(top1)]
  console.log([...cells, `${same.toLocaleString('en-US')} of ${test.length.toLocaleString('en-US')}`].join('  '))
}
shipped.dispose()

// What do the binary layers learn? A control keeps their weights as random as they began, and trains only the rest. Both are compared by the digits of
// the last epoch, as they were trained on: a blank background may lie at the threshold of a random code, and then takes one sign in this batch, the other
// in that; the statistics that a test uses are means of both, and fit neither.
console.log('\nControl: the same network, whose binary weights stay random.')
const control = await Network.create(model, { input, seed: 1 })
const optimizer = [[isBinary, frozen] as const, [rest, learning] as const]
const random = await fit(control, { train, optimizer, onStep: progress(), ...recipe }).done
console.log(
  `\nIn the last epoch, ${lastEpoch(random)} were right with random binary weights, ${lastEpoch(run)} with trained ones.`,
)
control.dispose()

/** The class that each test digit is taken for. */
async function choices(network: FrozenNetwork): Promise<number[]> {
  const predictions = await network.predict(test, { topK: 1 })
  return predictions.map(([best]) => best?.index ?? -1)
}

function lastEpoch({ epochs }: FitResult): string {
  return percent(epochs.at(-1)?.train.top1 ?? Number.NaN)
}

function exportCompact(path: string): Promise<number> {
  return shipped.exportOnnx(path, { form: 'compact' })
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`
}

/** Images of 28×28 side by side, two pixels a character. */
function draw(images: readonly Uint8Array[]): string {
  const isBright = (pixel = 0) => (pixel > 127 ? 1 : 0)
  const line = (pixels: Uint8Array, y: number) =>
    Array.from({ length: 28 }, (_, x) => {
      const [above, below] = [pixels[y * 28 + x], pixels[(y + 1) * 28 + x]]
      return ' ▄▀█'[2 * isBright(above) + isBright(below)]
    }).join('')
  return Array.from({ length: 14 }, (_, row) => images.map((it) => line(it, 2 * row)).join('')).join('\n')
}
