/** Who waits for a request's outcome. An object rather than a closure: one is made per request, on the hot path. */
import type { RequestOutcome } from '../../protocol/request-message.ts'

export interface Settle {
  /** Exactly once. `reply` is the state machine's where the outcome is OUTCOME_REPLY, else empty. */
  settle(outcome: RequestOutcome, reply: Uint8Array): void
}
