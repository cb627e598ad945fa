/** The command line of the chaos run. */
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { FAULT_NAMES, type FaultName, PLANNED_FAULT_NAMES } from './faults.ts'

export interface ChaosOptions {
  readonly minutes: number
  readonly seed: number
  readonly faults: readonly FaultName[]
  readonly json: boolean
}

/** A command line that cannot be run; one line that says why, and what to do. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

const MAX_MINUTES = 24 * 60

/** Throws UsageError; null after --help. */
export function parseOptions(words: readonly string[]): ChaosOptions | null {
  const program = new Command('chaos')
    .description('A real cluster under load, its processes killed, paused and restarted; every answer is checked.')
    .option('--minutes <m>', 'how long', parseMinutes, 1)
    .option('--seed <s>', 'the order of the faults and of what the clients do', parseSeed, 1)
    .option('--faults <names>', `comma-separated, of ${FAULT_NAMES.join(', ')}`, parseFaults, [...FAULT_NAMES])
    .option('--mode <mode>', 'replication: raft', parseMode, 'raft')
    .option('--json', 'one line of JSON on stdout', false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
  try {
    program.parse([...words], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.code === 'commander.helpDisplayed') return null
    throw new UsageError(`${error.message.replace(/^error: /, '')} See: npm run chaos -- --help`)
  }
  if (program.args.length > 0) throw new UsageError(`unknown word '${program.args[0]}'; see: npm run chaos -- --help`)
  const { minutes, seed, faults, json } = program.opts<ChaosOptions>()
  return { minutes, seed, faults, json }
}

function parseMinutes(text: string): number {
  const minutes = Number(text)
  if (!/^[\d.]+$/.test(text) || !(minutes > 0) || minutes > MAX_MINUTES) {
    throw new InvalidArgumentError(`Above 0, up to ${MAX_MINUTES}.`)
  }
  return minutes
}

function parseSeed(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('A whole number is wanted.')
  return Number(text)
}

function parseFaults(text: string): FaultName[] {
  const names = [...new Set(text.split(','))]
  const planned = names.find((name) => PLANNED_FAULT_NAMES.includes(name))
  if (planned !== undefined) {
    throw new InvalidArgumentError(`The fault ${planned} is not built yet; built are ${FAULT_NAMES.join(', ')}.`)
  }
  const faults = FAULT_NAMES.filter((fault) => names.includes(fault))
  if (faults.length !== names.length) throw new InvalidArgumentError(`Known: ${FAULT_NAMES.join(', ')}.`)
  return faults
}

function parseMode(text: string): string {
  if (text === 'raft') return text
  if (text === 'semi-sync') throw new InvalidArgumentError('semi-sync is not built yet; give raft.')
  throw new InvalidArgumentError('Known: raft.')
}
