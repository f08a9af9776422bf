import { BinaryNetsError, version } from '../index.js'
import { bench } from './bench.js'
import { type Command, help, run, UsageError, usage } from './command.js'
import { evaluate } from './evaluate.js'
import { exportModel } from './export.js'
import { freeze } from './freeze.js'
import { importModel } from './import.js'
import { inspect } from './inspect.js'
import { plan } from './plan.js'
import { predict } from './predict.js'
import { profile } from './profile.js'

const commands: Readonly<Record<string, Command>> = {
  freeze,
  inspect,
  predict,
  eval: evaluate,
  profile,
  plan,
  bench,
  export: exportModel,
  import: importModel,
}

/** Runs one command line. The exit code: 0, 1 for what could not be done, 2 for a command line that makes no sense. */
export async function main(argv: readonly string[]): Promise<number> {
  const [name = '', ...rest] = argv
  try {
    if (['help', '--help', '-h'].includes(name)) console.log(all())
    else if (['--version', '-v'].includes(name)) console.log(version())
    else if (name === '') throw new UsageError(all())
    else {
      const command = Object.hasOwn(commands, name) ? commands[name] : undefined
      if (command === undefined) {
        throw new UsageError(`there is no command ${name}; there are: ${Object.keys(commands).join(', ')}`)
      }
      if (rest.includes('--help') || rest.includes('-h')) console.log(help(name, command))
      else await run(name, command, rest)
    }
    return 0
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`)
    return error instanceof UsageError ? 2 : 1
  }
}

/** The commands. */
function all(): string {
  const rows = Object.entries(commands).map(([name, { about, args }]) => `  ${usage(name, args).padEnd(44)}${about}`)
  return [`binary-nets ${version()}`, '', ...rows, '', 'binary-nets <command> --help tells its options.'].join('\n')
}

/** An error as a person at a terminal wants it: without a stack, unless it is our own fault. */
function explain(error: unknown): string {
  if (error instanceof UsageError) return error.message
  if (!(error instanceof BinaryNetsError)) return error instanceof Error ? (error.stack ?? '') : String(error)
  const stack = error.code === 'BNETS_INTERNAL' ? `\n${error.stack}` : ''
  return `${error.code}${error.node === undefined ? '' : ` at '${error.node}'`}: ${error.message}${stack}`
}
