/** `quorate verify`: clients that never stop checking, while servers die, slots move and views change around them. Exit codes: 0, 1 a violation, 2 too little seen. */
import { QuorateClientError } from '../../client/index.ts'
import { type Failure, fail } from '../../platform/failure.ts'
import { EXIT_FAILED, EXIT_GOOD, EXIT_USAGE, type ExitCode, reportFailure } from '../exit.ts'
import { clientAddress, parseAddresses } from '../prompt/cluster-addresses.ts'
import { runVerify, type VerifyMode, type VerifyReport } from './verify-run.ts'

export interface VerifyCommandOptions {
  readonly addr: string
  readonly minutes: string
  readonly prefix: string
  readonly clients: number
  readonly mode: string
  readonly thinkMs: number
  readonly json?: boolean
  readonly keep?: boolean
}

const MODES: readonly VerifyMode[] = ['all', 'own-keys', 'contended-cas']
const MAX_MINUTES = 7 * 24 * 60
const MAX_CLIENTS = 256
const MAX_PREFIX_BYTES = 256
/** With fewer answers a client has not seen enough to speak of. */
const LEAST_OPERATIONS_EACH = 10

export const VERIFY_HELP = `
Each client works on keys of its own (set, get, compare-and-set, delete, count), writes every value once and checks every answer; four
more change one register by compare-and-set, and three watch that no read is older than what was acknowledged. Writes of unknown
outcome are allowed to have happened, or not, but only once. The keys lie under --prefix and are deleted at the end.

  quorate verify --minutes 10
  quorate verify --addr 127.0.0.1:7379,127.0.0.1:7389 --mode contended-cas --json`

export async function runVerifyCommand(options: VerifyCommandOptions): Promise<ExitCode> {
  const json = options.json === true
  const refuse = (failure: Failure): ExitCode => {
    reportFailure(failure, json)
    return EXIT_USAGE
  }
  const addresses = parseAddresses(options.addr)
  if (!addresses.ok) return refuse(addresses.failure)
  const problem = checkOptions(options)
  if (problem !== null) return refuse(problem)
  const seconds = Number(options.minutes) * 60
  if (!json) process.stdout.write(`verifying ${addresses.value.join(', ')} for ${seconds} s; Ctrl-C ends it early\n`)
  try {
    const report = await runVerify({
      servers: addresses.value.map(clientAddress),
      seconds,
      prefix: options.prefix,
      clients: options.clients,
      mode: options.mode as VerifyMode,
      thinkMs: options.thinkMs,
      keep: options.keep === true,
      signal: stopSignal(),
    })
    process.stdout.write(json ? `${JSON.stringify(report)}\n` : page(report))
    return verdictOf(report).code
  } catch (error) {
    if (!(error instanceof QuorateClientError)) throw error
    const mend = 'start a cluster with `npm start` or `quorate dev`, or name a node with --addr HOST:PORT'
    return refuse(fail('no-node', error.message, mend).failure)
  }
}

function checkOptions(options: VerifyCommandOptions): Failure | null {
  const minutes = Number(options.minutes)
  if (!/^\d+(\.\d+)?$/.test(options.minutes) || minutes <= 0 || minutes > MAX_MINUTES) {
    return fail('usage', `--minutes ${options.minutes}: no number above 0 and up to ${MAX_MINUTES}`, 'give 0.5, say')
      .failure
  }
  if (options.clients < 1 || options.clients > MAX_CLIENTS) {
    return fail('usage', `--clients ${options.clients}: 1 to ${MAX_CLIENTS}`, 'give another number').failure
  }
  if (Buffer.byteLength(options.prefix) > MAX_PREFIX_BYTES) {
    return fail('usage', `--prefix is longer than ${MAX_PREFIX_BYTES} bytes`, 'give a shorter one').failure
  }
  if (/[{}]/.test(options.prefix)) {
    return fail('usage', `--prefix ${options.prefix}: braces would put all keys into one slot`, 'leave them out')
      .failure
  }
  if (!MODES.includes(options.mode as VerifyMode)) {
    return fail('usage', `--mode ${options.mode}: unknown`, `one of ${MODES.join(', ')}`).failure
  }
  return null
}

interface Verdict {
  readonly code: ExitCode
  readonly text: string
}

function verdictOf(report: VerifyReport): Verdict {
  const { violations, operations, clients } = report
  const least = clients * LEAST_OPERATIONS_EACH
  if (violations.length > 0) return { code: EXIT_FAILED, text: `WRONG: ${violations.length} violations` }
  if (operations < least) {
    return { code: EXIT_USAGE, text: `nothing concluded: ${operations} operations, ${least} are wanted` }
  }
  return { code: EXIT_GOOD, text: 'all answers were right' }
}

function page(report: VerifyReport): string {
  const { latencyMs, errors } = report
  const lines = [
    `${report.operations} operations by ${report.clients} clients in ${report.seconds} s (${report.opsPerSecond}/s); ${report.uncertain} uncertain, ${report.failed} failed`,
    `latency p50 ${latencyMs.p50} ms, p99 ${latencyMs.p99} ms, p99.9 ${latencyMs.p999} ms, max ${latencyMs.max} ms; longest pause ${report.longestPauseMs} ms`,
    ...Object.entries(errors).map(([text, count]) => `  ${count} x ${text}`),
    ...report.violations.map((violation) => `VIOLATION ${violation}`),
    verdictOf(report).text,
  ]
  if (report.kept) lines.push(`the keys are still there, under ${report.prefix}`)
  return `${lines.join('\n')}\n`
}

/** Ctrl-C once ends the run with its verdict; twice ends the process. */
function stopSignal(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(EXIT_FAILED)
      controller.abort()
    })
  }
  return controller.signal
}
