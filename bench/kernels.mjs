// `npm run bench:kernels`: every listed kernel on this machine, pinned to one core. With `-- --assert` it fails where the kernel that a plan picks for one of the four 3×3
// layers of a ResNet-18 is more than 5 % slower than the fastest that is listed for its instruction set. Times are the best of several runs.
import { join } from 'node:path'
import { output } from './measured.mjs'
import { Report } from './report.mjs'

process.chdir(join(import.meta.dirname, '..'))

const TOLERANCE = 1.05
const ROUNDS = 3

const bench = ['cargo', 'bench', '--quiet', '-p', 'binary-nets-kernels', '--bench', 'kernels']
output([...bench, '--no-run'])

const best = new Map()
for (let round = 0; round < ROUNDS; round++) {
  for (const line of output([...bench, '--', '--json', 'binary_conv2d', '3x3'], { cores: 1 }).split('\n')) {
    const { kernel, shape, ms, rate, chosen } = JSON.parse(line)
    const key = `${kernel} ${shape}`
    if (!(best.get(key)?.ms <= ms)) best.set(key, { kernel, shape, ms, rate, chosen })
  }
}

const report = new Report('bench:kernels')
const rows = [...best.values()]
report.table(
  ['binary 3×3 convolution', 'kernel', 'GMAC/s', ''],
  rows.map(({ kernel, shape, rate, chosen }) => [shape, kernel, rate.toFixed(0), chosen ? 'picked' : '']),
)
const isa = (kernel) => kernel.split('_').at(-1)
const layers = ['64>64@56', '128>128@28', '256>256@14', '512>512@7']
const picked = rows.filter(({ shape, chosen }) => chosen && layers.some((layer) => shape.includes(` ${layer} `)))
let slow = 0
for (const { kernel, shape, ms } of picked) {
  const others = rows.filter((row) => row.shape === shape && isa(row.kernel) === isa(kernel))
  const ratio = ms / Math.min(...others.map((row) => row.ms))
  if (ratio > TOLERANCE) {
    slow++
    report.say(`\n${kernel} is picked for ${shape}, but takes ${ratio.toFixed(2)} times as long as the fastest`)
  }
}
report.say(`\n${picked.length - slow} of ${picked.length} picked kernels are within 5 % of the fastest listed one`)
report.end()
if (process.argv.includes('--assert') && (slow > 0 || picked.length === 0)) process.exit(1)
