import type { WriteStream } from 'node:tty'
import { checkOptions } from './arguments.js'
import { bar } from './bar.js'
import type { StepEvent } from './fit.js'

export interface ProgressOptions {
  /** Default: the standard output. */
  readonly stream?: NodeJS.WritableStream
}

/** Redraws a terminal's line this often, in ms, and writes a line of plain text this often. */
const REDRAW = 100
const PLAIN = 5000

/** A callback for `onStep` that shows how a run goes: a bar in a terminal, a line now and then elsewhere. An epoch's last line stays. */
export function progress(options: ProgressOptions = {}): (event: StepEvent) => void {
  checkOptions('progress', options, ['stream'])
  const { stream = process.stdout } = options
  const isTerminal = 'isTTY' in stream && stream.isTTY === true
  let shown = Number.NEGATIVE_INFINITY
  return (event) => {
    const now = performance.now()
    const isLast = event.step === event.steps
    if (!isLast && now - shown < (isTerminal ? REDRAW : PLAIN)) return
    shown = now
    if (!isTerminal) {
      stream.write(`${describe(event)}\n`)
      return
    }
    const columns = (stream as WriteStream).columns || 80
    const text = describe(event)
    const width = Math.min(columns - text.length - 4, 30)
    const line =
      width > 4 ? `▕${bar(event.step / event.steps, width).padEnd(width)}▏ ${text}` : text.slice(0, columns - 1)
    stream.write(`\r\x1b[K${line}${isLast ? '\n' : ''}`)
  }
}

function describe({ epoch, epochs, step, steps, loss, top1, imagesPerSecond, secondsLeft }: StepEvent): string {
  const parts = [
    `epoch ${epoch + 1}/${epochs}`,
    `${String(step).padStart(String(steps).length)}/${steps}`,
    `loss ${loss.toFixed(4)}`,
    ...(Number.isNaN(top1) ? [] : [`top-1 ${(100 * top1).toFixed(2)} %`]),
    `${Math.round(imagesPerSecond).toLocaleString('en-US')} images/s`,
    ...(epoch + 1 === epochs && step === steps ? [] : [`${duration(secondsLeft)} left`]),
  ]
  return parts.join(' · ')
}

function duration(seconds: number): string {
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`
}
