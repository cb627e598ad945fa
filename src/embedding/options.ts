/** From the library's options to what the rooms below want; and from their failures to the library's errors. */
import { DEFAULT_LIMITS, DEFAULT_TIMINGS, type NodeLimits, type NodeTimings } from '../node/node-config.ts'
import { type Failure, fail, type Outcome, succeed } from '../platform/failure.ts'
import { PinoLogger } from '../platform/pino-logger.ts'
import { type Logger, SILENT_LOGGER } from '../ports/logger.ts'
import type { QuorateLimits, QuorateLogger, QuorateLogLevel, QuorateOptions, QuorateTimings } from './api.ts'
import type { HostSettings } from './node-host.ts'
import { QuorateError } from './quorate-error.ts'

/**
 * Of a cluster within one process: a new leader within half a second. The nodes share one event loop, so a stall of it stops the leader's
 * heartbeats and the followers' patience alike.
 */
export const LOCAL_TIMINGS: NodeTimings = {
  ...DEFAULT_TIMINGS,
  tickMs: 10,
  heartbeatMs: 40,
  electionMsMin: 200,
  electionMsMax: 400,
}

const COMMON_OPTIONS: readonly (keyof QuorateOptions)[] = ['logger', 'timings', 'limits', 'onFatal', 'signal']
const LOG_LEVELS: readonly QuorateLogLevel[] = ['silent', 'error', 'warn', 'info']
const TIMER_MS_MAX = 2 ** 31 - 1

/** `segmentBytes` null: the least that the longest value allows. */
export interface Defaults {
  readonly timings: NodeTimings
  readonly segmentBytes: number | null
  readonly logger: QuorateLogLevel
}

export function hostSettings(
  options: QuorateOptions,
  defaults: Defaults,
  onFailure: (error: QuorateError) => void,
): Outcome<HostSettings> {
  const timings = { ...defaults.timings, ...given(options.timings) }
  const limits = limitsOf(options.limits, defaults.segmentBytes)
  const { logger = defaults.logger } = options
  const problem = timingsProblem(timings) ?? loggerProblem(logger)
  if (problem !== null) return problem
  return succeed({
    timings,
    limits,
    logger: (nodeId) => loggerOf(logger, nodeId),
    onFailure: (failure) => onFailure(errorOf(failure)),
  })
}

/** From plain JavaScript anything may come: a word that is none of the options is a typing error, and would else change nothing in silence. */
export function unknownOption(options: unknown, known: readonly string[]): Outcome<never> | null {
  if (typeof options !== 'object' || options === null) {
    return fail('usage', `the options are ${options === null ? 'null' : typeof options}`, 'give an object, or nothing')
  }
  const all = [...known, ...COMMON_OPTIONS]
  const name = Object.keys(options).find((key) => !all.includes(key))
  if (name !== undefined) return fail('usage', `there is no option '${name}'`, `there are: ${all.join(', ')}`)
  const { signal } = options as QuorateOptions
  if (signal === undefined || signal instanceof AbortSignal) return null
  return fail('usage', "'signal' is no AbortSignal", "give an AbortController's signal")
}

/** Options that are there but undefined are left to the defaults. */
function given<T extends object>(options: T | undefined): Partial<T> {
  const entries = Object.entries(options ?? {}).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as Partial<T>
}

function limitsOf(options: QuorateLimits | undefined, defaultSegmentBytes: number | null): NodeLimits {
  const limits = { ...DEFAULT_LIMITS, ...given(options) }
  const segmentBytes = options?.segmentBytes ?? defaultSegmentBytes ?? leastSegmentBytes(limits.maxValueBytes)
  // Smaller segments want earlier checkpoints: with more than eight in use the log would copy old entries forward.
  const { checkpointBytes, retainedBytesMax, ...rest } = DEFAULT_LIMITS.compaction
  const share = Math.min(1, segmentBytes / DEFAULT_LIMITS.segmentBytes)
  const compaction = {
    ...rest,
    checkpointBytes: Math.ceil(checkpointBytes * share),
    retainedBytesMax: Math.ceil(retainedBytesMax * share),
  }
  return { ...limits, segmentBytes, compaction }
}

/** node/check-limits.ts has the last word. */
function leastSegmentBytes(maxValueBytes: number): number {
  return 4096 * Math.ceil((2 * (maxValueBytes + 12 * 1024)) / 4096)
}

function timingsProblem(timings: Required<QuorateTimings>): Outcome<never> | null {
  for (const [name, value] of Object.entries(timings)) {
    if (isWithin(value, 1, TIMER_MS_MAX)) continue
    return fail('usage', `timings.${name} is ${String(value)}`, 'give milliseconds: a whole number from 1 on')
  }
  const { tickMs, heartbeatMs, electionMsMin, electionMsMax } = timings
  if (tickMs <= heartbeatMs && heartbeatMs < electionMsMin && electionMsMin <= electionMsMax) return null
  const message = 'these timings do not fit together'
  return fail('usage', message, 'choose tickMs <= heartbeatMs < electionMsMin <= electionMsMax')
}

function loggerProblem(logger: unknown): Outcome<never> | null {
  if (typeof logger === 'string' ? LOG_LEVELS.includes(logger as QuorateLogLevel) : isLogger(logger)) return null
  const message = `logger is ${typeof logger === 'string' ? `'${logger}'` : 'no logger'}`
  return fail(
    'usage',
    message,
    "give 'silent', 'error', 'warn', 'info', or an object with functions info, warn and error",
  )
}

function isLogger(logger: unknown): boolean {
  if (typeof logger !== 'object' || logger === null) return false
  const { info, warn, error } = logger as Partial<QuorateLogger>
  return [info, warn, error].every((method) => typeof method === 'function')
}

function loggerOf(logger: QuorateLogLevel | QuorateLogger, nodeId: number): Logger {
  if (logger === 'silent') return SILENT_LOGGER
  if (typeof logger === 'string') return new PinoLogger(logger, { nodeId })
  return {
    info: (event, fields) => logger.info(event, { nodeId, ...fields }),
    warn: (event, fields) => logger.warn(event, { nodeId, ...fields }),
    error: (event, fields) => logger.error(event, { nodeId, ...fields }),
  }
}

export function isWithin(value: unknown, least: number, most: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
}

/** Failures are worded for the command line: a program has options where that has flags. */
export function errorOf({ code, message, mend }: Failure, cause?: unknown): QuorateError {
  return new QuorateError(code, inProgram(message), inProgram(mend), cause === undefined ? undefined : { cause })
}

/** Not within back-quotes: there it is a command. */
function inProgram(text: string): string {
  const flags = /(^|\s)--(nodes|groups|replicas|slots|data|host|port)\b/g
  return text
    .split('`')
    .map((part, position) => (position % 2 === 0 ? part.replaceAll(flags, "$1'$2'") : part))
    .join('`')
}

/** The value, or the failure thrown as the library's error. */
export function orThrow<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value
  throw errorOf(outcome.failure)
}

/** A broken promise is told where somebody listens, and else thrown where nobody catches it; never inside the node's code. */
export function fatalReporter({ onFatal }: QuorateOptions, nodeId: number): (error: QuorateError) => void {
  return (error) =>
    queueMicrotask(() => {
      if (onFatal === undefined) throw error
      onFatal(error, nodeId)
    })
}

export function abortedError(signal: AbortSignal): QuorateError {
  const message = 'the start was given up: its signal was aborted'
  return new QuorateError('aborted', message, 'start again', { cause: signal.reason })
}
