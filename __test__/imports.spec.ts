// Imports point one way: the manifests are compared with the table in ARCHITECTURE.md, the sources with the one below. A new crate or file fails
// here until its line is added, which is the moment to ask whether it may import what it imports.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import test from 'ava'
import ts from 'typescript'

type Table = Record<string, readonly string[]>

const PAGE = readFileSync('ARCHITECTURE.md', 'utf8')

/** crates/: what each may import of the others, and besides for its own tests, as the page's table says. */
const [CRATES, CRATES_DEV] = cratesOf(PAGE)

function cratesOf(page: string): [Table, Table] {
  const section = page.split(/^## /m).find((part) => part.startsWith('Crates')) ?? ''
  const names = (list: string) => list.split(',').map((name) => name.trim())
  const rows = [...section.matchAll(/^\| `(\w+)` \| (.+?) \| (.+) \|$/gm)]
  const may = rows.map(([, crate = '', others = '']) => [crate, others === '–' ? [] : names(others)] as const)
  const dev = rows.flatMap(([, crate = '', , what = '']) => {
    const tests = /\(tests: ([\w, ]+)\)/.exec(what)?.[1]
    return tests === undefined ? [] : [[crate, names(tests)] as const]
  })
  return [Object.fromEntries(may), Object.fromEntries(dev)]
}

/**
 * packages/binary-nets/src: what each file or folder may import of the others. Left of `spec` a graph is described, right of
 * it one is run: models → layers → trace → sym, and fit → network → native.
 */
const SOURCES: Table = {
  errors: [],
  arguments: ['errors'],
  spec: ['errors'],
  sym: ['spec', 'arguments', 'errors'],
  trace: ['sym', 'spec', 'errors'],
  layers: ['trace', 'sym', 'spec', 'arguments'],
  losses: ['trace', 'sym', 'arguments'],
  models: ['layers', 'trace', 'sym', 'arguments', 'errors'],
  native: ['errors'],
  schedules: ['arguments'],
  optimizers: ['schedules', 'spec', 'arguments', 'errors'],
  data: ['native', 'arguments', 'errors'],
  images: ['data', 'arguments', 'errors'],
  'image-source': ['images', 'data', 'native', 'arguments', 'errors'],
  abort: [],
  bar: [],
  table: [],
  tensor: ['errors'],
  summary: ['table'],
  training: [],
  'step-options': ['arguments'],
  'training-plan': ['step-options', 'table'],
  metadata: ['training', 'errors'],
  matching: [],
  confusion: ['table'],
  'load-report': [],
  'freeze-report': ['table'],
  'io-errors': ['errors'],
  'replace-file': [],
  'layer-time': [],
  'op-time': [],
  'run-options': ['arguments'],
  prediction: ['run-options', 'arguments', 'errors'],
  frozen: [
    ...['abort', 'native', 'data', 'images', 'image-source', 'io-errors', 'prediction', 'confusion', 'freeze-report'],
    ...['layer-time', 'run-options', 'tensor', 'trace', 'sym', 'spec', 'arguments'],
  ],
  inside: ['native', 'losses', 'optimizers', 'run-options', 'training'],
  objective: ['inside', 'native', 'losses', 'trace', 'arguments'],
  plan: [
    ...['training-plan', 'step-options', 'objective', 'inside', 'native', 'losses', 'optimizers', 'trace'],
    ...['arguments', 'errors'],
  ],
  freeze: ['frozen', 'inside', 'native', 'data', 'run-options', 'trace', 'spec', 'arguments'],
  network: [
    ...['freeze', 'frozen', 'plan', 'training-plan', 'objective', 'inside', 'native', 'data', 'io-errors', 'images'],
    ...['prediction', 'summary', 'training', 'metadata', 'matching', 'losses', 'optimizers', 'confusion'],
    ...['load-report', 'run-options', 'tensor', 'trace', 'sym', 'spec', 'op-time', 'arguments'],
  ],
  history: ['replace-file', 'io-errors'],
  source: ['abort', 'native', 'data', 'training', 'arguments', 'errors'],
  run: ['training', 'errors'],
  fit: [
    ...['network', 'native', 'data', 'source', 'run', 'history', 'io-errors', 'training', 'losses', 'optimizers'],
    ...['inside', 'objective', 'step-options', 'schedules', 'run-options', 'trace', 'arguments', 'errors'],
  ],
  progress: ['fit', 'bar', 'arguments'],
  cli: ['index', 'table', 'bar', 'replace-file', 'io-errors'],
  index: [
    ...['sym', 'trace', 'layers', 'models', 'losses', 'optimizers', 'schedules', 'data', 'images', 'image-source'],
    ...['network', 'frozen', 'prediction', 'summary', 'confusion', 'load-report', 'freeze-report', 'tensor'],
    ...['layer-time', 'op-time', 'run-options', 'training', 'run', 'fit', 'progress', 'errors', 'native'],
    ...['training-plan', 'plan', 'step-options', 'freeze'],
  ],
}

/** The one file that imports the native package. */
const BORDER = 'packages/binary-nets/src/native.ts'

const SRC = 'packages/binary-nets/src'

interface Manifest {
  readonly name: string
  readonly manifest_path: string
  readonly targets: readonly { readonly crate_types: readonly string[] }[]
  readonly dependencies: readonly {
    readonly name: string
    readonly kind: null | 'dev' | 'build'
  }[]
}

const metadata = execFileSync('cargo', ['metadata', '--no-deps', '--format-version', '1'], { encoding: 'utf8' })
const manifests: readonly Manifest[] = JSON.parse(metadata).packages

/** The crate `binary-nets-<name>` as `name`; undefined for a crate that is not ours. */
const crate = (name: string) => /^binary-nets-(.+)$/.exec(name)?.[1]

test('every crate has a line in the table, and its folder its name', (t) => {
  const names = manifests.map(({ name }) => crate(name))
  t.deepEqual(names.toSorted(), Object.keys(CRATES).toSorted())
  t.deepEqual(
    names,
    manifests.map(({ manifest_path }) => basename(dirname(manifest_path))),
  )
})

for (const { name, dependencies, targets } of manifests) {
  const self = crate(name) ?? name
  test(`crates/${self} imports what it may`, (t) => {
    const others = (isDev: boolean) =>
      dependencies.filter(({ kind }) => (kind === 'dev') === isDev).flatMap(({ name }) => crate(name) ?? [])
    t.deepEqual(others(false).toSorted(), (CRATES[self] ?? []).toSorted())
    t.deepEqual(
      others(true).filter((other) => !CRATES[self]?.includes(other)),
      CRATES_DEV[self] ?? [],
    )

    const isAddon = targets.some(({ crate_types }) => crate_types.includes('cdylib'))
    t.is(isAddon, self === 'node', 'one cdylib, for two addons cannot share classes')
  })
}

/** Every file below `folder`, without what is installed or built. */
function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (!entry.isDirectory()) return [path]
    return ['node_modules', 'dist', 'target'].includes(entry.name) ? [] : files(path)
  })
}

