// The line that shows a run: a bar in a terminal, plain lines elsewhere.
import { Writable } from 'node:stream'
import test from 'ava'
import { progress, type StepEvent } from 'binary-nets'

const event = (step: number): StepEvent => ({
  ...{
    epoch: 1,
    epochs: 4,
    step,
    steps: 100,
    loss: 0.51234,
    top1: 0.875,
    batchLoss: 0.6,
  },
  ...{ imagesPerSecond: 12_345.6, waited: 0, secondsLeft: 75.2 },
})

/** What is written to a terminal of some columns, or to a file. */
function written(columns: number | undefined, events: readonly StepEvent[]): string {
  let text = ''
  const stream = new Writable({
    write(chunk, _, done) {
      text += chunk
      done()
    },
  })
  const show = progress({
    stream: columns === undefined ? stream : Object.assign(stream, { isTTY: true, columns }),
  })
  for (const it of events) show(it)
  return text
}

test('a file gets whole lines, few of them, and always the last', (t) => {
  const lines = written(undefined, [event(1), event(2), event(3), event(100)])
  t.is(
    lines,
    [
      'epoch 2/4 ·   1/100 · loss 0.5123 · top-1 87.50 % · 12,346 images/s · 1 min 15 s left\n',
      'epoch 2/4 · 100/100 · loss 0.5123 · top-1 87.50 % · 12,346 images/s · 1 min 15 s left\n',
    ].join(''),
  )
})

test('after the last step no time is left to tell', (t) => {
  t.true(written(undefined, [{ ...event(100), epoch: 3 }]).endsWith(' images/s\n'))
})

test('a terminal gets one line that is drawn again', (t) => {
  const text = written(120, [event(50), event(51), event(100)])
  t.is(text.split('\r').length - 1, 2, 'the second comes too soon to be drawn')
  t.true(text.includes(`▕${'█'.repeat(15)}${' '.repeat(15)}▏ epoch 2/4`))
  t.true(text.endsWith(' left\n'))
})

test('a narrow terminal gets no line longer than itself', (t) => {
  const [line = ''] = written(40, [event(1)])
    .replaceAll('\r\x1b[K', '')
    .split('\n')
  t.true(line.length <= 40)
})

test('a loss without hits shows none', (t) => {
  t.false(written(undefined, [{ ...event(1), top1: Number.NaN }]).includes('top-1'))
})
