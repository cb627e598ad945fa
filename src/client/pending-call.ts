/** One call from its beginning to its one end, over as many attempts as it takes. */
import type { ReadLevel } from '../ports/request-router.ts'
import type { Reply } from './reply.ts'
import type { ReplyWaiter } from './server-connection.ts'
import type { ClientSession } from './session.ts'

/** Where a call goes: to its slot by KV.CALL, or as it is to any server. */
export type CallRoute = { readonly kind: 'slot'; readonly slot: number } | { readonly kind: 'any' }

/** What keeps a call from its end; the last one is told when its time is over. */
export type Trouble =
  | { readonly kind: 'unreachable'; readonly text: string }
  | { readonly kind: 'silent'; readonly text: string }
  | { readonly kind: 'unserved'; readonly text: string }
  | { readonly kind: 'busy'; readonly text: string }
  | { readonly kind: 'redirect'; readonly text: string; readonly address: string }
  | { readonly kind: 'uncertain'; readonly text: string }

export interface CallEvents {
  replied(call: PendingCall, address: string, reply: Reply): void
  /** To an attempt that was given up. */
  repliedLate(call: PendingCall, address: string, reply: Reply): void
  lost(call: PendingCall, address: string, wasSent: boolean, reason: string): void
}

/** A request on its way to one server. Once abandoned, what comes back is nobody's. */
export class Attempt implements ReplyWaiter {
  readonly address: string
  readonly startedMs: number
  isAbandoned = false
  /** A connection has it. */
  isSent = false
  readonly #call: PendingCall
  readonly #events: CallEvents

  constructor(call: PendingCall, address: string, startedMs: number, events: CallEvents) {
    this.#call = call
    this.address = address
    this.startedMs = startedMs
    this.#events = events
  }

  onSent(): void {
    this.isSent = true
  }

  onReply(reply: Reply): void {
    if (this.isAbandoned) this.#events.repliedLate(this.#call, this.address, reply)
    else this.#events.replied(this.#call, this.address, reply)
  }

  onLost(wasSent: boolean, reason: string): void {
    if (!this.isAbandoned) this.#events.lost(this.#call, this.address, wasSent, reason)
  }
}

export class PendingCall {
  /** For errors: `SET`. */
  readonly name: string
  /** The command's words as they stand in a request. */
  readonly words: Uint8Array
  readonly wordCount: number
  readonly isWrite: boolean
  readonly route: CallRoute
  readonly level: ReadLevel
  readonly deadlineMs: number
  /** Of a write: set with its first attempt. */
  session: ClientSession | null = null
  sequence = 0
  retryUntilMs = 0
  attempt: Attempt | null = null
  /** An attempt of the write may have run, or may still. */
  maybeRan = false
  /** Asked in this round, without success. */
  readonly tried = new Set<string>()
  rounds = 0
  /** Where to ask next, before any other. */
  preferred: string | null = null
  /** Refusals in a row for an old slot table. */
  staleInRow = 0
  trouble: Trouble | null = null
  /** Not to be sent before. Monotonic ms. */
  notBeforeMs = 0
  isEnded = false
  readonly settle: (error: Error | null, reply: Reply) => void

  constructor(
    command: {
      readonly name: string
      readonly words: Uint8Array
      readonly wordCount: number
      readonly isWrite: boolean
      readonly route: CallRoute
    },
    level: ReadLevel,
    deadlineMs: number,
    settle: (error: Error | null, reply: Reply) => void,
  ) {
    this.name = command.name
    this.words = command.words
    this.wordCount = command.wordCount
    this.isWrite = command.isWrite
    this.route = command.route
    this.level = level
    this.deadlineMs = deadlineMs
    this.settle = settle
  }
}
