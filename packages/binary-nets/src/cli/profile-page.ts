import { basename } from 'node:path'
import type { LayerTime } from '../index.js'
import { bytes } from '../table.js'
import { explain, ms, ofPeak, rate, secondsOf, share, sumsOf } from './layer-sums.js'

/** A profile as one page of HTML that needs nothing else: the parts of the time, a bar for each layer, a table. */
export function profilePage(model: string, about: string, layers: readonly LayerTime[]): string {
  const total = secondsOf(layers)
  const most = Math.max(...layers.map(({ seconds }) => seconds))
  const macs = layers.reduce((sum, layer) => sum + layer.macs, 0)
  const moved = layers.reduce((sum, layer) => sum + layer.bytes, 0)
  const sums = sumsOf(layers)
  const percent = (part: number) => `${(100 * part || 0).toFixed(3)}%`

  const tiles = [
    [`${ms(total)} ms`, 'an image'],
    [`${rate(macs, total) || 0} GMAC/s`, `${(macs / 1e9).toFixed(2)} billion multiply-adds`],
    [bytes(moved), 'read and written'],
    [`${layers.length}`, layers.length === 1 ? 'pass' : 'passes'],
  ].map(([number = '', words = '']) => `<div><b>${html(number)}</b><span>${html(words)}</span></div>`)

  const parts = sums.map(({ kind, name, seconds }) => {
    const title = `${name}: ${ms(seconds)} ms, ${share(seconds / total)}`
    return `<i class="${kind}" style="width:${percent(seconds / total)}" title="${html(title)}"></i>`
  })
  const legend = sums.map(({ kind, name, layers, seconds, atPeak }) => {
    const reached = ofPeak(atPeak, seconds)
    const words = layers.length > 1 ? `${layers.length} ${name}` : name
    const facts = `${ms(seconds)} ms${reached && ` · ${reached} of the peak`}`
    return `<li><i class="${kind}"></i><span>${html(words)}</span><b>${share(seconds / total)}</b><small>${html(facts)}</small></li>`
  })

  const bars = layers.map(({ path, kind, seconds, macs, peak }) => {
    const atPeak = peak === null || seconds === 0 ? 0 : Math.min(1, macs / peak / seconds)
    const title = `${path}: ${ms(seconds)} ms${atPeak > 0 ? `, ${ofPeak(macs / (peak ?? 0), seconds)} of the peak` : ''}`
    const fill = `<i class="${kind}" style="width:${percent(seconds / most)}"><i style="width:${percent(atPeak)}"></i></i>`
    return `<li title="${html(title)}"><span>${html(path)}</span><div>${fill}</div><b>${ms(seconds)}</b></li>`
  })

  const rows = layers.map(({ path, kind, op, fused, writes, kernel, seconds, macs, bytes: moved, peak }) => {
    const names = [path, [op, ...fused].join(' · '), writes, kernel].map(html)
    const [layer, pass, leaves, by] = names
    const reached = ofPeak(peak === null ? null : macs / peak, seconds)
    const numbers = [ms(seconds), share(seconds / total), rate(macs, seconds), reached, bytes(moved)]
    const cells = numbers.map((number) => `<td class="n">${number}</td>`).join('')
    const words = `<td>${pass} <small>→ ${leaves}</small></td><td><code>${by}</code></td>`
    return `<tr><td><i class="${kind}"></i>${layer}</td>${cells}${words}</tr>`
  })
  const head = ['layer', 'ms', 'share', 'GMAC/s', 'of peak', 'moved', 'one pass of', 'kernel'].map(
    (title, column) => `<th${column >= 1 && column <= 5 ? ' class="n"' : ''}>${title}</th>`,
  )

  const name = html(basename(model))
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${name}: where the time goes</title>
<style>${STYLE}</style>
<main>
<header><h1>${name}</h1><p>${html(about)}</p></header>
<section class="tiles">${tiles.join('')}</section>
<p class="lead">${html(explain(layers))}</p>
<section>
<div class="parts">${parts.join('')}</div>
<ul class="legend">${legend.join('')}</ul>
</section>
<section>
<h2>Layer by layer</h2>
<p>Time in ms, in the order in which they run. The strong part of a bar is what the multiply-adds would take at their kernel’s peak, which was measured on this machine in the same run.</p>
<ol class="bars">${bars.join('')}</ol>
</section>
<section>
<h2>In numbers</h2>
<div class="scroll"><table>
<thead><tr>${head.join('')}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table></div>
</section>
</main>
</html>
`
}

/** Text that stands for itself in HTML. */
function html(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

const STYLE = `
:root { color-scheme: light dark; --page: #fbfbfa; --card: #fff; --ink: #1b1f24; --soft: #5d6671; --line: #e4e6e8;
  --binary: #2563c9; --image: #b45f06; --float: #a3316f; --pool: #2c7a4b; --other: #6b7280 }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171b; --card: #1b1f25; --ink: #e7eaee; --soft: #98a2ad; --line: #2c323a;
    --binary: #6ea2f7; --image: #f0a35a; --float: #e583b8; --pool: #6cc391; --other: #9aa3ae }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums }
main { max-width: 80rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.2; overflow-wrap: anywhere }
h2 { margin: 0 0 .25rem; font-size: 1.1rem }
header p, section > p { margin: .25rem 0 1rem; color: var(--soft) }
section { margin-top: 2rem }
small { color: var(--soft); font-size: .85em }
.lead { margin: 2rem 0 0; max-width: 46rem; font-size: 1.15rem }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem }
.tiles div { padding: .9rem 1.1rem; background: var(--card); border: 1px solid var(--line); border-radius: .6rem }
.tiles b { display: block; font-size: 1.4rem; line-height: 1.3 }
.tiles span { color: var(--soft) }
.binary { --of: var(--binary) } .image { --of: var(--image) } .float { --of: var(--float) } .pool { --of: var(--pool) } .other { --of: var(--other) }
.parts { display: flex; gap: 2px; height: 1.75rem; border-radius: .5rem; overflow: hidden }
.parts i { background: var(--of); min-width: 2px }
.legend { display: grid; grid-template-columns: repeat(auto-fit, minmax(16rem, 1fr)); gap: .75rem 2rem; align-items: start; margin: 1rem 0 0; padding: 0; list-style: none }
.legend li { display: grid; grid-template-columns: auto 1fr auto; gap: 0 .55rem; align-items: center }
.legend small { grid-column: 2 / -1 }
.legend i, td i { display: inline-block; width: .7rem; height: .7rem; border-radius: .2rem; background: var(--of) }
.bars { margin: 0; padding: 0; list-style: none }
.bars li { display: grid; grid-template-columns: minmax(8.5rem, 24%) 1fr 3.5rem; gap: .75rem; align-items: center; padding: .12rem .3rem; border-radius: .3rem }
.bars li:hover { background: var(--line) }
.bars span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.bars div { display: flex }
.bars div > i { display: block; height: 1.05rem; min-width: 2px; border-radius: .2rem; overflow: hidden; background: color-mix(in srgb, var(--of) 38%, transparent) }
.bars div > i > i { display: block; height: 100%; background: var(--of) }
.bars b { text-align: right; font-weight: 500 }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .6rem }
table { width: 100%; border-collapse: collapse; font-size: .9rem }
th, td { padding: .4rem .75rem; text-align: left; white-space: nowrap; border-top: 1px solid var(--line) }
thead th { border-top: 0; color: var(--soft); font-weight: 500 }
tbody tr:hover { background: var(--page) }
td i { margin-right: .5rem }
.n { text-align: right }
code { font: .92em ui-monospace, monospace }
@media print { body { background: none } .scroll { overflow: visible } }
`
