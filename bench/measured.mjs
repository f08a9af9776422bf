import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** What a command prints, pinned to so many of the last cores, where the system can do that, or to none. Throws what it says where it fails. */
export function output([command, ...args], { cores = 0, environment = {} } = {}) {
  const last = availableParallelism() - 1
  const list = Array.from({ length: cores }, (_, i) => last - i).join(',')
  const pin = cores > 0 && process.platform === 'linux' ? ['taskset', '-c', list] : []
  const [first, ...rest] = [...pin, command, ...args]
  const { status, stdout, stderr, error } = spawnSync(first, rest, {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
    maxBuffer: 1 << 26,
  })
  if (status !== 0) throw new Error(stderr || error?.message)
  return stdout.trim()
}

/** Runs a command, pinned to the last core or to as many as it has threads, and reads the line of JSON that it prints. */
export function measured(command, threads = 1, environment = {}) {
  return JSON.parse(output(command, { cores: threads, environment }).split('\n').at(-1))
}
