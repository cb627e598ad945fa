/**
 * What the door measures: how long requests take, from dispatch to reply; what errors they are answered with; what goes through in a
 * second. The clock is read once for each chunk of bytes and once for each turn's replies, not for each request: what is measured is
 * right to within such a batch. Only commands that the door runs itself, and that are not fast, are timed one by one.
 */
import { latin1Text } from '../../base/bytes.ts'
import { decodeCommand } from '../../protocol/command.ts'
import { arrayElements, isErrorReply } from '../../protocol/resp-reply.ts'
import type { CommandStats } from './command-stats.ts'
import type { RespConnection } from './connection.ts'
import type { Door, DoorCommand } from './door.ts'
import { LatencyMonitor } from './latency-monitor.ts'
import { RateMeter } from './rate-meter.ts'
import type { Request } from './request.ts'
import { Slowlog, shortWords } from './slowlog.ts'
import { wordView } from './words.ts'

/** Codes are our own words, so there are few; a bound nevertheless. */
const MAX_ERROR_CODES = 128
const OTHER_CODES = 'OTHER'
/** Redis looks no further for the end of a code. */
const MAX_CODE_BYTES = 32
const SPACE = 0x20
const CR = 0x0d

export class Measures {
  readonly slowlog = new Slowlog()
  readonly latency = new LatencyMonitor()
  readonly rates: RateMeter
  /** Error replies by code. */
  errors: Map<string, number> = new Map()
  /** Monotonic, as of the batch at hand. */
  nowMs: number

  readonly #door: Door
  /** False between the turns: nowMs is old. */
  #current = false
  #tracking = true
  /** The least duration that the slow log or the latency monitor want to hear of. */
  #slowMs = Number.POSITIVE_INFINITY

  constructor(door: Door) {
    this.#door = door
    this.nowMs = door.clock.monotonicMs()
    this.rates = new RateMeter(this.nowMs)
  }

  configChanged(): void {
    const { slowerThanUs, latencyThresholdMs, latencyTracking, slowlogMaxLength } = this.#door.config
    const slowlogMs = slowerThanUs < 0 ? Number.POSITIVE_INFINITY : slowerThanUs / 1000
    const latencyMs = latencyThresholdMs === 0 ? Number.POSITIVE_INFINITY : latencyThresholdMs
    this.#slowMs = Math.min(slowlogMs, latencyMs)
    this.#tracking = latencyTracking
    this.slowlog.trim(slowlogMaxLength)
  }

  reset(): void {
    this.errors = new Map()
    this.rates.reset(this.nowMs)
    for (const command of this.#door.commands) resetStats(command)
  }

  /** A batch begins: the clock is read. */
  tick(): number {
    this.nowMs = this.#door.clock.monotonicMs()
    // The turn's end is heard of through the flush: without it a reply of a later turn would be timed by this one's clock.
    if (!this.#current) this.#door.scheduleFlush()
    this.#current = true
    this.rates.sample(this.nowMs, this.#door.stats)
    return this.nowMs
  }

  /** The turn is over: the next reply reads the clock again. */
  turnEnded(): void {
    this.#current = false
  }

  /** A request that was dispatched has its reply. */
  answered(connection: RespConnection, request: Request, command: DoorCommand, reply: Uint8Array): void {
    if (!this.#current) this.tick()
    const ms = this.nowMs - request.startedMs
    const { stats } = command
    this.#door.stats.commandsProcessed++
    stats.calls++
    stats.ms += ms
    if (this.#tracking) stats.measured(ms)
    if (request.queued !== null) this.#inTransaction(request.queued, reply)
    if (reply[0] === 0x2d) stats.failed++
    if (ms >= this.#slowMs) this.#slow(connection, request, command, ms)
  }

  /** A request that was refused before it ran. */
  rejected(command: DoorCommand | null): void {
    if (command !== null) command.stats.rejected++
  }

  /** Every error reply, whatever it answers. */
  error(reply: Uint8Array): void {
    this.#door.stats.errorReplies++
    let end = 1
    while (end < reply.length && end <= MAX_CODE_BYTES && reply[end] !== SPACE && reply[end] !== CR) end++
    const code = reply[end] === SPACE ? latin1Text(reply, 1, end) : 'ERR'
    const known = this.errors.has(code) || this.errors.size < MAX_ERROR_CODES
    const counted = known ? code : OTHER_CODES
    this.errors.set(counted, (this.errors.get(counted) ?? 0) + 1)
  }

  /** Commands that ran inside EXEC are counted, and their errors; the time is EXEC's. */
  #inTransaction(queued: readonly { readonly door: DoorCommand }[], reply: Uint8Array): void {
    const elements = arrayElements(reply)
    if (elements === null) return
    for (let i = 0; i < queued.length; i++) {
      const { stats } = queued[i].door
      this.#door.stats.commandsProcessed++
      stats.calls++
      if (!isErrorReply(elements[i])) continue
      stats.failed++
      this.error(elements[i])
    }
  }

  #slow(connection: RespConnection, request: Request, command: DoorCommand, ms: number): void {
    const { config, clock } = this.#door
    const unixSeconds = Math.floor(clock.wallMs() / 1000)
    if (config.latencyThresholdMs > 0 && ms >= config.latencyThresholdMs) {
      this.latency.add(command.spec.flags.includes('fast') ? 'fast-command' : 'command', unixSeconds, Math.floor(ms))
    }
    if (config.slowerThanUs < 0 || ms * 1000 < config.slowerThanUs || command.spec.flags.includes('skip_slowlog'))
      return
    const { address, name } = connection.client
    const words = wordsOf(connection, request, command)
    const entry = { unixSeconds, durationUs: Math.floor(ms * 1000), words, address, name }
    this.slowlog.push(entry, config.slowlogMaxLength)
  }
}

/** The request's words, from where they still are. */
function wordsOf(connection: RespConnection, request: Request, command: DoorCommand): string[] {
  if (request.words !== null) return request.words
  const names = command.fullName.split('|')
  if (request.command.length > 0 && request.queued === null) {
    const { args } = decodeCommand(request.command)
    const named = names.map((name) => Uint8Array.from(name, (letter) => letter.charCodeAt(0)))
    const all = [...named, ...args]
    return shortWords(all.length, (i) => all[i])
  }
  const words = connection.wordsAtHand()
  return words === null ? names : shortWords(words.wordCount, (i) => wordView(words, i))
}

function resetStats(command: { readonly stats: CommandStats; readonly subcommands: DoorCommand['subcommands'] }): void {
  command.stats.reset()
  for (const inner of command.subcommands?.values() ?? []) inner.stats.reset()
}
