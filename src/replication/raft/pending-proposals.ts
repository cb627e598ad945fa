/**
 * Proposals between the caller and their commitment: first gathered (not yet in the log, so a refusal is certain), then appended
 * at an index in a term (so that losing leadership leaves them unknown). Where their slot leaves the group (write-gate.ts) they may be parked before
 * they are gathered, and held between being applied and being answered.
 */
import { assert } from '../../base/assert.ts'
import { asLogIndex, type LogIndex, type Term } from '../../base/brand.ts'
import { EMPTY_BYTES } from '../../base/bytes.ts'
import { BoundedDeque } from '../../base/deque.ts'
import { OUTCOME_REFUSED, OUTCOME_REPLY, OUTCOME_UNKNOWN, type RequestOutcome } from '../../protocol/request-message.ts'
import type { Settle } from './settle.ts'

interface GatheredProposal {
  readonly ordinal: number
  readonly payload: Uint8Array
  readonly waiter: Settle
}

interface HeldReply {
  readonly ordinal: number
  readonly waiter: Settle
  readonly reply: Uint8Array
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
  /** By ordinal, rising. */
  readonly #parked = new Map<number, GatheredProposal>()
  /** Ordinals, rising, of those that were parked once and have no outcome: later ones may stand before them in the queues. */
  readonly #overtaken = new Set<number>()
  /** Applied, and not answered, in the order of the log. */
  readonly #held = new Map<LogIndex, HeldReply>()
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
    const through = oldest === undefined ? this.gatheredEver : oldest.ordinal - 1
    if (this.#overtaken.size === 0 && this.#held.size === 0) return through
    // Whatever was never parked stands in each queue behind lower ordinals only, and behind overtaken ones, which are lower too: the heads tell.
    const [overtaken] = this.#overtaken
    const [held] = this.#held.values()
    return Math.min(
      through,
      (overtaken ?? Number.POSITIVE_INFINITY) - 1,
      (held?.ordinal ?? Number.POSITIVE_INFINITY) - 1,
    )
  }

  /** False where the bound is reached: the caller refuses. */
  gather(payload: Uint8Array, waiter: Settle): boolean {
    if (this.#isFull || !this.#gathered.push({ ordinal: this.gatheredEver + 1, payload, waiter })) return false
    this.gatheredEver++
    return true
  }

  /** As `gather`, but it waits for `unpark`. Returns its ordinal; null where the bound is reached. */
  park(payload: Uint8Array, waiter: Settle): number | null {
    if (this.#isFull) return null
    const ordinal = ++this.gatheredEver
    this.#parked.set(ordinal, { ordinal, payload, waiter })
    this.#overtaken.add(ordinal)
    return ordinal
  }

  /** Nothing where it has its outcome already. */
  unpark(ordinal: number): void {
    const proposal = this.#parked.get(ordinal)
    if (proposal === undefined) return
    this.#parked.delete(ordinal)
    const kept = this.#gathered.push(proposal)
    assert(kept, 'PendingProposals: no room for a parked proposal')
  }

  unparkAll(): void {
    for (const ordinal of [...this.#parked.keys()]) this.unpark(ordinal)
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
    if (proposal !== undefined) this.#settle(proposal, OUTCOME_REPLY, reply)
  }

  /** Whether somebody here waits for the entry that is being applied. */
  awaits(index: LogIndex, term: Term): boolean {
    const head = this.#appended.peek()
    return head?.index === index && head.term === term
  }

  /** Instead of `applied`, where `awaits` says so: the reply goes with `release`. */
  hold(index: LogIndex, reply: Uint8Array): void {
    const head = this.#appended.shift()
    assert(head?.index === index, 'PendingProposals: a reply is held that nobody waits for')
    this.#held.set(index, { ordinal: head.ordinal, waiter: head.waiter, reply })
  }

  /** Nothing where the reply has gone already. */
  release(index: LogIndex): void {
    const held = this.#held.get(index)
    if (held === undefined) return
    this.#held.delete(index)
    this.#settle(held, OUTCOME_REPLY, held.reply)
  }

  releaseAll(): void {
    for (const index of [...this.#held.keys()]) this.release(index)
  }

  /** The entry at `index` was applied with `reply`: answers its proposer, if it is here and the entry is the one it appended. */
  applied(index: LogIndex, term: Term, reply: Uint8Array): void {
    for (;;) {
      const head = this.#appended.peek()
      if (head === undefined || head.index > index) return
      this.#appended.shift()
      if (head.index === index && head.term === term) this.#settle(head, OUTCOME_REPLY, reply)
      else this.#settle(head, OUTCOME_UNKNOWN, EMPTY_BYTES)
    }
  }

  /**
   * Leadership was lost: what is held was applied, what was appended may yet commit under another leader, and what was gathered or parked was never
   * in a log. Oldest first.
   */
  leadershipLost(): void {
    this.releaseAll()
    for (let head = this.#appended.shift(); head !== undefined; head = this.#appended.shift()) {
      this.#settle(head, OUTCOME_UNKNOWN, EMPTY_BYTES)
    }
    this.refuseGathered()
  }

  /** The parked ones too: none of a slot may overtake another. */
  refuseGathered(): void {
    for (let left = this.#gathered.length; left > 0; left--) {
      const proposal = this.#gathered.shift()
      if (proposal !== undefined) this.#settle(proposal, OUTCOME_REFUSED, EMPTY_BYTES)
    }
    for (const [ordinal, proposal] of [...this.#parked]) {
      this.#parked.delete(ordinal)
      this.#settle(proposal, OUTCOME_REFUSED, EMPTY_BYTES)
    }
  }

  get #isFull(): boolean {
    return this.#gathered.length + this.#parked.size >= this.#gathered.maxLength
  }

  #settle(proposal: { ordinal: number; waiter: Settle }, outcome: RequestOutcome, reply: Uint8Array): void {
    if (this.#overtaken.size > 0) this.#overtaken.delete(proposal.ordinal)
    proposal.waiter.settle(outcome, reply)
  }
}
