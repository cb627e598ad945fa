/** What a client's exactly-once session is made of, for both ends of KV.SESSION and KV.CALL. How numbers are given out: node/session-numbers.ts. */

/** Sessions of clients are 2^52 to 2^53 - 1; what lies below are the nodes' own. */
export const CLIENT_SESSION_FROM: number = 2 ** 52
/** A client begins no write under a number that it has had for longer: it takes a new one. */
export const CLIENT_SESSION_LASTS_MS: number = 15 * 60_000
/** How far a write's retry-until may lie ahead of the node that it is sent to. */
export const MAX_RETRY_AHEAD_MS = 60_000
/** Writes without an answer that a session may have in one slot: the groups keep no more results. */
export const MAX_UNANSWERED_WRITES = 256

/** Beside a command: who writes it, and how often it was counted. All are integers from 0 to 2^53 - 1. */
export interface WriteIdentity {
  readonly session: number
  /** In the slot: from 1, never used again. */
  readonly sequence: number
  /** Of the session in the slot: what is below has its answer, or nobody waits for it. At most `sequence`. */
  readonly lowestUnanswered: number
  /** Wall clock of the cluster: the write does not begin after it. Fixed when the write is sent first. */
  readonly retryUntilMs: number
}
