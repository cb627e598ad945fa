/**
 * Whose writes a session's are, as one number below 2^53, so that no two sessions that could meet ever share one:
 *
 *   a node's own        0 | node id (21 bits) | incarnation (31 bits)
 *   a client's          1 | node id (21 bits) | incarnation mod 2048 (11 bits) | counter (20 bits)
 *
 * The highest bit keeps the two kinds apart; node ids are never used again and every start of a node counts. A client's number does come again, after
 * 2^20 others of the node's or 2048 starts of it, so it is lent for CLIENT_SESSION_LASTS_MS only: a number is given out again when its last
 * holder has begun nothing under it for longer than its last write may be retried. A node gives out 2^20 in that time, and then none.
 */
import { assert } from '../base/assert.ts'
import { CLIENT_SESSION_FROM, CLIENT_SESSION_LASTS_MS, MAX_RETRY_AHEAD_MS } from '../protocol/client-session.ts'

const NODE_IDS = 2 ** 21
const INCARNATIONS = 2 ** 31
const INCARNATIONS_APART = 2 ** 11
const COUNTERS = 2 ** 20
/** Numbers are freed by the block: one time for many. */
const BLOCK = 2 ** 10
/** Room for what a clock drifts, and for a late retry. */
const MARGIN_MS = 60_000
const NOT_AGAIN_MS = CLIENT_SESSION_LASTS_MS + MAX_RETRY_AHEAD_MS + MARGIN_MS

/** The session of a node's own writes, for the clients that bring none. */
export function nodeSession(nodeId: number, incarnation: number): number {
  assert(nodeId > 0 && nodeId < NODE_IDS, `node id ${nodeId}: sessions have room for ids below ${NODE_IDS}`)
  assert(incarnation < INCARNATIONS, `incarnation ${incarnation}: sessions have room for ${INCARNATIONS} starts`)
  return nodeId * INCARNATIONS + incarnation
}

export class ClientSessions {
  readonly #base: number
  readonly #counters: number
  readonly #block: number
  #next = 0
  /** Per block: when its last number was given out, monotonic ms. */
  readonly #usedAtMs: (number | undefined)[]

  /** `counters`, `block`: for tests; powers of two. */
  constructor(nodeId: number, incarnation: number, counters: number = COUNTERS, block: number = BLOCK) {
    assert(nodeId > 0 && nodeId < NODE_IDS, `node id ${nodeId}: sessions have room for ids below ${NODE_IDS}`)
    assert(counters <= COUNTERS && counters % block === 0, 'client sessions: counters come in whole blocks')
    this.#base = CLIENT_SESSION_FROM + nodeId * INCARNATIONS + (incarnation % INCARNATIONS_APART) * COUNTERS
    this.#counters = counters
    this.#block = block
    this.#usedAtMs = new Array<number | undefined>(counters / block)
  }

  /** A number that nobody else uses; null: all are lent, one is free within the hour. */
  take(nowMs: number): number | null {
    const counter = this.#next
    const block = Math.floor(counter / this.#block)
    const usedAtMs = this.#usedAtMs[block]
    if (counter % this.#block === 0 && usedAtMs !== undefined && nowMs - usedAtMs < NOT_AGAIN_MS) return null
    this.#usedAtMs[block] = nowMs
    this.#next = (counter + 1) % this.#counters
    return this.#base + counter
  }
}
