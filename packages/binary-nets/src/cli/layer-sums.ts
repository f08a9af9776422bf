import type { LayerKind, LayerTime } from '../index.js'

/** What a kind of layers takes together. */
export interface KindSum {
  readonly kind: LayerKind
  readonly name: string
  readonly layers: readonly LayerTime[]
  readonly seconds: number
  readonly macs: number
  readonly bytes: number
  /** The seconds that the multiply-adds would take at the peak of their kernels; null where a peak is not known. */
  readonly atPeak: number | null
}

const NAMES: Readonly<Record<LayerKind, string>> = {
  binary: 'binary convolutions',
  image: 'image convolution',
  float: 'float products',
  pool: 'pools',
  other: 'others',
}

/** The sums of the kinds that there are, those of all layers together. */
export function sumsOf(layers: readonly LayerTime[]): KindSum[] {
  const kinds = Object.entries(NAMES) as [LayerKind, string][]
  return kinds
    .map(([kind, name]) =>
      sumOf(
        kind,
        name,
        layers.filter((layer) => layer.kind === kind),
      ),
    )
    .filter((sum) => sum.layers.length > 0)
}

function sumOf(kind: LayerKind, name: string, layers: readonly LayerTime[]): KindSum {
  const total = (of: (layer: LayerTime) => number) => layers.reduce((sum, layer) => sum + of(layer), 0)
  const atPeak = total(({ macs, peak }) => macs / (peak ?? 0))
  return {
    ...{ kind, name, layers, seconds: total(({ seconds }) => seconds), macs: total(({ macs }) => macs) },
    bytes: total(({ bytes }) => bytes),
    atPeak: Number.isFinite(atPeak) ? atPeak : null,
  }
}

/** The seconds of all layers. */
export function secondsOf(layers: readonly LayerTime[]): number {
  return layers.reduce((sum, { seconds }) => sum + seconds, 0)
}

/** Why a network of bits is not faster yet: how little its bits need, and what most of the rest is. */
export function explain(layers: readonly LayerTime[]): string {
  const [total, sums] = [secondsOf(layers), sumsOf(layers)]
  const part = (seconds: number) => share(seconds / total)
  const most = ({ layers }: KindSum) => {
    const [first] = layers.toSorted((a, b) => b.seconds - a.seconds)
    return first === undefined || layers.length === 1 ? '' : `, most of all ${first.path} (${part(first.seconds)})`
  }
  const binary = sums.find(({ kind }) => kind === 'binary')
  const rest = sums
    .filter(({ kind }) => kind !== 'binary')
    .map((sum) => ({ seconds: sum.seconds, words: `${WORDS[sum.kind]}, ${part(sum.seconds)}${most(sum)}` }))
  const start =
    binary === undefined
      ? 'No layer is a convolution of bits.'
      : binary.atPeak === null
        ? `Convolutions of bits take ${part(binary.seconds)} of the time.`
        : `Binary multiply-adds need ${part(binary.atPeak)} of the time at the peak of their kernels.`
  if (binary?.atPeak != null) {
    const seconds = binary.seconds - binary.atPeak
    const floats = binary.layers.filter(({ writes }) => writes.includes('map')).length
    const ends = floats === 0 ? 'no layer writes' : `${floats} of ${binary.layers.length} layers write`
    const words = `what surrounds them, ${part(seconds)}: bits are gathered and outputs finished, which ${ends} as floats`
    rest.push({ seconds, words })
  }
  const [largest] = rest.toSorted((a, b) => b.seconds - a.seconds)
  return largest === undefined ? start : `${start} Most of the rest is ${largest.words}.`
}

const WORDS: Readonly<Record<LayerKind, string>> = {
  binary: 'convolutions of bits',
  image: 'the convolution of the image, whose pixels and weights are no bits',
  float: 'products of floats',
  pool: 'pools',
  other: 'what no convolution could take in',
}

/** `0.1234` as `12.3 %`. */
export function share(part: number): string {
  return `${(100 * part).toFixed(1)} %`
}

/** Multiply-adds a second, in GMAC/s; empty where there are none. */
export function rate(macs: number, seconds: number): string {
  const rate = macs / seconds / 1e9
  return macs === 0 || seconds === 0 ? '' : rate.toFixed(rate < 9.95 ? 1 : 0)
}

/** The part of the peak that layers reach. */
export function ofPeak(atPeak: number | null, seconds: number): string {
  return atPeak === null || atPeak === 0 || seconds === 0 ? '' : `${Math.round((100 * atPeak) / seconds)} %`
}

/** Layers that run alike, in one line: `binary_conv2d · affine · sign → codes, binary_conv2d_7x8_avx512`. */
export function passOf({ op, fused, writes, kernel }: LayerTime): string {
  return `${[op, ...fused].join(' · ')} → ${writes}, ${kernel}`
}

/** Seconds as ms. */
export function ms(seconds: number): string {
  return (1e3 * seconds).toFixed(3)
}
