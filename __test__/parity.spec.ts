// The graphs that the Rust core is compared with PyTorch on are those that the models trace today.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import test from 'ava'

test('parity/specs.json holds what parity/trace.mjs prints', (t) => {
  const traced = execFileSync(process.execPath, ['parity/trace.mjs'], { encoding: 'utf8' })
  t.deepEqual(JSON.parse(readFileSync('parity/specs.json', 'utf8')), JSON.parse(traced))
})
