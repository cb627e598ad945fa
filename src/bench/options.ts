/** The command line of the bench. */
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { setupError } from './bench-error.ts'
import { isScenario, isStudy, SCENARIO_NAMES, type ScenarioName, STUDY_NAMES, type StudyName } from './scenarios.ts'

export const PEER_NAMES = ['etcd', 'redis', 'redis-wait'] as const
export type PeerName = (typeof PEER_NAMES)[number]

export interface BenchOptions {
  readonly scenarios: readonly ScenarioName[]
  /** Of Quorate alone, each with a table of its own; only where they are named. */
  readonly studies: readonly StudyName[]
  readonly quick: boolean
  readonly against: readonly PeerName[]
  /** Counts of data groups of the Quorate clusters to measure; 1 is the one that is called "quorate" in the rows. Empty: peers only. */
  readonly groups: readonly number[]
  readonly rounds: number
  readonly secondsPerRun: number
  /** A file; true: stdout only; null: the table for people. */
  readonly json: string | true | null
}

const MAX_GROUPS = 16
const MAX_ROUNDS = 100

/** Throws BenchError on wrong usage; null after --help. */
export function parseOptions(words: readonly string[]): BenchOptions | null {
  const program = new Command('bench')
    .description('Measures Quorate, and the peers beside it, in interleaved rounds on this machine.')
    .argument(
      '[scenarios...]',
      `of ${SCENARIO_NAMES.join(', ')} (default: these); ${STUDY_NAMES.join(', ')}`,
      collectScenario,
      [],
    )
    .option('--against <peers>', `comma-separated, of ${PEER_NAMES.join(', ')}`, parsePeers, [])
    .option('--groups <counts>', 'Quorate with so many data groups; comma-separated', parseGroups, [1])
    .option('--peers-only', 'leave Quorate out')
    .option('--rounds <count>', 'rounds of each load (default 5, with --quick 3)', parseRounds)
    .option('--quick', 'short rounds: under 4 minutes against all peers')
    .option('--json [file]', 'one line of JSON on stdout, and into the file')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
  try {
    program.parse([...words], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.code === 'commander.helpDisplayed') return null
    throw setupError(error.message.replace(/^error: /, ''), 'see: npm run bench -- --help')
  }
  const options = program.opts<{
    against: PeerName[]
    groups: number[]
    peersOnly?: boolean
    rounds?: number
    quick?: boolean
    json?: string | true
  }>()
  if (options.peersOnly && options.against.length === 0) {
    throw setupError('--peers-only without --against leaves nothing to measure', 'name peers: --against etcd')
  }
  const named = program.processedArgs[0] as (ScenarioName | StudyName)[]
  return {
    scenarios: named.length === 0 ? SCENARIO_NAMES : named.filter(isScenario),
    studies: named.filter(isStudy),
    quick: options.quick ?? false,
    against: options.against,
    groups: options.peersOnly ? [] : options.groups,
    rounds: options.rounds ?? (options.quick ? 3 : 5),
    secondsPerRun: options.quick ? 1.8 : 5,
    json: options.json ?? null,
  }
}

function collectScenario(word: string, before: (ScenarioName | StudyName)[]): (ScenarioName | StudyName)[] {
  if (!isScenario(word) && !isStudy(word)) {
    throw new InvalidArgumentError(`Known: ${[...SCENARIO_NAMES, ...STUDY_NAMES].join(', ')}.`)
  }
  return before.includes(word) ? before : [...before, word]
}

function parsePeers(text: string): PeerName[] {
  const names = [...new Set(text.split(','))]
  const peers = PEER_NAMES.filter((peer) => names.includes(peer))
  if (peers.length !== names.length) throw new InvalidArgumentError(`Known: ${PEER_NAMES.join(', ')}.`)
  return peers
}

function parseGroups(text: string): number[] {
  const counts = [...new Set(text.split(',').map(Number))]
  if (counts.some((count) => !Number.isInteger(count) || count < 1 || count > MAX_GROUPS)) {
    throw new InvalidArgumentError(`Counts from 1 to ${MAX_GROUPS}.`)
  }
  return counts
}

function parseRounds(text: string): number {
  const rounds = Number(text)
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > MAX_ROUNDS) {
    throw new InvalidArgumentError(`From 1 to ${MAX_ROUNDS}.`)
  }
  return rounds
}
