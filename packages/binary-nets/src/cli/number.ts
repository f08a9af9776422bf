import { BinaryNetsError } from '../index.js'

/** A number of the command line. */
export function number(command: string, option: string, value: unknown): number {
  const number = Number(value)
  if (value !== '' && value !== true && Number.isFinite(number)) return number
  throw new BinaryNetsError('BNETS_ARGUMENT', `${command}: ${option} should be a number, got ${value}`)
}

/** Numbers with commas between them. */
export function numbers(command: string, option: string, value: unknown): number[] {
  return String(value)
    .split(',')
    .map((part) => number(command, option, part))
}
