/**
 * What a leader knows of one other replica, and how it feeds it (etcd-io/raft tracker/):
 *
 *   probe      one append at a time, until an answer shows where the logs agree
 *   replicate  appends run ahead of the answers, in a bounded window
 *   image      its next entry is compacted away: nothing but heartbeats until it holds an image
 */
import { assert } from '../base/assert.ts'
import { asLogIndex, type LogIndex, type ReplicaId } from '../base/brand.ts'
import { BoundedDeque } from '../base/deque.ts'

export type ProgressState = 'probe' | 'replicate' | 'image'

interface Inflight {
  /** The last index of the append. */
  readonly index: LogIndex
  readonly bytes: number
}

export class Progress {
  readonly replicaId: ReplicaId
  readonly #inflight: BoundedDeque<Inflight>
  readonly #maxInflightBytes: number
  #inflightBytes = 0
  #state: ProgressState = 'probe'
  matchIndex: LogIndex = asLogIndex(0)
  nextIndex: LogIndex
  /** In probe: the append of this interval is out. */
  paused = false
  /** An append must leave even if it carries no entry: it asks whether the ones before arrived, or brings the commit index. */
  appendDue = false
  /** A timer's heartbeat is out whose answer may start the next probe; at most one an interval. */
  nudgeDue = false
  /** Ticks since it was last heard. */
  silentTicks = 0
  /** The newest read round, or roll call, that it has answered. */
  ackedToken = 0
  /** The highest commit index that it was told and can act on. */
  sentCommit: LogIndex = asLogIndex(0)
  /** The driver was asked for an image and has not reported its outcome. */
  imageAsked = false
  /** In image, after it was sent: ticks left to wait for the follower's answer. 0: not sent yet. */
  imageWaitTicks = 0

  constructor(replicaId: ReplicaId, nextIndex: LogIndex, maxInflightMessages: number, maxInflightBytes: number) {
    this.replicaId = replicaId
    this.nextIndex = nextIndex
    this.#inflight = new BoundedDeque(maxInflightMessages)
    this.#maxInflightBytes = maxInflightBytes
  }

  get state(): ProgressState {
    return this.#state
  }

  get windowFull(): boolean {
    return this.#inflight.length === this.#inflight.maxLength || this.#inflightBytes >= this.#maxInflightBytes
  }

  becomeProbe(nextIndex: number): void {
    this.#enter('probe')
    this.nextIndex = asLogIndex(Math.max(nextIndex, this.matchIndex + 1))
    this.paused = false
  }

  becomeReplicate(): void {
    this.#enter('replicate')
    this.nextIndex = asLogIndex(this.matchIndex + 1)
  }

  becomeImage(): void {
    this.#enter('image')
    this.imageWaitTicks = 0
  }

  #enter(state: ProgressState): void {
    this.#state = state
    this.#inflight.clear()
    this.#inflightBytes = 0
    this.appendDue = false
  }

  /** An append with entries up to `last` left. */
  sent(last: LogIndex, bytes: number): void {
    if (this.#state === 'probe') {
      this.paused = true
      return
    }
    assert(this.#state === 'replicate' && last >= this.nextIndex, 'Progress.sent: not in a window')
    assert(this.#inflight.push({ index: last, bytes }), 'Progress.sent: window overrun')
    this.#inflightBytes += bytes
    this.nextIndex = asLogIndex(last + 1)
  }

  /** The follower holds everything up to `index`, on disk. True where that is news. */
  acknowledged(index: LogIndex): boolean {
    for (
      let first = this.#inflight.peek();
      first !== undefined && first.index <= index;
      first = this.#inflight.peek()
    ) {
      this.#inflight.shift()
      this.#inflightBytes -= first.bytes
    }
    if (this.nextIndex <= index) this.nextIndex = asLogIndex(index + 1)
    if (index <= this.matchIndex) return false
    this.matchIndex = index
    return true
  }

  /** The follower refused an append at `rejected`; it may agree at `hint`. False: an old answer, nothing changes. */
  refused(rejected: LogIndex, hint: LogIndex): boolean {
    if (this.#state === 'image' || rejected <= this.matchIndex) return false
    if (this.#state === 'replicate') {
      this.becomeProbe(this.matchIndex + 1)
      return true
    }
    // In probe exactly one append is out: any other index is a duplicate from before.
    if (rejected !== this.nextIndex - 1) return false
    this.becomeProbe(Math.max(1, Math.min(rejected, hint + 1)))
    return true
  }
}
