import { parseArgs } from 'node:util'
import { BinaryNetsError, type RunOptions } from '../index.js'

/** One command of the command line. */
export interface Command {
  /** What it does, in a line. */
  readonly about: string
  /** Its arguments, as help shows them; a last one that ends in `...` stands for one or more. */
  readonly args: readonly string[]
  /** Its options by name. One with a `value` takes one. */
  readonly options: Readonly<Record<string, Option>>
  /** Does it. */
  run(args: readonly string[], options: Options): Promise<void>
}

interface Option {
  readonly about: string
  /** What its value is, as help shows it. */
  readonly value?: string
  /** The option as one letter. */
  readonly short?: string
}

/** The options that were given: text, or true for one without a value. */
export type Options = Readonly<Record<string, string | boolean | undefined>>

/** A command line that makes no sense. */
export class UsageError extends Error {}

/** Reads what follows a command's name, and runs the command. */
export async function run(name: string, command: Command, argv: readonly string[]): Promise<void> {
  const { args } = command
  const { values, positionals } = parse(name, command, argv)
  const isOpen = args.at(-1)?.endsWith('...') === true
  const missing = args[positionals.length]
  if (missing !== undefined) throw new UsageError(`${name}: <${missing}> is missing`)
  if (positionals.length > args.length && !isOpen) {
    throw new UsageError(`${name}: ${positionals[args.length]} is one argument too many`)
  }
  await command.run(positionals, values)
}

function parse(
  name: string,
  { options }: Command,
  argv: readonly string[],
): { values: Options; positionals: string[] } {
  const entries = Object.entries(options).map(([name, { value, short }]) => {
    return [name, { type: value === undefined ? 'boolean' : 'string', ...(short && { short }) }]
  })
  const { values, positionals, tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(entries),
    allowPositionals: true,
    strict: false,
    tokens: true,
  })
  const flags = Object.entries(options).flatMap(([name, { short }]) => [`--${name}`, ...(short ? [`-${short}`] : [])])
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const { rawName, value, inlineValue } = token
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined
    if (option === undefined) {
      const known = flags.filter((flag) => flag.startsWith('--')).join(', ')
      throw new UsageError(
        `${name}: there is no option ${rawName}; ${known === '' ? 'it has none' : `there are: ${known}`}`,
      )
    }
    if (option.value === undefined && value !== undefined) throw new UsageError(`${name}: ${rawName} takes no value`)
    if (option.value !== undefined && (value === undefined || (!inlineValue && flags.includes(value)))) {
      throw new UsageError(`${name}: ${rawName} wants a value, <${option.value}>`)
    }
  }
  // No option may be given as a list.
  return { values: values as Options, positionals }
}

/** How a command is typed, and its options. */
export function help(name: string, { about, args, options }: Command): string {
  const rows = Object.entries(options).map(([name, { about, value, short }]) => {
    const flag = `${short ? `-${short}, ` : '    '}--${name}${value === undefined ? '' : ` <${value}>`}`
    return `  ${flag.padEnd(28)}${about}`
  })
  return [usage(name, args), '', about, ...(rows.length > 0 ? ['', ...rows] : [])].join('\n')
}

/** `binary-nets predict <model> <image...>` */
export function usage(name: string, args: readonly string[]): string {
  return ['binary-nets', name, ...args.map((arg) => `<${arg}>`)].join(' ')
}

/** The text of an option. */
export function text(options: Options, name: string): string | undefined {
  const value = options[name]
  return typeof value === 'string' ? value : undefined
}

/** A number of the command line. */
export function number(name: string, value: string): number {
  const number = Number(value)
  if (value.trim() !== '' && Number.isFinite(number)) return number
  throw new BinaryNetsError('BNETS_ARGUMENT', `--${name} should be a number, got ${value}`)
}

/** A number of things, 1 or more. */
export function count(name: string, value: string): number {
  const count = number(name, value)
  if (Number.isInteger(count) && count >= 1) return count
  throw new BinaryNetsError('BNETS_ARGUMENT', `--${name} should be a whole number from 1 on, got ${value}`)
}

/** Where a network runs: on so many threads, with the instruction set of `--isa`. What is none is refused there. */
export function runOptions(options: Options, threads: number | undefined): RunOptions {
  const isa = text(options, 'isa') as RunOptions['isa']
  return { ...(threads !== undefined && { threads }), ...(isa !== undefined && { isa }) }
}
