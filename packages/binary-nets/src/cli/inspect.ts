import { statSync } from 'node:fs'
import { type FrozenNetwork, type FrozenTensor, loadFrozen } from '../index.js'
import { bytes, table } from '../table.js'

/** `binary-nets inspect <model>` */
export async function inspect(model: string, { json }: { readonly json?: boolean }): Promise<void> {
  using frozen = await loadFrozen(model, { threads: 1 })
  const size = statSync(model).size
  if (json) {
    const { input, outputs, classes, normalize, resize, training, tensors, report } = frozen
    const all = { bytes: size, input, outputs, classes, normalize, resize, training, tensors, passes: report.rows }
    console.log(JSON.stringify(all, null, 2))
    return
  }
  console.log([about(model, size, frozen), layers(frozen.tensors), String(frozen.report)].join('\n\n'))
}

function about(model: string, size: number, frozen: FrozenNetwork): string {
  const { height, width, channels } = frozen.input
  const { classes, normalize, resize, training, outputs } = frozen
  const list = (values: readonly number[]) => values.map((value) => value.toPrecision(4)).join(', ')
  const facts: [string, string][] = [
    ['model', `${model}, ${bytes(size)}`],
    ['input', `${height}×${width}×${channels}, uint8`],
    ['outputs', outputs.join(', ')],
    ['classes', classes === null ? 'not named' : `${classes.length}: ${shortened(classes)}`],
    ['normalised', normalize === null ? 'no' : `mean ${list(normalize.mean)}; deviation ${list(normalize.std)}`],
    ['other sizes', resize === 'stretch' ? 'are stretched' : `shorter side ${resize.shorter}, then cropped`],
    ...(training === null ? [] : [['training', words(training)] as [string, string]]),
  ]
  const width0 = Math.max(...facts.map(([name]) => name.length))
  return facts.map(([name, fact]) => `${name.padEnd(width0)}  ${fact}`).join('\n')
}

function shortened(names: readonly string[]): string {
  const most = 10
  return names.slice(0, most).join(', ') + (names.length > most ? ', …' : '')
}

function words(facts: Readonly<Record<string, unknown>>): string {
  const word = (value: unknown) => (typeof value === 'object' ? JSON.stringify(value) : String(value))
  return Object.entries(facts)
    .map(([name, value]) => `${name} ${word(value)}`)
    .join(', ')
}

interface Layer {
  readonly children: Map<string, Layer>
  readonly tensors: FrozenTensor[]
}

/** The tree of layers: what each holds, how it is stored, and its size. */
function layers(tensors: readonly FrozenTensor[]): string {
  const root: Layer = { children: new Map(), tensors: [] }
  for (const tensor of tensors) {
    const steps = tensor.path.split('.')
    let layer = root
    for (const step of steps.slice(0, -1)) {
      const child = layer.children.get(step) ?? { children: new Map(), tensors: [] }
      layer.children.set(step, child)
      layer = child
    }
    layer.tensors.push(tensor)
  }
  const total = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0)
  const packed = tensors.filter(({ storage }) => storage === 'bits').reduce((sum, tensor) => sum + tensor.bytes, 0)
  const rows = [...branches(root, ''), ['all tensors', '', '', bytes(total)], ['of them bits', '', '', bytes(packed)]]
  return table(['layer', 'shape', 'stored as', 'size'], rows, { left: 3 })
}

function* branches(layer: Layer, indent: string): Generator<string[]> {
  const entries = [
    ...layer.tensors.map((tensor) => [tensor.path.split('.').at(-1) ?? '', tensor] as const),
    ...layer.children,
  ]
  for (const [place, [name, entry]] of entries.entries()) {
    const isLast = place === entries.length - 1
    const title = `${indent}${isLast ? '└─' : '├─'} ${name}`
    if ('storage' in entry) {
      yield [title, entry.shape.join('×'), entry.storage === 'bits' ? '1 bit' : entry.storage, bytes(entry.bytes)]
    } else {
      yield [title, '', '', bytes(weight(entry))]
      yield* branches(entry, `${indent}${isLast ? '   ' : '│  '}`)
    }
  }
}

function weight(layer: Layer): number {
  const own = layer.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0)
  return [...layer.children.values()].reduce((sum, child) => sum + weight(child), own)
}
