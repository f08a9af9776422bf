// Runs the named npm scripts one after the other, all of them, and fails when any has failed.
import { spawnSync } from 'node:child_process'

const failed = process.argv.slice(2).filter((script) => {
  console.log(`\n── ${script}`)
  const { status } = spawnSync('npm', ['run', '--silent', script], {
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  return status !== 0
})
if (failed.length > 0) {
  console.error(`\nFailed: ${failed.join(', ')}`)
  process.exit(1)
}
