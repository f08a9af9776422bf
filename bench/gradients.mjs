// `npm run bench:gradients [-- <folder>] [--quick]`: do gradients in fixed-point numbers learn as well as those in floats? Runs in pairs, each pair from the same weights and in the same
// order: ten on handwritten digits, three on CIFAR-10's images, where a folder has them as `train/<class>/*` and `test/<class>/*`. `-- --record` also writes
// bench/record/<date>-bench-gradients-<instruction set>.md, which bench/curves.mjs draws.
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { measured } from './measured.mjs'
import { Report } from './report.mjs'

const MODES = ['f32', 'fixed']
/** Student's t, 97.5 %, for 1 degree of freedom and more. */
const STUDENT = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]

const quick = process.argv.includes('--quick')
const folder = process.argv.slice(2).find((argument) => !argument.startsWith('--'))
if (folder !== undefined && !existsSync(`${folder}/train`)) {
  console.error(`${folder}/train is no folder of images.`)
  process.exit(1)
}
const threads = Math.min(2, availableParallelism())
const tasks = [
  { task: 'digits', name: 'Digits', seeds: quick ? 2 : 10 },
  ...(folder === undefined ? [] : [{ task: 'cifar', name: 'CIFAR-10', seeds: quick ? 2 : 3 }]),
]

const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length
const percent = (part) => `${(100 * part).toFixed(2)} %`
const points = (difference) => `${difference < 0 ? '−' : '+'}${Math.abs(100 * difference).toFixed(2)}`

const report = new Report('bench:gradients')
for (const { task, name, seeds } of tasks) {
  const pairs = Array.from({ length: seeds }, (_, i) => {
    // Who is first changes from pair to pair: what else the machine does comes and goes.
    const order = i % 2 === 0 ? MODES : MODES.toReversed()
    const run = (mode) => [
      mode,
      measured(
        [process.execPath, 'bench/gradient-run.mjs', task, mode, String(i + 1), String(threads), folder ?? ''],
        threads,
      ),
    ]
    const pair = Object.fromEntries(order.map(run))
    const last = (mode) => pair[mode].curve.at(-1).test
    console.log(`${name}, seed ${i + 1}: ${MODES.map((mode) => `${mode} ${percent(last(mode))}`).join(', ')}`)
    return { ...pair, f32Right: last('f32'), fixedRight: last('fixed'), difference: last('fixed') - last('f32') }
  })
  console.log()

  const { images, tested, curve } = pairs[0].f32
  const count = (number) => number.toLocaleString('en-US')
  report.say(`${name}: ${count(images)} images, ${curve.length} epochs; right of ${count(tested)} test images`)
  report.table(
    ['seed', ...MODES, 'difference'],
    pairs.map(({ f32Right, fixedRight, difference }, i) => {
      return [`${i + 1}`, percent(f32Right), percent(fixedRight), points(difference)]
    }),
  )
  const differences = pairs.map(({ difference }) => difference)
  const middle = mean(differences)
  const variance = differences.reduce((sum, difference) => sum + (difference - middle) ** 2, 0) / (seeds - 1)
  const reach = STUDENT[seeds - 2] * Math.sqrt(variance / seeds)
  report.say(
    `${name}: fixed − f32 is ${points(middle)} points, 95 % interval ${points(middle - reach)} to ${points(middle + reach)}`,
  )
  report.say()
  report.table(
    [name, 'epoch', 'loss', 'right', 'test', 'least', 'most', 'images/s', 'memory'],
    MODES.flatMap((mode) =>
      curve.map((_, epoch) => {
        const points = pairs.map((pair) => pair[mode].curve[epoch])
        const of = (key) => points.map((point) => point[key])
        return [
          mode,
          `${epoch + 1}`,
          mean(of('loss')).toFixed(4),
          percent(mean(of('right'))),
          percent(mean(of('test'))),
          percent(Math.min(...of('test'))),
          percent(Math.max(...of('test'))),
          Math.max(...of('imagesPerSecond')).toFixed(0),
          `${mean(of('peakMiB')).toFixed(0)} MiB`,
        ]
      }),
    ),
  )
  report.say()
}
report.say(
  `Loss, right and test are means of the pairs, least and most are of the test images; images a second the most of any run, on ${threads} threads.`,
)
if (folder === undefined) report.say('No folder of CIFAR-10’s images was given.')
// A quick look is none to keep.
if (!quick) report.end()
