// Brings a checkout to where it can run: npm packages, native addon, compiled TypeScript. Each step does only what is
// missing or out of date, so it stands at the head of every script. Needs nothing but Node, npm and Rust.
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  fail(`binary-nets needs Node 20.19 or newer; this is ${process.versions.node}.`)
}
if (spawnSync('cargo', ['--version']).error) {
  fail('binary-nets needs Rust, and `cargo` was not found. Install it from https://rustup.rs.')
}
process.chdir(join(import.meta.dirname, '..'))

if (modified('package-lock.json') > modified('node_modules/.package-lock.json')) {
  step('Installing npm packages', npm('ci'))
}
step('Building the native addon (minutes the first time)', npm('run', 'build', '--workspace', '@binary-nets/native'))
step('Compiling TypeScript', [process.execPath, 'node_modules/typescript/bin/tsc', '--build'])

/** When the file was last written, in ms; 0 where there is none. npm writes the file asked for here when it has finished. */
function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

/** npm as a command line, preferring the one that started this script. */
function npm(...args) {
  const cli = process.env.npm_execpath
  return cli ? [process.execPath, cli, ...args] : ['npm', ...args]
}

/** Runs one command on one line of output; shows what it said only where it fails. */
function step(title, [command, ...args]) {
  process.stdout.write(`${title} … `)
  const start = performance.now()
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: Number.POSITIVE_INFINITY,
  })
  if (status !== 0) {
    process.stdout.write('failed\n')
    fail(`${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`)
  }
  process.stdout.write(`${((performance.now() - start) / 1000).toFixed(1)} s\n`)
}

function fail(message) {
  console.error(message)
  process.exit(1)
}
