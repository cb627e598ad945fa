/**
 * A door's requests to one group, in order. Sends them to the group's leader, here or on another node. As soon as one attempt is
 * refused or unknown, nothing later is sent until all that is under way has its outcome; then all that have no answer
 * go out again, in their order, in a new epoch. So a request never overtakes an earlier one of its slot, whatever fails.
 */
import { assert } from '../base/assert.ts'
import type { GroupId, NodeId } from '../base/brand.ts'
import { BoundedDeque } from '../base/deque.ts'
import { OUTCOME_REPLY, OUTCOME_UNKNOWN, type RequestOutcome } from '../protocol/request-message.ts'
import type { RoutedRequest, RoutedRequestOwner } from './routed-request.ts'

/** Silence of a remote leader for this long, with requests under way, ends the epoch; doubled with each, up to the limit. */
const ATTEMPT_LIMIT_MIN_MS = 1_000
const ATTEMPT_LIMIT_MAX_MS = 4_000
const RETRY_AFTER_MS_MIN = 5
const RETRY_AFTER_MS_MAX = 80

export interface GroupStreamPorts {
  nowMs(): number
  /** The node that leads, as far as this node knows by itself; null: unknown, or no replica here. */
  leader(): NodeId | null
  /** Other nodes to ask in turn where `leader` knows nothing. */
  candidates(): readonly NodeId[]
  readonly self: NodeId
  sendLocal(request: RoutedRequest): boolean
  /** `id` names the attempt in the answer. */
  sendRemote(to: NodeId, epoch: number, id: number, request: RoutedRequest): boolean
  /** Calls `onRetry` after about this long. */
  retryAfter(stream: GroupStream, delayMs: number): void
  /** The state machine's answer. */
  replied(request: RoutedRequest, reply: Uint8Array): void
}

export class GroupStream implements RoutedRequestOwner {
  readonly group: GroupId
  readonly #ports: GroupStreamPorts
  /** Not under way, in order. */
  readonly #pending: BoundedDeque<RoutedRequest>
  /** Refused or unknown in this epoch; sent again once all under way is settled. */
  #returned: RoutedRequest[] = []
  readonly #maxUnanswered: number
  /** Attempts at a remote leader, oldest first. */
  readonly #remote = new Map<number, RoutedRequest>()
  #underWay = 0
  #draining = false
  #epoch: number
  #target: NodeId | null = null
  #hint: NodeId | null = null
  #candidate = 0
  #nextOrder = 1
  #nextId = 1
  #waiting = false
  #failuresInRow = 0
  #attemptLimitMs = ATTEMPT_LIMIT_MIN_MS

  constructor(group: GroupId, firstEpoch: number, maxUnanswered: number, ports: GroupStreamPorts) {
    this.group = group
    this.#epoch = firstEpoch
    this.#ports = ports
    this.#maxUnanswered = maxUnanswered
    this.#pending = new BoundedDeque(maxUnanswered)
  }

