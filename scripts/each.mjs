// Runs the named npm scripts one after the other, all of them, and fails when any has failed.
import { spawnSync } from 'node:child_process'

// napi builds for a target that it names, so cargo has to name it, too, or it would build everything once more.
const host = /^host: (.*)$/m.exec(spawnSync('rustc', ['-vV'], { encoding: 'utf8' }).stdout ?? '')?.[1]
const env = host === undefined ? process.env : { CARGO_BUILD_TARGET: host, ...process.env }

const failed = process.argv.slice(2).filter((script) => {
  console.log(`\n── ${script}`)
  const { status } = spawnSync('npm', ['run', '--silent', script], {
    stdio: 'inherit',
    env,
    shell: process.platform === 'win32',
  })
  return status !== 0
})
if (failed.length > 0) {
  console.error(`\nFailed: ${failed.join(', ')}`)
  process.exit(1)
}
