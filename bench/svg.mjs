// What the charts of bench/ share: the record that they draw, their colours by day and by night, and the file.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'

const DAY = { ink: '#24292f', soft: '#57606a', grid: '#d0d7de', ours: '#2da44e', others: '#8c959f', shade: 0.16 }
const NIGHT = { ink: '#e6edf3', soft: '#9198a1', grid: '#3d444d', ours: '#3fb950', others: '#656c76', shade: 0.24 }

/** The lines of the latest record of `npm run <name>` with AVX-512, and the machine that it was taken on. */
export function latestRecord(name) {
  const ending = `-${name.replaceAll(':', '-')}-avx512.md`
  const records = existsSync('bench/record') ? readdirSync('bench/record') : []
  const latest = records
    .filter((file) => /^\d{4}-\d\d-\d\d-/.test(file) && file.slice(10) === ending)
    .sort()
    .at(-1)
  if (latest === undefined) {
    console.error(
      `There is no record with AVX-512 to draw: run \`npm run ${name} -- --record\` where there is AVX-512 first.`,
    )
    process.exit(1)
  }
  const lines = readFileSync(`bench/record/${latest}`, 'utf8').split('\n')
  return { lines, machine: lines[3] }
}

export const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

/** Writes a chart. `rules` are CSS without colours; `coloured` gives those with the colours that it is given. */
export function writeChart(file, { width, height, title, rules, coloured, body }) {
  const of = (colours) => [`text { fill: ${colours.ink} }`, `.soft { fill: ${colours.soft} }`, ...coloured(colours)]
  const style = [
    'text { font: 14px system-ui, sans-serif }',
    '.head { font-size: 18px; font-weight: 600 }',
    '.soft { font-size: 12px; font-weight: 400 }',
    ...rules,
    ...of(DAY),
    '@media (prefers-color-scheme: dark) {',
    ...of(NIGHT).map((rule) => `  ${rule}`),
    '}',
  ]
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title">
  <title id="title">${escaped(title)}</title>
  <style>
${style.map((rule) => `    ${rule}`).join('\n')}
  </style>
${body.join('\n')}
</svg>
`
  writeFileSync(file, svg)
  console.log(`Written to ${file}`)
}