/** The first step of a path below `SRC`, without its ending: a line of the table. */
const unit = (path: string) => relative(SRC, path).split('/')[0]?.replace(/\.ts$/, '') ?? ''

const folders = ['crates', 'packages', '__test__', 'examples', 'bench', 'scripts'].filter((it) => existsSync(it))
const sources = folders.flatMap(files).filter((path) => /\.m?[jt]s$/.test(path))
const imports = (path: string) =>
  ts.preProcessFile(readFileSync(path, 'utf8'), true, true).importedFiles.map(({ fileName }) => fileName)

/** What a file of the library imports of it. */
const unitsOf = (path: string) =>
  imports(path)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => unit(join(dirname(path), specifier.replace(/\.js$/, '.ts'))))

for (const path of sources.filter((path) => path.startsWith(SRC))) {
  const self = unit(path)
  test(`${path} imports what it may`, (t) => {
    const allowed = SOURCES[self]
    if (allowed === undefined) return t.fail(`${self} has no line in the table`)
    t.deepEqual(
      unitsOf(path).filter((other) => other !== self && !allowed.includes(other)),
      [],
    )
  })
}

test('what may be imported is', (t) => {
  const unused = Object.entries(SOURCES).flatMap(([self, allowed]) => {
    const used = sources.filter((path) => path.startsWith(SRC) && unit(path) === self).flatMap(unitsOf)
    return allowed.filter((other) => !used.includes(other)).map((other) => `${self} → ${other}`)
  })
  t.deepEqual(unused, [])
})

test('index files only re-export', (t) => {
  for (const path of sources.filter((path) => path.startsWith(SRC) && basename(path) === 'index.ts')) {
    const { statements } = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest)
    const others = statements.filter((it) => !(ts.isExportDeclaration(it) && it.moduleSpecifier))
    t.is(others.length, 0, `${path} does more than re-export`)
  }
})

test('one file of the library imports the native package', (t) => {
  const isNative = (specifier: string) =>
    specifier.startsWith('@binary-nets/native') || specifier.includes('packages/native')
  const importers = sources.filter((path) => !path.startsWith('packages/native/') && imports(path).some(isNative))
  const tests = ['native-arguments.spec', 'native-network', 'native.spec'].map((name) => `__test__/${name}.ts`)
  t.deepEqual(importers.toSorted(), [...tests, 'bench/bases.mjs', BORDER])
})

test('nothing is called utils, helpers or common', (t) => {
  const named = folders
    .flatMap(files)
    .filter((path) => path.split('/').some((part) => /^(utils?|helpers?|common)(\.|$)/.test(part)))
  t.deepEqual(named, [])
})
