/**
 * Reads that this node's own replica answers, linearizably, whether it leads or not (ReadLevel `nearest`). What it refuses, or does not answer in time, because
 * it lags or is cut off, is read as any other request: a read may be asked twice.
 */
import type { SlotId } from '../base/brand.ts'
import { refusalOf } from '../kv/refusals.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import type { ReplyCallback } from '../ports/request-router.ts'
import { OUTCOME_REPLY, type RequestOutcome } from '../protocol/request-message.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import type { Settle } from '../replication/raft/settle.ts'

/** About what an answer takes where all is well, many times over. */
const ANSWER_WITHIN_MS = 250
const CHECK_EVERY_MS = 50

class NearestRead implements Settle {
  readonly deadlineMs: number
  readonly #owner: NearestReads
  readonly #done: ReplyCallback
  readonly #elsewhere: () => void
  #over = false

  constructor(owner: NearestReads, deadlineMs: number, done: ReplyCallback, elsewhere: () => void) {
    this.#owner = owner
    this.deadlineMs = deadlineMs
    this.#done = done
    this.#elsewhere = elsewhere
  }

  settle(outcome: RequestOutcome, reply: Uint8Array): void {
    if (this.#over) return
    this.#over = true
    this.#owner.ended(this)
    if (outcome === OUTCOME_REPLY && refusalOf(reply) === null) this.#done(reply)
    else this.#elsewhere()
  }

  giveUp(): void {
    if (this.#over) return
    this.#over = true
    this.#owner.ended(this)
    this.#elsewhere()
  }
}

export class NearestReads {
  readonly #clock: Clock
  /** In the order of their deadlines. */
  readonly #pending = new Set<NearestRead>()
  #timer: Timer | null = null
  #stopped = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `elsewhere` runs, once, where the replica does not answer; within the call where it takes no more. */
  read(
    replica: RaftReplica,
    slot: SlotId,
    slotEpoch: number,
    command: Uint8Array,
    done: ReplyCallback,
    elsewhere: () => void,
  ): void {
    const read = new NearestRead(this, this.#clock.monotonicMs() + ANSWER_WITHIN_MS, done, elsewhere)
    this.#pending.add(read)
    if (!replica.readHere(slot, slotEpoch, command, read)) return read.giveUp()
    this.#watch()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#pending.clear()
  }

  ended(read: NearestRead): void {
    this.#pending.delete(read)
  }

  #watch(): void {
    if (this.#stopped || this.#pending.size === 0) return
    this.#timer ??= this.#clock.setTimer(CHECK_EVERY_MS, () => {
      this.#timer = null
      const nowMs = this.#clock.monotonicMs()
      for (const read of this.#pending) {
        if (read.deadlineMs > nowMs) break
        read.giveUp()
      }
      this.#watch()
    })
  }
}
