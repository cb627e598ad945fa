/**
 * `npm run simulate`: seeds on worker threads, one line of JSON at the end. Exit codes: 0 clean (or, with --mutation, caught), 1 a violation,
 * 2 usage or too little happened. A failing seed replays exactly: `npm run simulate -- --seed S --seeds 1`.
 */
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { COMMANDS_BY_NAME } from '../protocol/command-table.ts'
import { SIM_MUTATIONS } from './mutations.ts'
import { RUN_KINDS, type RunKind, runSeed, type SeedResult } from './run-seed.ts'

interface Job {
  readonly seed: number
  readonly mutation: string | null
  readonly kind: RunKind | undefined
  readonly verbose: boolean
}

interface Options {
  readonly seeds?: number
  readonly seed: number
  readonly minutes?: number
  readonly workers: number
  readonly mode: string
  readonly kind?: RunKind
  readonly mutation?: string
  readonly listMutations: boolean
  readonly json: boolean
}

function work(): void {
  const port = parentPort
  if (port === null) throw new Error('a worker has a parent')
  port.on('message', (job: Job) => {
    const mutation = SIM_MUTATIONS.find((one) => one.name === job.mutation)
    const log = (level: string) => (event: string, fields?: unknown) =>
      process.stderr.write(`${level} ${event} ${JSON.stringify(fields ?? {})}\n`)
    const logger = job.verbose ? { info: log('info'), warn: log('warn'), error: log('error') } : undefined
    port.postMessage(runSeed(job.seed, { mutation, stopEarly: mutation !== undefined, logger }, job.kind))
  })
}

interface Totals {
  seeds: number
  failed: number[]
  tooLittle: number[]
  virtualSeconds: number
  operationsOk: number
  operationsUnknown: number
  faults: Record<string, number>
  coverage: Record<string, number>
  commands: Record<string, number>
  traceHash: number
}

/** Of the table: how many, how many of them were answered without an error, and the others by name. */
interface CommandCoverage {
  readonly inTable: number
  readonly acknowledged: number
  readonly missing: readonly string[]
  readonly counts: Readonly<Record<string, number>>
}

/** Containers run as their subcommands. */
function commandCoverage(counts: Readonly<Record<string, number>>): CommandCoverage {
  const names = [...COMMANDS_BY_NAME.values()].filter((spec) => spec.subcommands.length === 0 || counts[spec.name] > 0)
  const missing = names.map((spec) => spec.name).filter((name) => counts[name] === undefined)
  return { inTable: names.length, acknowledged: names.length - missing.length, missing, counts }
}

function add(totals: Totals, result: SeedResult): void {
  totals.seeds++
  if (result.violations.length > 0) totals.failed.push(result.seed)
  else if (result.tooLittle !== null) totals.tooLittle.push(result.seed)
  totals.virtualSeconds += result.virtualSeconds
  totals.operationsOk += result.operationsOk
  totals.operationsUnknown += result.operationsUnknown
  for (const [name, count] of Object.entries(result.faults)) totals.faults[name] = (totals.faults[name] ?? 0) + count
  for (const [name, count] of Object.entries(result.coverage))
    totals.coverage[name] = (totals.coverage[name] ?? 0) + count
  for (const [name, count] of Object.entries(result.commands))
    totals.commands[name] = (totals.commands[name] ?? 0) + count
  // Order of completion differs between runs; the sum does not.
  totals.traceHash = (totals.traceHash + Number.parseInt(result.traceHash, 16)) >>> 0
}

