/**
 * Proposals between the caller and their commitment: first gathered (not yet in the log, so a refusal is certain), then appended
 * at an index in a term (so that losing leadership leaves them unknown).
 */
import { assert } from '../../base/assert.ts'
import { asLogIndex, type LogIndex, type Term } from '../../base/brand.ts'
import { EMPTY_BYTES } from '../../base/bytes.ts'
import { BoundedDeque } from '../../base/deque.ts'
import { OUTCOME_REFUSED, OUTCOME_REPLY, OUTCOME_UNKNOWN } from '../../protocol/request-message.ts'
import type { Settle } from './settle.ts'

interface GatheredProposal {
  readonly ordinal: number
  readonly payload: Uint8Array
  readonly waiter: Settle
}

interface AppendedProposal {
  readonly ordinal: number
  readonly index: LogIndex
  readonly term: Term
  readonly waiter: Settle
}

export class PendingProposals {
  readonly #gathered: BoundedDeque<GatheredProposal>
  readonly #appended: BoundedDeque<AppendedProposal>
  /** How many were ever gathered: the ordinal of the newest. */
  gatheredEver = 0

  constructor(maxPending: number) {
    this.#gathered = new BoundedDeque(maxPending)
    this.#appended = new BoundedDeque(maxPending)
  }

  get gathered(): number {
    return this.#gathered.length
  }

  get outstanding(): number {
    return this.#gathered.length + this.#appended.length
  }

  /**
   * All up to this ordinal have their outcome. Not a count: a gathered one may be answered (too large, disk full) while older ones
   * still wait in the log, and a read that waits for those must not take that for theirs.
   */
  get settledThrough(): number {
    const oldest = this.#appended.peek() ?? this.#gathered.peek()
    return oldest === undefined ? this.gatheredEver : oldest.ordinal - 1
  }

  /** False where the bound is reached: the caller refuses. */
  gather(payload: Uint8Array, waiter: Settle): boolean {
    if (!this.#gathered.push({ ordinal: this.gatheredEver + 1, payload, waiter })) return false
    this.gatheredEver++
    return true
  }

  /**
   * The oldest gathered payloads, at most `maxCount` and about `maxBytes` (at least one where there is one), up to the first that `admits`
   * refuses; they stay gathered.
   */
  peek(maxCount: number, maxBytes: number, admits: (payload: Uint8Array) => boolean): Uint8Array[] {
    const payloads: Uint8Array[] = []
    let bytes = 0
    while (payloads.length < maxCount) {
      const proposal = this.#gathered.at(payloads.length)
      if (proposal === undefined || !admits(proposal.payload)) break
      bytes += proposal.payload.length
      if (bytes > maxBytes && payloads.length > 0) break
      payloads.push(proposal.payload)
    }
    return payloads
  }

  /** The oldest `count` gathered ones now stand in the log from `firstIndex` on. */
  appendedAt(firstIndex: LogIndex, term: Term, count: number): void {
    for (let i = 0; i < count; i++) {
      const proposal = this.#gathered.shift()
      assert(proposal !== undefined, 'PendingProposals: more appended than gathered')
      const { ordinal, waiter } = proposal
      const kept = this.#appended.push({ ordinal, index: asLogIndex(firstIndex + i), term, waiter })
      assert(kept, 'PendingProposals: the appended queue is full')
    }
  }

  /** The room that is left for appending. */
  get appendRoom(): number {
    return this.#appended.maxLength - this.#appended.length
  }

  oldestGathered(): Uint8Array | undefined {
    return this.#gathered.peek()?.payload
  }

  /** Takes the oldest gathered one out, with this answer. */
  answerOldestGathered(reply: Uint8Array): void {
    const proposal = this.#gathered.shift()
    if (proposal !== undefined) proposal.waiter.settle(OUTCOME_REPLY, reply)
  }

  /** The entry at `index` was applied with `reply`: answers its proposer, if it is here and the entry is the one it appended. */
  applied(index: LogIndex, term: Term, reply: Uint8Array): void {
    for (;;) {
      const head = this.#appended.peek()
      if (head === undefined || head.index > index) return
      this.#appended.shift()
      if (head.index === index && head.term === term) head.waiter.settle(OUTCOME_REPLY, reply)
      else head.waiter.settle(OUTCOME_UNKNOWN, EMPTY_BYTES)
    }
  }

  /** Leadership was lost: what was appended may yet commit under another leader; what was gathered was never in a log. Oldest first. */
  leadershipLost(): void {
    for (let head = this.#appended.shift(); head !== undefined; head = this.#appended.shift()) {
      head.waiter.settle(OUTCOME_UNKNOWN, EMPTY_BYTES)
    }
    this.refuseGathered()
  }

  refuseGathered(): void {
    for (let left = this.#gathered.length; left > 0; left--) {
      const proposal = this.#gathered.shift()
      proposal?.waiter.settle(OUTCOME_REFUSED, EMPTY_BYTES)
    }
  }
}
