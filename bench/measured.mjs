import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** Runs a command, pinned to the last core or to as many as it has threads, and reads the line of JSON that it prints. */
export function measured([command, ...args], threads = 1, environment = {}) {
  const last = availableParallelism() - 1
  const cores = Array.from({ length: threads }, (_, i) => last - i).join(',')
  const pin = process.platform === 'linux' ? ['taskset', '-c', cores] : []
  const [first, ...rest] = [...pin, command, ...args]
  const { status, stdout, stderr, error } = spawnSync(first, rest, {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
  })
  if (status !== 0) throw new Error(stderr || error?.message)
  return JSON.parse(stdout.trim().split('\n').at(-1))
}
