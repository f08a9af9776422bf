// A small network of the raw binding, its loss and its data.
import { NativeDataset, NativeLoader, NativeNetwork } from '@binary-nets/native'

export const SIDE = 8
export const CLASSES = 4
export const BATCH = 4

/** A chain of convolutions with norms, then a linear layer: the spec as TypeScript records it. */
export function model({ side = SIDE, width = 4, depth = 2 } = {}) {
  const nodes: { op: object; inputs?: number[][]; path?: string }[] = []
  const add = (op: object, inputs: number[] = [], path = '') =>
    nodes.push({ op, inputs: inputs.map((node) => [node, 0]), path }) - 1
  const state = (path: string, shape: number[], kind = 'parameter', init: unknown = 'kaiming_normal') =>
    add({ state: { path, shape, kind, init } })
  const window = { kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1] }
  let x = add({ input: { name: 'image', shape: [side, side, 1], meaning: { int: { min: 0, max: 255 } } } })
  x = add({ normalize_image: { mean: [0.5], std: [0.25] } }, [x], 'image')
  for (let i = 0; i < depth; i++) {
    const weight = state(`conv${i}.weight`, [width, i === 0 ? 1 : width, 3, 3])
    x = add({ conv2d: { window, groups: 1 } }, [x, weight], `conv${i}`)
    const norm = [
      state(`bn${i}.weight`, [width], 'parameter', { constant: 1 }),
      state(`bn${i}.bias`, [width], 'parameter', { constant: 0 }),
      state(`bn${i}.running_mean`, [width], 'statistic', { constant: 0 }),
      state(`bn${i}.running_var`, [width], 'statistic', { constant: 1 }),
    ]
    x = add({ batch_norm: { eps: 1e-5, momentum: 0.1 } }, [x, ...norm], `bn${i}`)
    x = add({ relu: {} }, [x], `relu${i}`)
  }
  x = add({ reduce: { reduction: 'mean', axes: [1, 2], keep: false } }, [x], 'pool')
  x = add({ matmul: { transpose_a: false, transpose_b: true } }, [x, state('fc.weight', [CLASSES, width])], 'fc')
  return { version: 1, nodes, outputs: { logits: [x, 0] }, layers: {} }
}

export const objective = JSON.stringify({
  version: 1,
  nodes: [
    { op: { input: { name: 'logits', shape: [], meaning: 'f32' } } },
    { op: { input: { name: 'label', shape: [], meaning: { index: { classes: CLASSES } } } } },
    {
      op: { softmax_cross_entropy: { label_smoothing: 0 } },
      inputs: [
        [0, 0],
        [1, 0],
      ],
      path: 'loss',
    },
    {
      op: { count_correct: { k: 1 } },
      inputs: [
        [0, 0],
        [1, 0],
      ],
      path: 'correct',
    },
  ],
  outputs: { loss: [2, 0], correct: [3, 0] },
})
export const sgd = { momentum: 0, nesterov: false, weight_decay: 0, clamp: null }
export const updates = JSON.stringify([{ path: 'fc.weight', rule: { sgd }, lr: 'lr' }])
export const spec = JSON.stringify(model())

export const dataset = (count = 16) =>
  NativeDataset.fromArrays(
    Uint8Array.from({ length: count * SIDE * SIDE }, (_, i) => (i * 37) % 251),
    Uint32Array.from({ length: count }, (_, i) => i % CLASSES),
    SIDE,
    SIDE,
    1,
    ['a', 'b', 'c', 'd'],
  )
export const loader = (data = dataset()) =>
  new NativeLoader(data, { batchSize: BATCH, sampler: '"sequential"', seed: 1, dropLast: true })

/** Every batch makes an update. */
export const once = JSON.stringify({ accumulate: 1, clip_norm: null, average: null })

export async function create(json = spec, threads = 1) {
  const net = await NativeNetwork.create(json, { seed: 1, threads })
  await net.compileTraining(objective, updates, BATCH, once)
  return net
}

/** Scalars of a step. */
export const lr = { lr: 0.1 }
