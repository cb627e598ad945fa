/**
 * `npm run chaos`: real processes under load and faults. Exit codes: 0 nothing was found, 1 a violation (the cluster's data is then kept),
 * 2 usage, set-up, or too few operations to conclude. Under --json one line on stdout; what goes on is told on stderr.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT_FAILED, EXIT_GOOD, EXIT_USAGE, type ExitCode } from '../cli/exit.ts'
import { type ChaosReport, ChaosRun } from './chaos-run.ts'
import { destroyClusters, startCluster } from './dev-cluster.ts'
import { type ChaosOptions, parseOptions, UsageError } from './options.ts'

/** Fewer acknowledged commands than this prove nothing. */
const MIN_ACKNOWLEDGED = 1_000
const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

function say(text: string): void {
  process.stderr.write(`chaos: ${text}\n`)
}

async function main(directory: string): Promise<ExitCode> {
  let options: ChaosOptions | null
  try {
    options = parseOptions(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    say(error.message)
    return EXIT_USAGE
  }
  if (options === null) return EXIT_GOOD
  const data = join(directory, 'data')
  const cluster = await startCluster({ data })
  const report = await new ChaosRun(options, cluster, say).run()
  await destroyClusters()
  print(report, options)
  if (report.violations.length > 0) {
    say(`the nodes' data and logs are kept in ${data}`)
    return EXIT_FAILED
  }
  return conclusive(report) ? EXIT_GOOD : EXIT_USAGE
}

function conclusive(report: ChaosReport): boolean {
  const faults = Object.values(report.faults).reduce((sum, count) => sum + count, 0)
  if (report.acknowledged < MIN_ACKNOWLEDGED) say(`only ${report.acknowledged} commands were acknowledged`)
  for (const key of report.undecided) say(`the checker could not decide about ${key}`)
  return report.acknowledged >= MIN_ACKNOWLEDGED && faults > 0 && report.undecided.length === 0
}

function print(report: ChaosReport, options: ChaosOptions): void {
  if (options.json) {
    process.stdout.write(`${JSON.stringify(report)}\n`)
    return
  }
  const lines = [
    `${report.operations} operations, ${report.acknowledged} acknowledged, ${report.unknown} unknown; seed ${report.seed}`,
    ...Object.entries(report.faults).map(([fault, count]) => {
      const without = report.unavailableMs[fault as keyof ChaosReport['unavailableMs']]
      return `${fault} x ${count}${without ? `: without writes ${without.median} ms (median), ${without.max} ms (longest)` : ''}`
    }),
    report.violations.length === 0 ? 'no violation' : `${report.violations.length} violations`,
    ...report.violations,
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}

const directory = mkdtempSync(join(tmpdir(), 'quorate-chaos-'))
let interrupted = false
for (const [signal, number] of Object.entries(SIGNAL_NUMBERS)) {
  process.once(signal, () => {
    interrupted = true
    say(`${signal}: stopping the cluster`)
    destroyClusters().finally(() => end(128 + number))
  })
}

/** The data of a run that found something stays. */
function end(code: number): never {
  if (code !== EXIT_FAILED) rmSync(directory, { recursive: true, force: true })
  process.exit(code)
}

main(directory).then(
  (code) => {
    if (!interrupted) end(code)
  },
  async (error: unknown) => {
    if (interrupted) return
    say(error instanceof Error ? (error.stack ?? error.message) : String(error))
    await destroyClusters()
    end(EXIT_USAGE)
  },
)
