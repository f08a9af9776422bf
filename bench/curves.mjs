// `node bench/curves.mjs` draws the latest record of `npm run bench:gradients` with AVX-512 as docs/training.svg: how the loss falls and the accuracy on test images rises, with gradients in
// floats and in fixed-point numbers.
import { join } from 'node:path'
import { escaped, latestRecord, writeChart } from './svg.mjs'

process.chdir(join(import.meta.dirname, '..'))

const { lines, machine } = latestRecord('bench:gradients')

/** What was learned, in order: each with what is said of it, its paired difference, and a curve for each way to compute gradients. */
const tasks = []
for (const line of lines) {
  const about = /^(.+?): (.+ epochs); right of .+$/.exec(line)
  const interval = /: fixed − f32 is (\S+) points, 95 % interval (.+)$/.exec(line)
  const point = /^(f32|fixed) +(\d+) +([\d.]+) +[\d.]+ % +([\d.]+) % +([\d.]+) % +([\d.]+) % +(\d+) +(\d+) MiB$/.exec(
    line,
  )
  if (about) tasks.push({ name: about[1], about: about[2], difference: '', f32: [], fixed: [] })
  if (interval) tasks.at(-1).difference = `fixed − f32: ${interval[1]} points (${interval[2]})`
  if (point) {
    const [epoch, loss, test, least, most, imagesPerSecond, peakMiB] = point.slice(2).map(Number)
    tasks.at(-1)[point[1]].push({ epoch, loss, test, least, most, imagesPerSecond, peakMiB })
  }
}

const MODES = ['f32', 'fixed']
const [margin, left, panel, height, between, top, row] = [16, 62, 372, 190, 78, 112, 312]

/** Round numbers from at most the least to at least the most, four steps or so, as they are written. */
function ticks(least, most) {
  const rough = (most - least || 1) / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) * power
  const first = Math.floor(least / step + 1e-9)
  const count = Math.ceil(most / step - 1e-9) - first
  const digits = (`${Number(step.toPrecision(3))}`.split('.')[1] ?? '').length
  return Array.from({ length: count + 1 }, (_, i) => ((first + i) * step).toFixed(digits))
}

/** Curves of one number in a frame: `key` is what is drawn, `band` the two that it lies between. */
function drawn({ title, said = '', task, x0, y0, key, band, marks, unit }) {
  const epochs = task.f32.length
  const [low, high] = [Number(marks[0]), Number(marks.at(-1))]
  const x = (epoch) => x0 + ((epoch - 1) / Math.max(1, epochs - 1)) * panel
  const y = (value) => y0 + height - ((value - low) / (high - low)) * height
  const at = (point, of = key) => `${x(point.epoch).toFixed(1)},${y(point[of]).toFixed(1)}`
  const grid = marks.map(
    (mark) => `  <path class="grid" d="M${x0} ${y(mark).toFixed(1)}h${panel}"/>
  <text class="tick y" x="${x0 - 8}" y="${(y(mark) + 4).toFixed(1)}">${mark}${unit}</text>`,
  )
  const numbers = task.f32.map(
    ({ epoch }) => `  <text class="tick x" x="${x(epoch).toFixed(1)}" y="${y0 + height + 18}">${epoch}</text>`,
  )
  const curves = MODES.flatMap((mode) => {
    const points = task[mode]
    const line = `  <polyline class="line ${mode}" points="${points.map((point) => at(point)).join(' ')}"/>`
    const dots = points.map(
      (point) =>
        `  <circle class="${mode}" cx="${x(point.epoch).toFixed(1)}" cy="${y(point[key]).toFixed(1)}" r="3.5"/>`,
    )
    if (band === undefined) return [line, ...dots]
    const [least, most] = band.map((of) => points.map((point) => at(point, of)))
    return [`  <polygon class="${mode}" points="${[...least, ...most.toReversed()].join(' ')}"/>`, line, ...dots]
  })
  const head = `  <text class="panel" x="${x0}" y="${y0 - 12}">${title}</text>
  <text class="soft y" x="${x0 + panel}" y="${y0 - 12}">${escaped(said)}</text>`
  return [head, ...grid, ...numbers, ...curves].join('\n')
}

const rows = tasks.map((task, i) => {
  const y0 = top + 62 + i * row
  const points = MODES.flatMap((mode) => task[mode])
  const losses = points.map(({ loss }) => loss)
  const right = left + panel + between
  const facts = MODES.map((mode) => {
    const { imagesPerSecond, peakMiB } = task[mode].at(-1)
    return `${mode} ${imagesPerSecond.toLocaleString('en-US')} images/s, ${peakMiB} MiB`
  })
  return `  <text class="task" x="${margin}" y="${y0 - 40}">${escaped(task.name)}<tspan class="soft" dx="10">${escaped(task.about)}; ${facts.join('; ')}</tspan></text>
${drawn({ title: 'Loss', task, x0: left, y0, key: 'loss', marks: ticks(Math.min(...losses), Math.max(...losses)), unit: '' })}
${drawn({
  ...{
    title: 'Test accuracy',
    said: task.difference,
    task,
    x0: right,
    y0,
    key: 'test',
    band: ['least', 'most'],
    unit: ' %',
  },
  marks: ticks(Math.min(...points.map(({ least }) => least)), Math.max(...points.map(({ most }) => most))),
})}
  <text class="tick x" x="${left + panel / 2}" y="${y0 + height + 36}">epoch</text>
  <text class="tick x" x="${right + panel / 2}" y="${y0 + height + 36}">epoch</text>`
})
const key = (x, mode, words) => `  <path class="key line ${mode}" d="M${x} 78h28"/>
  <circle class="${mode}" cx="${x + 14}" cy="78" r="3.5"/>
  <text x="${x + 38}" y="83">${words}</text>`

writeChart('docs/training.svg', {
  width: left + 2 * panel + between + 24,
  height: top + tasks.length * row - 6,
  title: 'Learning curves with gradients in floats and in fixed-point numbers',
  rules: [
    '.task { font-size: 15px; font-weight: 600 }',
    '.tick { font-size: 12px }',
    '.panel { font-size: 13px }',
    '.x { text-anchor: middle }',
    '.y { text-anchor: end }',
    '.grid { stroke-width: 1 }',
    'polyline, .key { fill: none; stroke-linejoin: round; stroke-linecap: round }',
    '.line.f32 { stroke-width: 5 }',
    '.line.fixed { stroke-width: 2 }',
  ],
  coloured: ({ soft, grid, ours, others, shade }) => [
    `.tick { fill: ${soft} }`,
    `.grid { stroke: ${grid} }`,
    `.line.f32 { stroke: ${others} }`,
    `.line.fixed { stroke: ${ours} }`,
    `circle.f32, polygon.f32 { fill: ${others} }`,
    `circle.fixed, polygon.fixed { fill: ${ours} }`,
    `polygon { opacity: ${shade} }`,
  ],
  body: [
    `  <text class="head" x="${margin}" y="28">Learning with gradients in floats and in fixed-point numbers</text>`,
    `  <text class="soft" x="${margin}" y="50">${escaped(machine)}; means of paired runs, shaded from the least to the most; in brackets a 95 % interval</text>`,
    key(margin + 3, 'f32', 'gradients: ‘f32’'),
    key(margin + 173, 'fixed', 'gradients: ‘fixed’'),
    ...rows,
  ],
})
