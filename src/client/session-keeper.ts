/** Gets the client's session when there is something to write, and a new one before it runs out; gives each write its number. */
import { latin1Bytes } from '../base/bytes.ts'
import type { Clock } from '../ports/clock.ts'
import { CommandError } from './errors.ts'
import { PendingCall } from './pending-call.ts'
import type { Reply } from './reply.ts'
import { ClientSession } from './session.ts'

const ASK_TIMEOUT_MS = 3_000
/** Kept free at its end: a write that begins late must not reach the groups after it. */
const SPARE_MS = 60_000

const SESSION_COMMAND = {
  name: 'KV.SESSION',
  words: latin1Bytes('$10\r\nKV.SESSION\r\n'),
  wordCount: 1,
  isWrite: false,
  route: { kind: 'any' },
} as const

export class SessionKeeper {
  readonly #clock: Clock
  readonly #begin: (call: PendingCall) => void
  readonly #ready: (call: PendingCall) => void
  readonly #fail: (call: PendingCall, error: Error) => void
  #session: ClientSession | null = null
  #renewAtMs = 0
  #isAsking = false
  #waiting: { readonly call: PendingCall; readonly slot: number }[] = []

  constructor(
    clock: Clock,
    begin: (call: PendingCall) => void,
    ready: (call: PendingCall) => void,
    fail: (call: PendingCall, error: Error) => void,
  ) {
    this.#clock = clock
    this.#begin = begin
    this.#ready = ready
    this.#fail = fail
  }

  get current(): number | null {
    return this.#session?.session ?? null
  }

  /** Calls `ready` once the write has its session and its number, in this event or a later one. */
  admit(call: PendingCall, slot: number): void {
    const session = this.#session
    const nowMs = this.#clock.monotonicMs()
    if (nowMs >= this.#renewAtMs) this.#ask()
    if (session === null || nowMs >= session.endsMs) {
      this.#waiting.push({ call, slot })
      return
    }
    call.session = session
    const numbers = session.numbers(slot)
    if (!numbers.hasRoom || numbers.waiting.length > 0) {
      numbers.waiting.push(call)
      return
    }
    numbers.take(call)
    this.#ready(call)
  }

  #ask(): void {
    if (this.#isAsking) return
    this.#isAsking = true
    const askedMs = this.#clock.monotonicMs()
    this.#begin(
      new PendingCall(SESSION_COMMAND, 'linearizable', askedMs + ASK_TIMEOUT_MS, (error, reply) => {
        this.#isAsking = false
        const problem = error === null ? this.#take(reply, askedMs) : error instanceof CommandError ? error : null
        this.#waiting = this.#waiting.filter(({ call }) => !call.isEnded)
        const waiting = this.#waiting
        const isUsable = this.#session !== null && this.#clock.monotonicMs() < this.#session.endsMs
        if (isUsable) {
          this.#waiting = []
          for (const { call, slot } of waiting) this.admit(call, slot)
        } else if (problem !== null) {
          // Asking again would be answered alike.
          this.#waiting = []
          for (const { call } of waiting) this.#fail(call, problem)
        } else if (waiting.length > 0) {
          // A closed client has ended all that waited.
          this.#clock.defer(() => this.#ask())
        }
      }),
    )
  }

  #take(reply: Reply, askedMs: number): Error | null {
    const fields = Array.isArray(reply) ? (reply as readonly Reply[]) : []
    const [session, lastsMs, wallMs] = fields
    if (typeof session !== 'number' || typeof lastsMs !== 'number' || typeof wallMs !== 'number') {
      return new Error('the server answers KV.SESSION with something that is no session')
    }
    this.#session = new ClientSession(session, askedMs + lastsMs - SPARE_MS, wallMs - this.#clock.monotonicMs())
    this.#renewAtMs = askedMs + lastsMs / 2
    return null
  }
}
