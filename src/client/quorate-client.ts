/**
 * The client: typed calls with deadlines, over any servers of one cluster. What is read is linearizable unless asked for otherwise; a write runs once,
 * however often it had to be sent. docs/client.md has examples.
 */
import { latin1Bytes } from '../base/bytes.ts'
import { slotOf } from '../base/slot.ts'
import type { Clock } from '../ports/clock.ts'
import type { Network } from '../ports/network.ts'
import type { ReadLevel } from '../ports/request-router.ts'
import { CallEngine, type EngineOptions } from './call-engine.ts'
import { routeCommand } from './command-route.ts'
import { CommandError, UsageError } from './errors.ts'
import { joinAll, type Part } from './fan-out.ts'
import { PendingCall } from './pending-call.ts'
import { type Reply, ReplyError } from './reply.ts'
import { bytesText, type Word, wordBytes } from './text.ts'

export interface ClientOptions {
  /** `host:port` of any nodes' first RESP ports: one is enough, the others are found; several help while one is down. */
  readonly servers: readonly string[]
  /** How long a call is tried, in ms, 1 to 45,000; default 10,000. */
  readonly timeoutMs?: number
  /** Default: linearizable. */
  readonly level?: ReadLevel
  /** To each server, 1 to 64; default 2. */
  readonly connectionsPerServer?: number
  /** Default 1,000. */
  readonly connectTimeoutMs?: number
  /** A server that is silent for so long is passed over for the next one; default 2,000. */
  readonly attemptTimeoutMs?: number
  /** Calls without an answer; one more is refused with `Busy`. Default 10,000. */
  readonly maxUnanswered?: number
}

/** Of an AbortSignal, what is used. */
export interface Signal {
  readonly aborted: boolean
  readonly reason?: unknown
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

export interface CallOptions {
  readonly timeoutMs?: number
  readonly signal?: Signal | undefined
  /** Of reads; left out: the client's. */
  readonly level?: ReadLevel
}

export interface SetOptions extends CallOptions {
  /** Time to live in ms. */
  readonly px?: number
  /** Only where there is none; only where there is one. */
  readonly only?: 'if-absent' | 'if-present'
  readonly keepTtl?: boolean
}

/** `current`: what stands there instead; null: nothing. */
export type CasResult = { readonly ok: true } | { readonly ok: false; readonly current: string | null }

const MAX_TIMEOUT_MS = 45_000
const MAX_PIPELINED = 512
const NIL_EXPECTED = latin1Bytes('NX')

export class QuorateClient {
  readonly #engine: CallEngine
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #level: ReadLevel

  /** Throws UsageError. `ready` comes before the first call. */
  constructor(options: ClientOptions, network: Network, clock: Clock) {
    this.#clock = clock
    this.#timeoutMs = bounded('timeoutMs', options.timeoutMs ?? 10_000, MAX_TIMEOUT_MS)
    this.#level = options.level ?? 'linearizable'
    const { servers } = options
    if (servers.length === 0) throw new UsageError('servers: give the host:port of at least one node')
    const engine: EngineOptions = {
      servers: [...new Set(servers)],
      connectionsPerServer: bounded('connectionsPerServer', options.connectionsPerServer ?? 2, 64),
      connectTimeoutMs: bounded('connectTimeoutMs', options.connectTimeoutMs ?? 1_000, MAX_TIMEOUT_MS),
      attemptTimeoutMs: bounded('attemptTimeoutMs', options.attemptTimeoutMs ?? 2_000, MAX_TIMEOUT_MS),
      maxUnanswered: bounded('maxUnanswered', options.maxUnanswered ?? 10_000, 1_000_000),
      maxPipelined: MAX_PIPELINED,
    }
    this.#engine = new CallEngine(engine, network, clock)
  }

