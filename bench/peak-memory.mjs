import { readFileSync } from 'node:fs'

/** The peak memory of this process, in MiB. What `resourceUsage` tells has on Linux that of the process in it which started this one: there the system's own file is better. */
export function peakMiB() {
  const status = process.platform === 'linux' ? readFileSync('/proc/self/status', 'utf8') : ''
  return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? process.resourceUsage().maxRSS) / 1024
}
