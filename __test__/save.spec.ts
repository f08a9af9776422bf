// A process that is killed while it saves leaves the file as it was before, whole.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { Network } from 'binary-nets'
import { create, type Outputs, weights } from './shapes.js'

const script = fileURLToPath(new URL('save-forever.js', import.meta.url))

test('kill -9 at any moment', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'bnets-save-'))
  const path = join(folder, 'net.safetensors')
  for (const delay of [0, 1, 2, 3, 5, 8, 13, 21]) {
    const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] })
    let saved = -1
    for await (const line of createInterface(child.stdout)) {
      saved = Number(line)
      if (saved === 3) break
    }
    await new Promise((resolve) => setTimeout(resolve, delay))
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone

    // The file is that of one save: each tensor is full of its number, which is the last one reported or a later one.
    using net = await Network.load(path)
    const numbers = new Set(Object.values(net.stateDict()).flatMap(({ data }) => [...data]))
    t.is(numbers.size, 1, `after ${delay} ms`)
    t.true(([...numbers][0] ?? 0) >= saved)
  }
  const left = await readdir(folder)
  t.true(left.length <= 1 + 8, `at most one unfinished file for each kill: ${left.join(', ')}`)
})

test('two saves to one place at the same time', async (t) => {
  const path = join(await mkdtemp(join(tmpdir(), 'bnets-save-')), 'net.safetensors')
  using one = await create()
  using other = await create(2)
  for (let round = 0; round < 10; round++) {
    await Promise.all([one.save(path), other.save(path)])
    using saved = await Network.load<Outputs>(path)
    const found = JSON.stringify(weights(saved))
    t.true([one, other].some((net) => JSON.stringify(weights(net)) === found))
  }
})
