/**
 * How much one client may have on its way to it: replies that wait for an earlier one or for the reader, and what is asked for at once.
 * Above the hard limit (or above the soft one for too long) the client is closed; well below it, fewer of its requests run at once.
 */
import type { ClientState } from './client-state.ts'
import { isSubscriber } from './client-state.ts'
import type { Door } from './door.ts'
import type { OutputLimit } from './door-config.ts'

/** Requests that a new connection may have unanswered, until replies have shown their sizes. */
const FIRST_PIPELINED = 16

export class OutputGuard {
  /** Bytes of replies that wait for an earlier one. */
  heldBytes = 0

  readonly #door: Door
  readonly #client: ClientState
  /**
   * How large a reply to what is asked next may be. All that is asked for at once, times this, stays well below the hard limit: a client that
   * pipelines GETs of large values and reads as fast as it can is slowed, not closed. New clients start with few at once.
   */
  #expectedReplyBytes: number
  /** Monotonic, when more than the soft limit began to wait for the reader; negative: not so. */
  #softSinceMs = -1

  constructor(door: Door, client: ClientState) {
    this.#door = door
    this.#client = client
    this.#expectedReplyBytes = this.#expectedBudget / FIRST_PIPELINED
  }

  /** A reply is there, and waits for its turn. */
  hold(replyBytes: number): void {
    this.heldBytes += replyBytes
    // The largest of late, forgotten slowly.
    const forgetful = this.#expectedReplyBytes * (1 - 1 / 64)
    this.#expectedReplyBytes = replyBytes > forgetful ? replyBytes : forgetful
  }

  /** Whether one more request may run beside those that are unanswered. */
  mayAskMore(unanswered: number): boolean {
    if (unanswered === 0) return true
    const expectedBytes = (unanswered + 1) * this.#expectedReplyBytes
    return unanswered < this.#door.options.maxPipelined && expectedBytes <= this.#expectedBudget
  }

  /** `bufferedBytes`: what the socket holds. */
  isAboveLimit(bufferedBytes: number): boolean {
    const bytes = this.heldBytes + bufferedBytes
    const { hardBytes, softBytes, softSeconds } = this.#limit
    if (bytes > hardBytes) return true
    if (softBytes === 0 || bytes <= softBytes) {
      this.#softSinceMs = -1
      return false
    }
    const { nowMs } = this.#door.measures
    if (this.#softSinceMs < 0) this.#softSinceMs = nowMs
    return nowMs - this.#softSinceMs > softSeconds * 1000
  }

  get #limit(): OutputLimit {
    const { normalOutput, pubsubOutput } = this.#door.config
    return isSubscriber(this.#client) ? pubsubOutput : normalOutput
  }

  /** What replies may be on their way to a client at once, by what they are expected to take. */
  get #expectedBudget(): number {
    return this.#limit.hardBytes / 4
  }
}
