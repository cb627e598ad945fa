/**
 * Reads between the caller and their answer: gathered (one ReadIndex round for all that came in a turn), confirming
 * (the round is under way), waiting (the leader is confirmed; the state machine has yet to reach their index), ticking
 * (a key's fate needs the group's log time to move on first).
 */
import type { LogIndex, SlotId } from '../../base/brand.ts'
import { EMPTY_BYTES } from '../../base/bytes.ts'
import { OUTCOME_REFUSED } from '../../protocol/request-message.ts'
import type { Settle } from './settle.ts'

export interface PendingRead {
  readonly slot: SlotId
  readonly slotEpoch: number
  readonly command: Uint8Array
  readonly waiter: Settle
  /** Up to which ordinal this replica's proposals must have their outcome first (`PendingProposals.settledThrough`): the caller's own earlier writes. */
  readonly afterProposals: number
}

interface ConfirmedReads {
  readonly index: LogIndex
  readonly reads: PendingRead[]
}

export class PendingReads {
  readonly maxPending: number
  #gathered: PendingRead[] = []
  readonly #confirming = new Map<number, PendingRead[]>()
  /** Ascending by index, since confirmed read indexes never fall; afterProposals may make single reads wait longer. */
  #confirmed: ConfirmedReads[] = []
  #ticking: PendingRead[] = []
  #count = 0

  constructor(maxPending: number) {
    this.maxPending = maxPending
  }

  get gathered(): number {
    return this.#gathered.length
  }

  get hasConfirmed(): boolean {
    return this.#confirmed.length > 0
  }

  get roundUnderWay(): boolean {
    return this.#confirming.size > 0
  }

  get ticking(): number {
    return this.#ticking.length
  }

  gather(read: PendingRead): boolean {
    if (this.#count >= this.maxPending) return false
    this.#count++
    this.#gathered.push(read)
    return true
  }

  /** The gathered reads now wait for the round `number`. */
  confirming(number: number): void {
    this.#confirming.set(number, this.#gathered)
    this.#gathered = []
  }

  confirmed(number: number, index: LogIndex): void {
    const reads = this.#confirming.get(number)
    if (reads === undefined) return
    this.#confirming.delete(number)
    this.#confirmed.push({ index, reads })
  }

  refused(number: number): void {
    const reads = this.#confirming.get(number)
    if (reads === undefined) return
    this.#confirming.delete(number)
    this.#refuse(reads)
  }

  /** Runs all reads that `applied` satisfies; `run` returns false where the read needs a tick first. */
  serve(applied: LogIndex, settledThrough: number, run: (read: PendingRead) => boolean): void {
    if (this.#confirmed.length === 0) return
    const later: ConfirmedReads[] = []
    const batches = this.#confirmed
    this.#confirmed = later
    for (const batch of batches) {
      if (batch.index > applied) {
        later.push(batch)
        continue
      }
      let waiting: PendingRead[] | null = null
      for (const read of batch.reads) {
        if (read.afterProposals > settledThrough) {
          waiting ??= []
          waiting.push(read)
        } else if (run(read)) this.#count--
        else this.#ticking.push(read)
      }
      if (waiting !== null) later.push({ index: batch.index, reads: waiting })
    }
  }

  /** The tick was applied: every read that waited for it can decide now. */
  ticked(run: (read: PendingRead) => void): void {
    const reads = this.#ticking
    this.#ticking = []
    this.#count -= reads.length
    for (const read of reads) run(read)
  }

  refuseTicking(): void {
    const reads = this.#ticking
    this.#ticking = []
    this.#refuse(reads)
  }

  refuseGathered(): void {
    const reads = this.#gathered
    this.#gathered = []
    this.#refuse(reads)
  }

  /** Leadership was lost: all are refused and asked again elsewhere, in order; even a confirmed one may wait for an index of this
   * leader's own log that never comes. */
  leadershipLost(): void {
    this.refuseGathered()
    this.refuseTicking()
    for (const number of [...this.#confirming.keys()]) this.refused(number)
    const confirmed = this.#confirmed
    this.#confirmed = []
    for (const batch of confirmed) this.#refuse(batch.reads)
  }

  #refuse(reads: readonly PendingRead[]): void {
    this.#count -= reads.length
    for (const read of reads) read.waiter.settle(OUTCOME_REFUSED, EMPTY_BYTES)
  }
}
