// The table of a network, from rows as the core gives them.
import test from 'ava'
import { Summary } from 'binary-nets'

const summary = new Summary([
  {
    ...{
      path: 'conv1',
      kind: 'conv2d',
      output: [28, 28, 16],
      binaryParameters: 0,
      packedBits: 0,
      floatParameters: 144,
    },
    macs: { binary: 0, float: 112_896 },
  },
  {
    ...{
      path: 'layer1.0.conv1',
      kind: 'binary_conv2d',
      output: [28, 28, 16],
      binaryParameters: 2304,
      packedBits: 2304,
      floatParameters: 0,
    },
    macs: { binary: 1_806_336, float: 0 },
  },
])

test('totals', (t) => {
  t.is(summary.binaryParameters, 2304)
  t.is(summary.floatParameters, 144)
  t.is(summary.bytes, 2304 / 8 + 4 * 144)
  t.is(summary.floatBytes, 4 * (2304 + 144))
  t.deepEqual(summary.macs, { binary: 1_806_336, float: 112_896 })
})

test('the table', (t) => {
  t.is(
    summary.toString(),
    [
      'layer           op             output    1-bit  32-bit   size  1-bit MACs  32-bit MACs',
      '──────────────────────────────────────────────────────────────────────────────────────',
      'conv1           conv2d         28×28×16            144  576 B                  112.9 k',
      'layer1.0.conv1  binary_conv2d  28×28×16  2,304          288 B       1.8 M',
      '──────────────────────────────────────────────────────────────────────────────────────',
      'total                                    2,304     144  864 B       1.8 M      112.9 k',
      '864 B of parameters with binary ones packed, 9.8 kB as floats: 11.3 times smaller.',
    ].join('\n'),
  )
})

test('bases share a line', (t) => {
  const [, row] = summary.rows
  if (row === undefined) return t.fail()
  const rows = [0, 1, 2].map((base) => ({ ...row, path: `layer1.0.bases.${base}.conv1` }))
  const table = new Summary(rows).toString().split('\n')
  t.is(table.length, 6)
  t.regex(table[2] ?? '', /^layer1\.0\.bases\.\*\.conv1 {2}binary_conv2d ×3 {2}28×28×16 {2}6,912 {10}864 B {7}5\.4 M$/)
})

test('long paths give way, so that no line is wider than 100 columns', (t) => {
  const [row] = summary.rows
  if (row === undefined) return t.fail()
  const path = Array(20).fill('layer').join('.')
  const lines = new Summary([{ ...row, path }]).toString().split('\n')
  t.true(lines.every((line) => line.length <= 100))
  t.true(lines[2]?.startsWith('…'))
})
