import { peakMiB } from './peak-memory.mjs'

/** Prints how long a call takes, in ms, the best and the median of several after a warm-up, and the peak memory of the process, as a line of JSON. */
export async function latency(run, runs, warm = 5) {
  for (let i = 0; i < warm; i++) await run()
  const times = []
  for (let i = 0; i < runs; i++) {
    const start = performance.now()
    await run()
    times.push(performance.now() - start)
  }
  times.sort((a, b) => a - b)
  console.log(JSON.stringify({ ms: times[0], median: times[Math.floor(runs / 2)], peakMiB: peakMiB() }))
}
