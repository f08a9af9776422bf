// `node bench/chart.mjs` draws the latest record of `npm run bench:inference` with AVX-512 as docs/inference.svg: a bar for each network and peer.
import { join } from 'node:path'
import { escaped, latestRecord, writeChart } from './svg.mjs'

process.chdir(join(import.meta.dirname, '..'))

const { lines, machine } = latestRecord('bench:inference')
const rows = lines
  .map((line) => /^(\S.*?) {2,}([\d.]+)(?: |$)/.exec(line))
  .filter((match) => match !== null)
  .map(([, name, ms]) => ({ name, ms: Number(ms), ours: /Resnet18/.test(name) }))
  .sort((a, b) => a.ms - b.ms)

const [left, width, bar, gap, top] = [340, 520, 22, 8, 74]
const longest = Math.max(...rows.map(({ ms }) => ms))
const height = top + rows.length * (bar + gap) + 16
const bars = rows.map(({ name, ms, ours }, i) => {
  const y = top + i * (bar + gap)
  const length = Math.max(2, (ms / longest) * width)
  return `  <text class="name${ours ? ' ours' : ''}" x="${left - 12}" y="${y + 16}">${escaped(name)}</text>
  <rect class="${ours ? 'ours' : 'peer'}" x="${left}" y="${y}" width="${length.toFixed(1)}" height="${bar}" rx="4"/>
  <text class="ms" x="${(left + length + 8).toFixed(1)}" y="${y + 16}">${ms.toFixed(2)}</text>`
})
writeChart('docs/inference.svg', {
  width: left + width + 80,
  height,
  title: 'Milliseconds for an image of 224×224, by network and runtime',
  rules: ['.name { text-anchor: end }', '.name.ours { font-weight: 600 }'],
  coloured: ({ soft, ours, others }) => [
    `.ms { fill: ${soft} }`,
    `rect.ours { fill: ${ours} }`,
    `rect.peer { fill: ${others} }`,
  ],
  body: [
    '  <text class="head" x="16" y="28">One image of 224×224, milliseconds: less is better</text>',
    `  <text class="soft" x="16" y="50">${escaped(machine)}; one core where not said otherwise</text>`,
    ...bars,
  ],
})