  /** False where too many wait. */
  enqueue(request: RoutedRequest): boolean {
    request.order = this.#nextOrder++
    request.owner = this
    if (this.#pending.length + this.#underWay + this.#returned.length >= this.#maxUnanswered) return false
    const queued = this.#pending.push(request)
    assert(queued, 'GroupStream: the pending queue is smaller than its bound')
    if (!this.#waiting) this.pump()
    return true
  }

  /** The delay asked for by `retryAfter` is over. */
  onRetry(): void {
    this.#waiting = false
    this.pump()
  }

  pump(): void {
    if (this.#draining) return
    for (let request = this.#pending.peek(); request !== undefined; request = this.#pending.peek()) {
      if (request.answered) {
        this.#pending.shift()
        continue
      }
      if (!this.#aim() || !this.#send(request)) return this.#waitThenPump()
      this.#pending.shift()
    }
  }

  attemptSettled(request: RoutedRequest, outcome: RequestOutcome, reply: Uint8Array): void {
    assert(request.underWay, 'GroupStream: an outcome for a request that is not under way')
    request.underWay = false
    this.#underWay--
    if (outcome === OUTCOME_REPLY) {
      this.#failuresInRow = 0
      this.#attemptLimitMs = ATTEMPT_LIMIT_MIN_MS
      this.#ports.replied(request, reply)
    } else {
      if (outcome === OUTCOME_UNKNOWN && request.isWrite) request.maybeRan = true
      if (!this.#draining) this.#failuresInRow++
      this.#draining = true
      if (!request.answered) this.#returned.push(request)
    }
    this.#drained()
  }

  /** The epoch tells: an earlier process of this node used the same ids, and its answers may still be under way. */
  onRemoteOutcome(epoch: number, id: number, outcome: RequestOutcome, leader: NodeId, reply: Uint8Array): void {
    const request = epoch === this.#epoch ? this.#remote.get(id) : undefined
    if (request === undefined) return
    this.#remote.delete(id)
    if (outcome !== OUTCOME_REPLY) this.#hint = leader === 0 ? null : leader
    this.attemptSettled(request, outcome, reply)
  }

  /** This node learned who leads now (or that nobody does): attempts at another node get no answer any more. */
  leaderChanged(leader: NodeId | null): void {
    this.#hint = null
    if (leader !== null && this.#target !== leader && this.#remote.size > 0) this.#abandon()
    this.pump()
  }

  /** The connection that carried the attempts is gone. */
  onStreamClosed(to: NodeId): void {
    if (to === this.#target && this.#remote.size > 0) this.#abandon()
  }

  /** Called every few dozen milliseconds: ends an epoch whose leader is silent. */
  checkSilence(nowMs: number): void {
    for (const oldest of this.#remote.values()) {
      if (nowMs - oldest.sentAtMs < this.#attemptLimitMs) return
      this.#attemptLimitMs = Math.min(this.#attemptLimitMs * 2, ATTEMPT_LIMIT_MAX_MS)
      return this.#abandon()
    }
  }

  /** Where to send; a change of target is allowed only while nothing is under way. */
  #aim(): boolean {
    const leader = this.#ports.leader() ?? this.#hint ?? this.#nextCandidate()
    if (leader === null) return false
    if (leader === this.#target) return true
    if (this.#underWay > 0) {
      this.#draining = true
      return false
    }
    this.#target = leader
    this.#epoch++
    return true
  }

  /** Nobody here tells who leads: ask one node after the other, moving on after each failure. */
  #nextCandidate(): NodeId | null {
    const candidates = this.#ports.candidates()
    if (candidates.length === 0) return null
    if (this.#target !== null && this.#failuresInRow === 0) return this.#target
    if (this.#underWay > 0) return this.#target
    return candidates[this.#candidate++ % candidates.length]
  }

  #send(request: RoutedRequest): boolean {
    const target = this.#target
    assert(target !== null && !request.underWay, 'GroupStream: send without a target, or twice')
    request.sentAtMs = this.#ports.nowMs()
    request.underWay = true
    this.#underWay++
    let sent: boolean
    if (target === this.#ports.self) sent = this.#ports.sendLocal(request)
    else {
      const id = this.#nextId++
      sent = this.#ports.sendRemote(target, this.#epoch, id, request)
      if (sent) this.#remote.set(id, request)
    }
    if (!sent) {
      request.underWay = false
      this.#underWay--
      this.#notTaken()
    }
    return sent
  }

  /** A node that is away takes nothing, and says nothing either: the hint that led to it is old, the next candidate may know more. The
   * same where the hint led back here, and the replica has given way. */
  #notTaken(): void {
    if (this.#underWay > 0) return
    this.#hint = null
    this.#failuresInRow++
  }

  #abandon(): void {
    const attempts = [...this.#remote.values()]
    this.#remote.clear()
    this.#hint = null
    for (const request of attempts) this.attemptSettled(request, OUTCOME_UNKNOWN, request.command)
  }

  #drained(): void {
    if (!this.#draining || this.#underWay > 0) return
    this.#draining = false
    this.#epoch++
    const again = this.#returned
    this.#returned = []
    again.sort((a, b) => b.order - a.order)
    for (const request of again) {
      if (request.answered) continue
      const kept = this.#pending.unshift(request)
      assert(kept, 'GroupStream: no room for a returned request')
    }
    this.#waitThenPump()
  }

  #waitThenPump(): void {
    if (this.#waiting) return
    this.#waiting = true
    const factor = 2 ** Math.min(this.#failuresInRow, 6)
    this.#ports.retryAfter(this, Math.min(RETRY_AFTER_MS_MIN * factor, RETRY_AFTER_MS_MAX))
  }
}