  /** Resolves once the slot table is there; rejects where no server gives one in time. */
  ready(timeoutMs: number = this.#timeoutMs): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#engine.table.current !== null) return resolve()
      this.#engine.table.get(timeoutMs, (error) => (error === null ? resolve() : reject(error)))
    })
  }

  /** Of the slot table; 0: there is none yet. */
  get slotTableVersion(): number {
    return this.#engine.table.current?.version ?? 0
  }

  /** The number that writes go under now; null: none was needed yet. It changes every few minutes. */
  get session(): number | null {
    return this.#engine.session
  }

  /** host:port of the node that leads the key's group, as far as known. */
  leaderOf(key: Word): string | null {
    const table = this.#engine.table.current
    if (table === null) return null
    return table.leaders.get(table.groupOf[slotOf(wordBytes(key), table.slotCount)]) ?? null
  }

  /** True where `call` sends the command to one slot, false where any node answers it, or none may be asked by call(). */
  isOfOneSlot(command: readonly Word[]): boolean {
    const table = this.#engine.table.current
    if (table === null) return false
    try {
      return routeCommand(command.map(wordBytes), table.slotCount).route.kind === 'slot'
    } catch (error) {
      if (error instanceof UsageError) return false
      throw error
    }
  }

  /** Ends all calls, with `Closed`, and all connections. */
  close(): void {
    this.#engine.close()
  }

  // --- Strings ----------------------------------------------------------------------------------------------------

  async get(key: Word, options: CallOptions = {}): Promise<string | null> {
    return textOf(await this.call(['GET', key], options))
  }

  /** The value's bytes as they are. */
  async getBytes(key: Word, options: CallOptions = {}): Promise<Uint8Array | null> {
    const reply = await this.call(['GET', key], options)
    return reply instanceof Uint8Array ? reply : null
  }

  /** False where `only` kept it from being set. */
  async set(key: Word, value: Word, options: SetOptions = {}): Promise<boolean> {
    const words: Word[] = ['SET', key, value]
    if (options.only !== undefined) words.push(options.only === 'if-absent' ? 'NX' : 'XX')
    if (options.px !== undefined) words.push('PX', options.px)
    if (options.keepTtl === true) words.push('KEEPTTL')
    return (await this.call(words, options)) !== null
  }

  /** Sets the key if it holds `expected`; null: if there is none. The comparison and the write are one step. */
  async cas(key: Word, expected: Word | null, value: Word, options: CallOptions = {}): Promise<CasResult> {
    const word = expected === null ? NIL_EXPECTED : wordBytes(expected)
    // KV.CAS takes the word NX for "absent": a key that holds just this is compared by SET.
    if (expected !== null && bytesText(word) === 'NX') {
      const old = textOf(await this.call(['SET', key, value, 'IFEQ', word, 'GET'], options))
      return old === 'NX' ? { ok: true } : { ok: false, current: old }
    }
    const reply = await this.call(['KV.CAS', key, word, value], options)
    const [done, current] = Array.isArray(reply) ? (reply as readonly Reply[]) : []
    return done === 1 ? { ok: true } : { ok: false, current: textOf(current ?? null) }
  }

  async append(key: Word, value: Word, options: CallOptions = {}): Promise<number> {
    return numberOf(await this.call(['APPEND', key, value], options))
  }

  async incr(key: Word, options: CallOptions = {}): Promise<number> {
    return numberOf(await this.call(['INCR', key], options))
  }

  async incrBy(key: Word, amount: number | bigint, options: CallOptions = {}): Promise<number> {
    return numberOf(await this.call(['INCRBY', key, amount], options))
  }

  // --- Keys -------------------------------------------------------------------------------------------------------

  /** Sets the key's time to live; false: there is no such key. */
  async expire(key: Word, ttlMs: number, options: CallOptions = {}): Promise<boolean> {
    return numberOf(await this.call(['PEXPIRE', key, ttlMs], options)) === 1
  }

  /** In ms; null: it does not expire; -1: there is no such key. */
  async ttl(key: Word, options: CallOptions = {}): Promise<number | null> {
    const ttl = numberOf(await this.call(['PTTL', key], options))
    return ttl === -1 ? null : ttl === -2 ? -1 : ttl
  }

  // --- Several keys: one call a slot, atomic within each ------------------------------------------------------------

  /** How many there were. */
  async del(keys: Word | readonly Word[], options: CallOptions = {}): Promise<number> {
    return this.#sum('DEL', listOf(keys), options)
  }

  /** How many there are. */
  async exists(keys: Word | readonly Word[], options: CallOptions = {}): Promise<number> {
    return this.#sum('EXISTS', listOf(keys), options)
  }

  async mget(keys: readonly Word[], options: CallOptions = {}): Promise<(string | null)[]> {
    const values = new Array<string | null>(keys.length).fill(null)
    await joinAll(this.#bySlot(keys), async ({ words, places }) => {
      const replies = await this.call(['MGET', ...words], options)
      const list = Array.isArray(replies) ? (replies as readonly Reply[]) : []
      for (const [i, place] of places.entries()) values[place] = textOf(list[i] ?? null)
    })
    return values
  }

  async mset(pairs: readonly (readonly [Word, Word])[], options: CallOptions = {}): Promise<void> {
    const parts = this.#bySlot(pairs.map(([key]) => key))
    await joinAll(parts, ({ places }) => this.call(['MSET', ...places.flatMap((place) => pairs[place])], options))
  }

  // --- Any command ------------------------------------------------------------------------------------------------

  /**
   * Runs a command of one slot, or one that any node answers by itself (INFO, DBSIZE, SCAN). Bulk strings come as bytes. Rejects with a QuorateClientError;
   * an error reply is a CommandError.
   */
  call(command: readonly Word[], options: CallOptions = {}): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const table = this.#engine.table.current
      if (table === null && !this.#engine.isClosed) throw new UsageError('await ready() before the first call')
      const routed = routeCommand(command.map(wordBytes), table?.slotCount ?? 1)
      const timeoutMs = bounded('timeoutMs', options.timeoutMs ?? this.#timeoutMs, MAX_TIMEOUT_MS)
      const { signal } = options
      const abort = (): void => this.#engine.abort(call, signal?.reason)
      const call = new PendingCall(
        routed,
        options.level ?? this.#level,
        this.#clock.monotonicMs() + timeoutMs,
        (error, reply) => {
          signal?.removeEventListener('abort', abort)
          if (error !== null) reject(error)
          else resolve(reply)
        },
      )
      if (signal?.aborted === true) return abort()
      signal?.addEventListener('abort', abort)
      this.#engine.begin(call)
    })
  }

  async #sum(name: string, keys: readonly Word[], options: CallOptions): Promise<number> {
    let sum = 0
    await joinAll(this.#bySlot(keys), async ({ words }) => {
      // Read `sum` only after the wait: the parts run side by side.
      const part = numberOf(await this.call([name, ...words], options))
      sum += part
    })
    return sum
  }

  #bySlot(keys: readonly Word[]): readonly Part[] {
    if (keys.length === 0) throw new UsageError('give at least one key')
    const slotCount = this.#engine.table.current?.slotCount ?? 1
    const parts = new Map<number, { words: Uint8Array[]; places: number[] }>()
    keys.forEach((key, place) => {
      const word = wordBytes(key)
      const slot = slotOf(word, slotCount)
      const part = parts.get(slot) ?? { words: [], places: [] }
      parts.set(slot, part)
      part.words.push(word)
      part.places.push(place)
    })
    return [...parts.values()]
  }
}

function listOf(keys: Word | readonly Word[]): readonly Word[] {
  return Array.isArray(keys) ? (keys as readonly Word[]) : [keys as Word]
}

function textOf(reply: Reply): string | null {
  if (reply instanceof ReplyError) throw new CommandError(reply.text)
  return reply instanceof Uint8Array ? bytesText(reply) : typeof reply === 'string' ? reply : null
}

function numberOf(reply: Reply): number {
  if (typeof reply === 'number') return reply
  if (typeof reply === 'bigint') throw new CommandError(`ERR ${reply} is beyond 2^53: use call(), which gives a bigint`)
  throw new CommandError('ERR the reply is no number')
}

function bounded(name: string, value: number, max: number): number {
  if (Number.isSafeInteger(value) && value >= 1 && value <= max) return value
  throw new UsageError(`${name}: ${value} is not a whole number from 1 to ${max}`)
}