async function simulate(options: Options): Promise<number> {
  const totals: Totals = {
    seeds: 0,
    failed: [],
    tooLittle: [],
    virtualSeconds: 0,
    operationsOk: 0,
    operationsUnknown: 0,
    faults: {},
    coverage: {},
    commands: {},
    traceHash: 0,
  }
  const untilMs = options.minutes === undefined ? Number.POSITIVE_INFINITY : Date.now() + options.minutes * 60_000
  const seeds = options.seeds ?? (options.minutes === undefined ? 20 : Number.POSITIVE_INFINITY)
  let next = 0
  let caughtBy: number | null = null
  const take = (): number | null => {
    if (next >= seeds || Date.now() >= untilMs || (options.mutation !== undefined && caughtBy !== null)) return null
    return options.seed + next++
  }
  const onResult = (result: SeedResult): void => {
    add(totals, result)
    for (const violation of result.violations) process.stderr.write(`seed ${result.seed}: ${violation}\n`)
    if (result.violations.length === 0 && result.tooLittle !== null) {
      process.stderr.write(`seed ${result.seed} does not count: ${result.tooLittle}\n`)
    }
    if (result.violations.length > 0) caughtBy ??= result.seed
    if (totals.seeds % 50 === 0) process.stderr.write(`${totals.seeds} seeds, ${totals.failed.length} failed\n`)
  }
  await Promise.all(Array.from({ length: options.workers }, () => runWorker(take, onResult, options)))
  totals.failed.sort((a, b) => a - b)
  const { traceHash, tooLittle, commands, ...rest } = totals
  const summary: Summary = {
    ...rest,
    coverage: { ...rest.coverage, commands: commandCoverage(commands) },
    tooLittle,
    ...(options.mutation === undefined ? {} : { mutation: options.mutation, caughtBy }),
    traceHash: traceHash.toString(16).padStart(8, '0'),
  }
  if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`)
  else printSummary(summary, options)
  if (options.mutation !== undefined) return caughtBy === null ? 1 : 0
  if (totals.failed.length > 0) return 1
  return totals.tooLittle.length > 0 || totals.seeds === 0 ? 2 : 0
}

function runWorker(take: () => number | null, onResult: (result: SeedResult) => void, options: Options): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url))
    const feed = (): void => {
      const seed = take()
      if (seed === null) {
        void worker.terminate().then(() => resolve())
        return
      }
      const { mutation = null, kind } = options
      const job: Job = { seed, mutation, kind, verbose: options.seeds === 1 }
      worker.postMessage(job)
    }
    worker.on('message', (result: SeedResult) => {
      onResult(result)
      feed()
    })
    worker.on('error', reject)
    feed()
  })
}

interface Summary extends Omit<Totals, 'traceHash' | 'coverage' | 'commands'> {
  readonly coverage: Readonly<Record<string, number | CommandCoverage>> & { readonly commands: CommandCoverage }
  readonly traceHash: string
  readonly caughtBy?: number | null
}

function printSummary(summary: Summary, options: Options): void {
  const { commands, ...coverage } = summary.coverage
  const lines = [
    `${summary.seeds} seeds from ${options.seed}: ${summary.failed.length} failed${summary.failed.length > 0 ? ` (${summary.failed.join(' ')})` : ''}`,
    `${summary.virtualSeconds} virtual seconds, ${summary.operationsOk} operations acknowledged, ${summary.operationsUnknown} unknown`,
    `faults ${JSON.stringify(summary.faults)}`,
    `coverage ${JSON.stringify(coverage)}`,
    `commands ${commands.acknowledged} of the table's ${commands.inTable} answered without an error${commands.missing.length > 0 ? `, not: ${commands.missing.join(' ')}` : ''}`,
    `trace ${summary.traceHash}`,
  ]
  if (options.mutation !== undefined) {
    lines.push(
      summary.caughtBy === null
        ? `mutation ${options.mutation}: NOT caught`
        : `mutation ${options.mutation}: caught by seed ${summary.caughtBy}`,
    )
  }
  process.stdout.write(`${lines.join('\n')}\n`)
}

function whole(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('a whole number is wanted.')
  return Number(text)
}

async function main(): Promise<number> {
  const program = new Command('simulate')
    .description('run the whole server under a seeded scheduler with faults, and check every step')
    .option('--seeds <n>', 'how many seeds (default: 20, or as many as --minutes allows)', whole)
    .option('--seed <first>', 'the first seed', whole, 1)
    .option('--minutes <m>', 'start no new seed after this long', Number)
    .option('--workers <w>', 'threads', whole, Math.max(1, availableParallelism()))
    .option('--mode <mode>', 'replication: raft', 'raft')
    .addOption(
      new Option(
        '--kind <kind>',
        'groups, cluster (default: by turns), crash: one move and one fault, or recovery: the masters are lost',
      ).choices(RUN_KINDS),
    )
    .option('--mutation <name>', 'put this known bug back in, and end when it is caught')
    .option('--list-mutations', 'name the known bugs', false)
    .option('--json', 'one line of JSON on stdout', false)
    .exitOverride()
  program.parse()
  const options = program.opts<Options>()
  if (options.listMutations) {
    if (options.json) process.stdout.write(`${JSON.stringify({ mutations: SIM_MUTATIONS.map((one) => one.name) })}\n`)
    else for (const { name, what } of SIM_MUTATIONS) process.stdout.write(`${name.padEnd(28)}${what}\n`)
    return 0
  }
  if (options.mode !== 'raft') {
    process.stderr.write(`simulate: --mode ${options.mode} is not built yet; give --mode raft\n`)
    return 2
  }
  if (options.mutation !== undefined && !SIM_MUTATIONS.some((one) => one.name === options.mutation)) {
    process.stderr.write(`simulate: no mutation ${options.mutation}; see --list-mutations\n`)
    return 2
  }
  return simulate(options)
}

if (isMainThread) {
  try {
    process.exitCode = await main()
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode === 0 ? 0 : 2
  }
} else work()
