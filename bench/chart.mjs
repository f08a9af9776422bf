// `node bench/chart.mjs` draws the latest record of `npm run bench:inference` as docs/inference.svg: a bar for each network and peer.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

process.chdir(join(import.meta.dirname, '..'))

const record = readdirSync('bench/record')
  .filter((name) => name.endsWith('-bench-inference.md'))
  .sort()
  .at(-1)
const lines = readFileSync(join('bench/record', record), 'utf8').split('\n')
const machine = lines[3]
const rows = lines
  .map((line) => /^(\S.*?) {2,}([\d.]+)(?: |$)/.exec(line))
  .filter((match) => match !== null)
  .map(([, name, ms]) => ({ name, ms: Number(ms), ours: /Resnet18/.test(name) }))
  .sort((a, b) => a.ms - b.ms)

const [left, width, bar, gap, top] = [340, 520, 22, 8, 74]
const longest = Math.max(...rows.map(({ ms }) => ms))
const height = top + rows.length * (bar + gap) + 16
const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
const bars = rows.map(({ name, ms, ours }, i) => {
  const y = top + i * (bar + gap)
  const length = Math.max(2, (ms / longest) * width)
  return `  <text class="name${ours ? ' ours' : ''}" x="${left - 12}" y="${y + 16}">${escaped(name)}</text>
  <rect class="${ours ? 'ours' : 'peer'}" x="${left}" y="${y}" width="${length.toFixed(1)}" height="${bar}" rx="4"/>
  <text class="ms" x="${(left + length + 8).toFixed(1)}" y="${y + 16}">${ms.toFixed(2)}</text>`
})
const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${left + width + 80} ${height}" role="img" aria-labelledby="title">
  <title id="title">Milliseconds for an image of 224×224, by network and runtime</title>
  <style>
    text { font: 14px system-ui, sans-serif; fill: #24292f }
    .head { font-size: 18px; font-weight: 600 }
    .soft, .ms { fill: #57606a }
    .soft { font-size: 12px }
    .name { text-anchor: end }
    .name.ours { font-weight: 600 }
    rect.ours { fill: #2da44e }
    rect.peer { fill: #8c959f }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .soft, .ms { fill: #9198a1 }
      rect.ours { fill: #3fb950 }
      rect.peer { fill: #656c76 }
    }
  </style>
  <text class="head" x="16" y="28">One image of 224×224, milliseconds: less is better</text>
  <text class="soft" x="16" y="50">${escaped(machine)}; one core where not said otherwise</text>
${bars.join('\n')}
</svg>
`
writeFileSync('docs/inference.svg', svg)
console.log('Written to docs/inference.svg')
