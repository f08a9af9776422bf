import { bar } from '../bar.js'
import type { LayerTime } from '../index.js'
import { bytes, GAP, table } from '../table.js'
import { explain, ms, ofPeak, passOf, rate, secondsOf, share, sumsOf } from './layer-sums.js'
import { wrapped } from './terminal.js'

const HEAD = ['layer', 'pass', 'ms', 'share', 'GMAC/s', 'of peak', 'moved', '']
const ALIGN = '<>>>>>><'

/** A profile as text, in lines of at most `width` columns where that can be: a bar for each layer, the sums of each kind, the passes, and why it takes as long as it does. */
export function profileText(layers: readonly LayerTime[], width: number): string {
  const total = secondsOf(layers)
  const passes = [...new Set(layers.map(passOf))]
  const sums = sumsOf(layers)

  const rows = layers.map((layer) => {
    const { path, seconds, macs, bytes: moved, peak } = layer
    const numbers = [ms(seconds), share(seconds / total), rate(macs, seconds)]
    const reached = ofPeak(peak === null ? null : macs / peak, seconds)
    return { seconds, row: [path, `${passes.indexOf(passOf(layer)) + 1}`, ...numbers, reached, bytes(moved)] }
  })
  const byKind = sums.flatMap((sum) => {
    const { kind, name, seconds, macs, bytes: moved, atPeak } = sum
    const numbers = [ms(seconds), share(seconds / total), rate(macs, seconds), ofPeak(atPeak, seconds), bytes(moved)]
    const whole = { seconds, row: [name, '', ...numbers] }
    if (kind !== 'binary' || atPeak === null) return [whole]
    const split = (name: string, seconds: number) => {
      return { seconds, row: [name, '', ms(seconds), share(seconds / total), '', '', ''] }
    }
    return [whole, split('├─ at the peak', atPeak), split('└─ around it', seconds - atPeak)]
  })
  const macs = sums.reduce((sum, { macs }) => sum + macs, 0)
  const moved = sums.reduce((sum, { bytes }) => sum + bytes, 0)
  const all = ['all', '', ms(total), share(1), rate(macs, total), '', bytes(moved)]

  // Bars take what the columns leave.
  const everything = [HEAD, all, ...[...rows, ...byKind].map(({ row }) => row)]
  const taken = HEAD.slice(0, -1).map((_, column) => Math.max(...everything.map((row) => row[column]?.length ?? 0)))
  const room = width - taken.reduce((sum, column) => sum + column + GAP.length, 0)
  const length = Math.max(0, Math.min(room, 40))
  const drawn = (rows: readonly { seconds: number; row: string[] }[]) => {
    const most = Math.max(...rows.map(({ seconds }) => seconds)) || 1
    return rows.map(({ seconds, row }) => [...row, bar(seconds / most, length)])
  }

  const text = table(HEAD, [...drawn(rows), all, ...drawn(byKind)], ALIGN).split('\n')
  const rule = text[1] ?? ''
  const sum = 2 + rows.length
  const indent = ' '.repeat(String(passes.length).length + GAP.length)
  return [
    ...text.slice(0, sum),
    rule,
    ...text.slice(sum, sum + 1),
    rule,
    ...text.slice(sum + 1),
    '',
    'passes',
    ...passes.map((pass, index) => {
      return wrapped(`${String(index + 1).padStart(indent.length - GAP.length)}${GAP}${pass}`, width, indent)
    }),
    '',
    wrapped(explain(layers), width),
  ].join('\n')
}
