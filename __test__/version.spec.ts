import { readFileSync } from 'node:fs'
import test from 'ava'
import { version } from 'binary-nets'

for (const name of ['binary-nets', 'native']) {
  test(`packages/${name} has the version of its binary`, (t) => {
    const manifest = JSON.parse(readFileSync(`packages/${name}/package.json`, 'utf8'))
    t.is(manifest.version, version())
  })
}
