/**
 * Requests that other nodes pass on to the groups that this node leads. Order is promised within one epoch of the sender's stream:
 * an epoch is bound to the connection that it came by and to the term in which its first request was taken, and after one refusal every later
 * request of it is refused too; so nothing overtakes what was refused, and what was taken stands in one leader's log in order.
 */
import type { GroupId, NodeId, Term } from '../base/brand.ts'
import { EMPTY_BYTES, latin1Bytes } from '../base/bytes.ts'
import { BoundedDeque } from '../base/deque.ts'
import { LANE_REQUESTS, type PeerChannel } from '../ports/peer-channel.ts'
import { MAX_MESSAGE_BYTES } from '../protocol/frame.ts'
import {
  encodeResponse,
  OUTCOME_REFUSED,
  type PassedRequest,
  REQUEST_FLAG_AFTER_WRITES,
  REQUEST_WRITE,
  RESPONSE_HEADER_BYTES,
  type RequestOutcome,
} from '../protocol/request-message.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import type { Settle } from '../replication/raft/settle.ts'
import { ownBytes } from './own-bytes.ts'

/** Answers that wait for room on one peer's lane; beyond it they are dropped, and the asking node's own time-out finds out. */
const BACKLOG_MAX = 65_536
const BACKLOG_BYTES_MAX = 64 * 1024 * 1024

const REPLY_BYTES_MAX = MAX_MESSAGE_BYTES - RESPONSE_HEADER_BYTES
const READ_TOO_LARGE = latin1Bytes(
  `-ERR the reply takes more than the ${REPLY_BYTES_MAX} bytes that one node can pass on to another: ask for fewer keys at once\r\n`,
)
const WRITE_REPLY_TOO_LARGE = latin1Bytes(
  `-UNCERTAIN the write was done once; its reply takes more than the ${REPLY_BYTES_MAX} bytes that one node can pass on to another\r\n`,
)

interface Backlog {
  readonly answers: BoundedDeque<Uint8Array>
  bytes: number
}

interface Epoch {
  readonly stream: number
  readonly epoch: number
  readonly term: Term
  dead: boolean
}

export class PassedRequests {
  readonly #peers: PeerChannel
  readonly #replica: (group: GroupId) => RaftReplica | undefined
  readonly #answered: () => void
  /** By sending node, then by group. */
  readonly #epochs = new Map<NodeId, Map<GroupId, Epoch>>()
  readonly #backlogs = new Map<NodeId, Backlog>()

  /** `answered` asks for the peers' lanes to be flushed soon. */
  constructor(peers: PeerChannel, replica: (group: GroupId) => RaftReplica | undefined, answered: () => void) {
    this.#peers = peers
    this.#replica = replica
    this.#answered = answered
  }

  onRequest(from: NodeId, stream: number, request: PassedRequest): void {
    const replica = this.#replica(request.group)
    const answer = new Answer(this, from, request)
    if (replica === undefined || !this.#admits(from, stream, request, replica)) {
      return answer.refuse(replica?.leaderNode ?? (0 as NodeId))
    }
    const taken =
      request.kind === REQUEST_WRITE
        ? replica.propose(request.body.slice(), answer)
        : replica.read(
            request.slot,
            request.slotEpoch,
            ownBytes(request.body),
            (request.flags & REQUEST_FLAG_AFTER_WRITES) !== 0,
            answer,
          )
    if (!taken) {
      this.#kill(from, request.group)
      answer.refuse(replica.leaderNode ?? (0 as NodeId))
    }
  }

  /** A request that had been taken was refused after all: the rest of its epoch must be, too. */
  refusedLater(from: NodeId, group: GroupId, epoch: number): void {
    if (this.#epochs.get(from)?.get(group)?.epoch === epoch) this.#kill(from, group)
  }

  leaderOf(group: GroupId): NodeId {
    return this.#replica(group)?.leaderNode ?? (0 as NodeId)
  }

  send(to: NodeId, bytes: Uint8Array): void {
    let backlog = this.#backlogs.get(to)
    if (backlog === undefined || backlog.answers.length === 0) {
      if (this.#peers.send(to, LANE_REQUESTS, bytes)) return this.#answered()
      if (!this.#peers.isConnected(to, LANE_REQUESTS)) return
    }
    if (backlog === undefined) {
      backlog = { answers: new BoundedDeque<Uint8Array>(BACKLOG_MAX), bytes: 0 }
      this.#backlogs.set(to, backlog)
    }
    if (backlog.bytes + bytes.length > BACKLOG_BYTES_MAX) return
    if (backlog.answers.push(bytes)) backlog.bytes += bytes.length
  }

  onWritable(to: NodeId): void {
    const backlog = this.#backlogs.get(to)
    if (backlog === undefined) return
    const { answers } = backlog
    for (let head = answers.peek(); head !== undefined; head = answers.peek()) {
      if (!this.#peers.send(to, LANE_REQUESTS, head)) break
      answers.shift()
      backlog.bytes -= head.length
    }
    this.#answered()
  }

  /** The way back to this peer broke: what waited for it is of no use on a new connection's epochs. */
  onStreamClosed(to: NodeId): void {
    this.#backlogs.delete(to)
  }

  #admits(from: NodeId, stream: number, request: PassedRequest, replica: RaftReplica): boolean {
    let groups = this.#epochs.get(from)
    if (groups === undefined) {
      groups = new Map()
      this.#epochs.set(from, groups)
    }
    const { term } = replica.core
    let epoch = groups.get(request.group)
    if (epoch === undefined || request.epoch > epoch.epoch) {
      epoch = { stream, epoch: request.epoch, term, dead: false }
      groups.set(request.group, epoch)
    }
    // Bytes of an older epoch can still come out of a connection that was given up.
    if (request.epoch < epoch.epoch) return false
    if (epoch.stream !== stream || epoch.term !== term || !replica.isLeader) epoch.dead = true
    return !epoch.dead
  }

  #kill(from: NodeId, group: GroupId): void {
    const epoch = this.#epochs.get(from)?.get(group)
    if (epoch !== undefined) epoch.dead = true
  }
}

class Answer implements Settle {
  readonly #owner: PassedRequests
  readonly #to: NodeId
  readonly #group: GroupId
  readonly #epoch: number
  readonly #id: number
  readonly #isWrite: boolean

  constructor(owner: PassedRequests, to: NodeId, request: PassedRequest) {
    this.#owner = owner
    this.#to = to
    this.#group = request.group
    this.#epoch = request.epoch
    this.#id = request.id
    this.#isWrite = request.kind === REQUEST_WRITE
  }

  settle(outcome: RequestOutcome, reply: Uint8Array): void {
    if (outcome === OUTCOME_REFUSED) this.#owner.refusedLater(this.#to, this.#group, this.#epoch)
    // A message that is too large would end this process; a read of many large values must not.
    const tooLarge = this.#isWrite ? WRITE_REPLY_TOO_LARGE : READ_TOO_LARGE
    this.#send(outcome, this.#owner.leaderOf(this.#group), reply.length > REPLY_BYTES_MAX ? tooLarge : reply)
  }

  refuse(leader: NodeId): void {
    this.#send(OUTCOME_REFUSED, leader, EMPTY_BYTES)
  }

  #send(outcome: RequestOutcome, leader: NodeId, reply: Uint8Array): void {
    const response = { group: this.#group, epoch: this.#epoch, id: this.#id, outcome, leader, reply }
    this.#owner.send(this.#to, encodeResponse(response))
  }
}
