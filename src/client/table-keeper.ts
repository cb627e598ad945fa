/** The client's copy of the slot table: got by one question at a time, whoever wants it newer, and looked at again now and then while it is used. */
import { latin1Bytes } from '../base/bytes.ts'
import type { Clock } from '../ports/clock.ts'
import { PendingCall } from './pending-call.ts'
import type { Reply } from './reply.ts'
import { parseSlotTable, type SlotTable, withLeadersOf } from './slot-table.ts'
import { bytesText } from './text.ts'

const ASK_TIMEOUT_MS = 3_000
/** Leaders change without a new version. */
const OLD_AFTER_MS = 5_000
/** Between two questions that nobody waits for. */
const PAUSE_MS = 100

const TABLE_COMMAND = {
  name: 'KV.TABLE',
  words: latin1Bytes('$8\r\nKV.TABLE\r\n'),
  wordCount: 1,
  isWrite: false,
  route: { kind: 'any' },
} as const

export class TableKeeper {
  current: SlotTable | null = null
  readonly #clock: Clock
  readonly #begin: (call: PendingCall) => void
  #isAsking = false
  #askedMs = Number.NEGATIVE_INFINITY
  /** Run after the next table, or the failure to get one. */
  #waiting: ((error: Error | null) => void)[] = []

  constructor(clock: Clock, begin: (call: PendingCall) => void) {
    this.#clock = clock
    this.#begin = begin
  }

  refreshWhenOld(): void {
    if (this.#clock.monotonicMs() - this.#askedMs > OLD_AFTER_MS) this.#ask(null, ASK_TIMEOUT_MS)
  }

  /** Something hints that it is out of date. */
  refresh(): void {
    if (this.#clock.monotonicMs() - this.#askedMs > PAUSE_MS) this.#ask(null, ASK_TIMEOUT_MS)
  }

  /** Gets a table at any price; calls back in a later event. */
  get(timeoutMs: number, done: (error: Error | null) => void): void {
    this.#waiting.push(done)
    this.#ask(null, timeoutMs)
  }

  /** Calls back with a table of this version or a later one, or after one question to the server that knows of it. */
  atLeast(version: number, address: string, done: () => void): void {
    if (this.current !== null && this.current.version >= version) return this.#clock.defer(done)
    this.#waiting.push(() => done())
    this.#ask(address, ASK_TIMEOUT_MS)
  }

  #ask(address: string | null, timeoutMs: number): void {
    if (this.#isAsking) return
    this.#isAsking = true
    this.#askedMs = this.#clock.monotonicMs()
    const call = new PendingCall(TABLE_COMMAND, 'linearizable', this.#askedMs + timeoutMs, (error, reply) => {
      this.#isAsking = false
      const problem = error ?? this.#take(reply)
      const waiting = this.#waiting
      this.#waiting = []
      for (const done of waiting) this.#clock.defer(() => done(problem))
    })
    call.preferred = address
    this.#begin(call)
  }

  #take(reply: Reply): Error | null {
    const table = reply instanceof Uint8Array ? parseSlotTable(bytesText(reply)) : null
    if (table === null) return new Error('the server answers KV.TABLE with something that is no slot table')
    // A node that lags behind knows less than what we have.
    if (this.current === null || table.version >= this.current.version)
      this.current = withLeadersOf(this.current, table)
    return null
  }
}
