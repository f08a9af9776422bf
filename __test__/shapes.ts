// A task that a small binary network learns in seconds: which quarter of an 8×8 image is bright.
import {
  batchNorm2d,
  binaryConv2d,
  block,
  conv2d,
  type Dataset,
  fromArrays,
  globalAvgPool,
  image,
  linear,
  type Model,
  Network,
  type Sym,
  scaledSign,
  sign,
} from 'binary-nets'

export const SIZE = 8
export const CLASSES = ['top left', 'top right', 'bottom left', 'bottom right']

/** Numbers in [0, 1) that a seed determines (Weyl sequence and a mixer; only the spread matters here). */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32
  }
}

/** Images `[count, 8, 8, 1]` and labels. */
export function shapes(count: number, seed: number): { images: Uint8Array; labels: Uint32Array } {
  const next = random(seed)
  const labels = Uint32Array.from({ length: count }, () => Math.floor(4 * next()))
  const images = Uint8Array.from({ length: count * SIZE * SIZE }, (_, index) => {
    const [pixel, label] = [index % (SIZE * SIZE), labels[Math.floor(index / (SIZE * SIZE))] ?? 0]
    const quarter = 2 * Math.floor(pixel / SIZE / 4) + Math.floor((pixel % SIZE) / 4)
    return Math.floor(128 * next()) + (quarter === label ? 127 : 0)
  })
  return { images, labels }
}

export function dataset(count: number, seed = 1): Dataset {
  return fromArrays({ ...shapes(count, seed), height: SIZE, width: SIZE, channels: 1, classes: CLASSES })
}

export const input = image({ height: SIZE, width: SIZE, channels: 1, normalize: { mean: [0.4], std: [0.25] } })

/** conv, norm, then a binary conv and norm around which a shortcut leads; then what a quarter each sees. */
export const model: Model<{ readonly logits: Sym; readonly features: Sym }> = block(
  {
    conv1: conv2d(1, 16, { kernel: 4, stride: 4 }),
    bn1: batchNorm2d(16),
    layer1: block(
      {
        conv: binaryConv2d(16, 16, { kernel: 2, input: sign('approx'), weight: scaledSign({ scale: 'channel' }) }),
        bn: batchNorm2d(16),
        pool: globalAvgPool,
      },
      ({ conv, bn, pool }, x) => pool(bn(conv(x))),
    ),
    fc: linear(16, 4),
  },
  ({ conv1, bn1, layer1, fc }, x) => {
    const features = x.pipe(conv1, bn1, layer1)
    return { logits: fc(features), features }
  },
)

export type Outputs = { readonly logits: Sym; readonly features: Sym }

export function create(seed = 1, threads = 1): Promise<Network<Outputs>> {
  return Network.create(model, { input, seed, threads })
}

/** All tensors of a network, to be compared bit by bit. */
export function weights<O extends Outputs>(network: Network<O>): Record<string, readonly number[]> {
  const entries = Object.entries(network.stateDict()).map(([path, { data }]) => [
    path,
    [...new Uint32Array(data.buffer)],
  ])
  return Object.fromEntries(entries)
}
