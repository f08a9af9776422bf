// Trains a network with 1-bit weights and activations on handwritten digits, checks it, saves it, and reads some digits with it.
import {
  adam,
  biRealResnet18,
  fit,
  frozen,
  image,
  isBinary,
  mnist,
  Network,
  type Optimizers,
  oneCycle,
  progress,
  rest,
} from 'binary-nets'

const { train, test } = await mnist()

// A residual network for small grey images. All but its first, its last and its shortcuts' convolutions are binary.
const model = biRealResnet18({ classes: 10, stem: 'small', width: 16 })
const input = image({ height: 28, width: 28, channels: 1, normalize: { mean: [0.1307], std: [0.3081] } })

async function trained(optimizer: Optimizers, epochs: number): Promise<Network> {
  const net = await Network.create(model, { input, seed: 1 })
  await fit(net, { train, epochs, optimizer, onStep: progress() }).done
  return net
}

async function report(title: string, net: Network): Promise<void> {
  const { top1, samples } = await net.evaluate(test)
  console.log(`${title}: ${(100 * top1).toFixed(2)} % of ${samples.toLocaleString('en-US')} test digits are right.\n`)
}

const net = await trained(adam({ lr: oneCycle(5e-3) }), 2)
console.log(`\n${net.summary()}\n`)
await report('Binary weights, trained', net)

// What is loaded computes, bit for bit, what was saved.
const file = 'runs/digits.safetensors'
await net.save(file)
net.dispose()
const loaded = await Network.load(file)

const digits = [...test.take(5)]
const predictions = await loaded.predict(digits, { topK: 1 })
console.log(draw(digits.map((digit) => digit.image)))
console.log(
  predictions
    .map(([best]) => `${best?.label} (${(100 * (best?.probability ?? 0)).toFixed(1)} %)`.padStart(18).padEnd(28))
    .join(''),
)
loaded.dispose()

// The control: the same network, whose binary weights stay as random as they began. What it lacks is what they have learned.
console.log('\nThe control: the binary weights are random and frozen.')
const control = [
  [isBinary, frozen],
  [rest, adam({ lr: oneCycle(5e-3) })],
] as const
const random = await trained(control, 2)
await report('Binary weights, random', random)
random.dispose()

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
