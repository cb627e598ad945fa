/** One request of a door on its way to the group that owns its slot, through refusals, leader changes and retries. */
import { asGroupId, type GroupId, type SlotId } from '../base/brand.ts'
import type { ReplyCallback } from '../ports/request-router.ts'
import type { WriteIdentity } from '../protocol/client-session.ts'
import type { RequestOutcome } from '../protocol/request-message.ts'
import type { Settle } from '../replication/raft/settle.ts'

/** Whoever sent it on gets the outcome of the attempt. */
export interface RoutedRequestOwner {
  attemptSettled(request: RoutedRequest, outcome: RequestOutcome, reply: Uint8Array): void
}

export class RoutedRequest implements Settle {
  readonly isWrite: boolean
  readonly slot: SlotId
  readonly command: Uint8Array
  readonly afterWrites: boolean
  /** A write that a client has numbered itself; null: the router does. */
  readonly identity: WriteIdentity | null
  /** Position among all requests of the router. */
  callNumber = 0
  /** Where it was sent to last, and by which reconfig that group was believed to own the slot. */
  group: GroupId = asGroupId(0)
  slotEpoch = 0
  /** In the stream to its slot's group, and not answered. */
  onItsWay = false
  /** Position among all requests of the group's stream: what is sent again goes in this order. */
  order = 0
  /** Of the session, in the slot; 0 for reads. */
  sequence = 0
  retryUntilMs = 0
  readonly deadlineMs: number
  /** An attempt ended without anybody knowing whether it ran. */
  maybeRan = false
  /** The door has its reply. */
  answered = false
  /** Under way to a leader; at most one attempt at a time. */
  underWay = false
  sentAtMs = 0
  owner: RoutedRequestOwner | null = null
  /** Neighbours in the router's list of unanswered requests, oldest first. */
  previous: RoutedRequest | null = null
  next: RoutedRequest | null = null
  #done: ReplyCallback | null

  constructor(
    isWrite: boolean,
    slot: SlotId,
    command: Uint8Array,
    afterWrites: boolean,
    deadlineMs: number,
    done: ReplyCallback,
    identity: WriteIdentity | null = null,
  ) {
    this.isWrite = isWrite
    this.slot = slot
    this.command = command
    this.afterWrites = afterWrites
    this.deadlineMs = deadlineMs
    this.#done = done
    this.identity = identity
  }

  settle(outcome: RequestOutcome, reply: Uint8Array): void {
    this.owner?.attemptSettled(this, outcome, reply)
  }

  /** Hands the reply to the door, once. */
  answer(reply: Uint8Array): void {
    const done = this.#done
    if (done === null) return
    this.#done = null
    this.answered = true
    done(reply)
  }
}
