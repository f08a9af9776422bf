// The examples run: on few digits, to an accuracy that chance does not give.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import test from 'ava'

const run = promisify(execFile)

for (const name of ['mlp', 'vgg']) {
  test.serial(`examples/${name}.ts`, async (t) => {
    const options = ['--images', '3000', '--epochs', '1']
    const { stdout } = await run(process.execPath, [`build/examples/${name}.js`, ...options])
    const [, percent] = /^(\d+\.\d+) % of 10000 test digits are right\.$/m.exec(stdout) ?? []
    t.true(Number(percent) > 75, stdout)
  })
}
