/**
 * Behind the doors: gives each write its place in this node's session, sends requests on in order (group-stream.ts), retries for plain
 * Redis clients until the deadline, and then says what is known: -CLUSTERDOWN where nothing ran, -UNCERTAIN where a write may
 * have (design, "Exactly once"). Never a false OK, never a false "failed".
 */
import { asGroupId, type GroupId, type NodeId, type SlotId } from '../base/brand.ts'
import { latin1Bytes } from '../base/bytes.ts'
import { isRefusal, refusalOf, slotDenial } from '../kv/refusals.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import { LANE_REQUESTS, type PeerChannel } from '../ports/peer-channel.ts'
import type { ReadLevel, ReplyCallback, RequestRouter } from '../ports/request-router.ts'
import type { WriteIdentity } from '../protocol/client-session.ts'
import { encodePayload, PAYLOAD_WRITE } from '../protocol/command.ts'
import {
  encodeRequest,
  type PassedResponse,
  REQUEST_FLAG_AFTER_WRITES,
  REQUEST_READ,
  REQUEST_WRITE,
} from '../protocol/request-message.ts'
import { errorReply, hasErrorCode } from '../protocol/resp-reply.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import { GroupStream } from './group-stream.ts'
import { NearestReads } from './nearest-reads.ts'
import { RoutedRequest } from './routed-request.ts'
import { ClientSessions, nodeSession } from './session-numbers.ts'
import { SlotDetours } from './slot-detours.ts'
import { SlotWindow } from './slot-window.ts'

export interface RouterOptions {
  readonly self: NodeId
  readonly slotCount: number
  /** Counts this node's starts: makes the session and the epochs new. */
  readonly incarnation: number
  /** How long a request is retried before the client hears that it failed. */
  readonly requestDeadlineMs: number
  /** Beyond these new requests are refused with -BUSY. */
  readonly maxUnanswered: number
  readonly maxUnansweredBytes: number
  /** A longer command fits neither a log entry nor a message to another node. */
  readonly maxCommandBytes: number
}

export interface RouterGroups {
  groupOf(slot: SlotId): GroupId
  replica(group: GroupId): RaftReplica | undefined
  /** All nodes with a replica of the group. */
  nodesOf(group: GroupId): readonly NodeId[]
  /** The reconfig by which the group is believed to own the slot: sent along with each request. */
  epochOf(slot: SlotId): number
  /** The slot goes to the group by this reconfig: `serves`: says that group itself, which owns it. */
  learned(slot: SlotId, group: GroupId, reconfigId: number, serves: boolean): void
  /** The group that is believed to own the slot has denied it again and again, without naming another. */
  doubted(slot: SlotId): void
}

/** No group owns the slot, as far as this node knows. */
export const NOBODY: GroupId = asGroupId(0)
const CHECK_EVERY_MS = 25
/** How far a write's retry-until lies beyond its deadline: it must outlast the last attempt made in time. */
const RETRY_MARGIN_MS = 5_000

const CLUSTERDOWN = latin1Bytes(
  '-CLUSTERDOWN no leader for this slot within the request deadline: check that a majority of its replicas runs\r\n',
)
const UNCERTAIN = latin1Bytes('-UNCERTAIN the write may or may not have run: read the key before trying again\r\n')
const BUSY = latin1Bytes('-BUSY too many requests wait on this node: slow down and try again\r\n')
/** Said by a leader, not by the state machine: nothing of an earlier attempt follows from it. */
const DISKFULL_CODE = latin1Bytes('-DISKFULL')
const EPOCHS_PER_INCARNATION = 2 ** 28
/** So often in a row a group may deny a slot before a hint that led there is given up. */
const DENIALS_BEFORE_DOUBT = 4

function commandTooLarge(bytes: number, maxBytes: number): Uint8Array {
  return errorReply(
    `ERR the command takes ${bytes} bytes, more than the ${maxBytes} of one request: send smaller parts`,
  )
}

export class Router implements RequestRouter {
  readonly slotCount: number
  readonly #options: RouterOptions
  readonly #clock: Clock
  readonly #peers: PeerChannel
  readonly #groups: RouterGroups
  readonly #flushSoon: () => void
  readonly #session: number
  readonly #clientSessions: ClientSessions
  readonly #streams = new Map<GroupId, GroupStream>()
  readonly #windows: (SlotWindow<RoutedRequest, RoutedRequest> | undefined)[]
  readonly #detours: SlotDetours
  readonly #nearest: NearestReads
  #nextCallNumber = 1
  #oldest: RoutedRequest | null = null
  #newest: RoutedRequest | null = null
  #unanswered = 0
  #unansweredBytes = 0
  #timer: Timer | null = null
  #stopped = false

  constructor(options: RouterOptions, clock: Clock, peers: PeerChannel, groups: RouterGroups, flushSoon: () => void) {
    this.slotCount = options.slotCount
    this.#options = options
    this.#clock = clock
    this.#peers = peers
    this.#groups = groups
    this.#flushSoon = flushSoon
    this.#session = nodeSession(options.self, options.incarnation)
    this.#clientSessions = new ClientSessions(options.self, options.incarnation)
    this.#nearest = new NearestReads(clock)
    this.#windows = new Array<SlotWindow<RoutedRequest, RoutedRequest> | undefined>(options.slotCount)
    this.#detours = new SlotDetours(
      options.slotCount,
      (requests) => {
        for (const request of requests) this.#send(request)
      },
      (delayMs, run) => {
        clock.setTimer(delayMs, () => {
          if (!this.#stopped) run()
        })
      },
    )
  }

  start(): void {
    this.#timer = this.#clock.setTimer(CHECK_EVERY_MS, () => this.#check())
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#nearest.stop()
  }

  outstandingRequests(): number {
    return this.#unanswered
  }

  write(slot: SlotId, command: Uint8Array, done: ReplyCallback): void {
    this.#enter(new RoutedRequest(true, slot, command, false, this.#deadlineMs(), done))
  }

  writeAs(identity: WriteIdentity, slot: SlotId, command: Uint8Array, done: ReplyCallback): void {
    this.#enter(new RoutedRequest(true, slot, command, false, this.#deadlineMs(), done, identity))
  }

  lendSession(): number | null {
    return this.#clientSessions.take(this.#clock.monotonicMs())
  }

  read(slot: SlotId, command: Uint8Array, level: ReadLevel, afterWrites: boolean, done: ReplyCallback): void {
    if (level === 'stale') {
      const group = this.#groups.groupOf(slot)
      if (this.#groups.replica(group) !== undefined) {
        return this.#clock.defer(() => {
          // It may have given way in between, or closed, or let the slot go.
          const reply = this.#groups.replica(group)?.readStale(slot, command) ?? null
          if (reply === null || isRefusal(reply)) this.read(slot, command, 'linearizable', afterWrites, done)
          else done(reply)
        })
      }
    }
    if (level === 'nearest' && !afterWrites) {
      const replica = this.#groups.replica(this.#groups.groupOf(slot))
      if (replica !== undefined && !replica.isLeader) return this.#readNearest(replica, slot, command, done)
    }
    // Without leases a `lease` read is a linearizable one: never weaker than asked for.
    this.#enter(new RoutedRequest(false, slot, command, afterWrites, this.#deadlineMs(), done))
  }

  #readNearest(replica: RaftReplica, slot: SlotId, command: Uint8Array, done: ReplyCallback): void {
    const bytes = command.length
    const refusal = this.#whyNotNow(bytes)
    if (refusal !== null) return this.#clock.defer(() => done(refusal))
    this.#unanswered++
    this.#unansweredBytes += bytes
    const ended = (): void => {
      this.#unanswered--
      this.#unansweredBytes -= bytes
    }
    const answer = (reply: Uint8Array): void => {
      ended()
      done(reply)
    }
    this.#nearest.read(replica, slot, this.#groups.epochOf(slot), command, answer, () => {
      ended()
      if (!this.#stopped) this.read(slot, command, 'linearizable', false, done)
    })
  }

  leaderChanged(group: GroupId, leader: NodeId | null): void {
    this.#streams.get(group)?.leaderChanged(leader)
  }

  onResponse(response: PassedResponse): void {
    const { group, epoch, id, outcome, leader } = response
    this.#streams.get(group)?.onRemoteOutcome(epoch, id, outcome, leader, response.reply.slice())
  }

  onStreamClosed(to: NodeId): void {
    for (const stream of this.#streams.values()) stream.onStreamClosed(to)
  }

  onWritable(_to: NodeId): void {
    for (const stream of this.#streams.values()) stream.pump()
  }

  #deadlineMs(): number {
    return this.#clock.monotonicMs() + this.#options.requestDeadlineMs
  }

  /** Null: a request of so many bytes may come in. */
  #whyNotNow(bytes: number): Uint8Array | null {
    const { maxUnanswered, maxUnansweredBytes, maxCommandBytes } = this.#options
    if (bytes > maxCommandBytes) return commandTooLarge(bytes, maxCommandBytes)
    return this.#unanswered >= maxUnanswered || this.#unansweredBytes + bytes > maxUnansweredBytes ? BUSY : null
  }

  #enter(request: RoutedRequest): void {
    const bytes = request.command.length
    const refusal = this.#whyNotNow(bytes)
    if (refusal !== null) return this.#clock.defer(() => request.answer(refusal))
    this.#unanswered++
    this.#unansweredBytes += bytes
    request.callNumber = this.#nextCallNumber++
    request.previous = this.#newest
    if (this.#newest === null) this.#oldest = request
    else this.#newest.next = request
    this.#newest = request
    const window = this.#window(request.slot)
    if (window.parked.length > 0 || !hasRoomFor(request, window)) window.parked.push(request)
    else this.#dispatch(request, window)
  }

  #dispatch(request: RoutedRequest, window: SlotWindow<RoutedRequest, RoutedRequest>): void {
    if (request.isWrite && request.identity === null) {
      request.sequence = window.takeSequence()
      window.add(request)
    }
    this.#send(request)
  }

  #send(request: RoutedRequest): void {
    const { slot } = request
    const group = this.#groups.groupOf(slot)
    const epoch = this.#groups.epochOf(slot)
    if (!this.#detours.admits(request, group, epoch)) return
    // Not known yet, at a node that has just begun: it waits until the mirror of the tree has it.
    if (group === NOBODY) return void this.#detours.refused(request, false)
    // All its attempts in this stream carry it: what is sent later must not be believed where this one was not.
    request.slotEpoch = epoch
    request.group = group
    if (!this.#stream(group).enqueue(request)) this.#clock.defer(() => this.#answer(request, BUSY))
  }

  #window(slot: SlotId): SlotWindow<RoutedRequest, RoutedRequest> {
    let window = this.#windows[slot]
    if (window === undefined) {
      window = new SlotWindow()
      this.#windows[slot] = window
    }
    return window
  }

  #stream(group: GroupId): GroupStream {
    let stream = this.#streams.get(group)
    if (stream === undefined) {
      stream = this.#openStream(group)
      this.#streams.set(group, stream)
    }
    return stream
  }

  #openStream(group: GroupId): GroupStream {
    const { self } = this.#options
    const replicaHere = (): RaftReplica | undefined => this.#groups.replica(group)
    const firstEpoch = this.#options.incarnation * EPOCHS_PER_INCARNATION + 1
    return new GroupStream(group, firstEpoch, this.#options.maxUnanswered, {
      self,
      // Also where there is a replica here: one that was removed, or waits for its turn to join, never learns who leads.
      candidates: () => this.#groups.nodesOf(group).filter((node) => node !== self),
      nowMs: () => this.#clock.monotonicMs(),
      leader: () => replicaHere()?.leaderNode ?? null,
      sendLocal: (request) => this.#sendLocal(replicaHere(), request),
      sendRemote: (to, epoch, id, request) => this.#sendRemote(to, group, epoch, id, request),
      retryAfter: (stream, delayMs) => {
        this.#clock.setTimer(delayMs, () => {
          if (!this.#stopped) stream.onRetry()
        })
      },
      replied: (request, reply) => this.#replied(request, reply),
    })
  }

  #sendLocal(replica: RaftReplica | undefined, request: RoutedRequest): boolean {
    if (replica === undefined) return false
    if (request.isWrite) return replica.propose(this.#payload(request), request)
    const { slot, slotEpoch, command, afterWrites } = request
    return replica.read(slot, slotEpoch, command, afterWrites, request)
  }

  #sendRemote(to: NodeId, group: GroupId, epoch: number, id: number, request: RoutedRequest): boolean {
    const bytes = encodeRequest({
      group,
      epoch,
      id,
      kind: request.isWrite ? REQUEST_WRITE : REQUEST_READ,
      flags: request.afterWrites ? REQUEST_FLAG_AFTER_WRITES : 0,
      slot: request.slot,
      slotEpoch: request.slotEpoch,
      body: request.isWrite ? this.#payload(request) : request.command,
    })
    if (!this.#peers.send(to, LANE_REQUESTS, bytes)) return false
    this.#flushSoon()
    return true
  }

  /** Made anew for each attempt: the last one's bytes may stand in a log. Retry-until is fixed at the first. */
  #payload(request: RoutedRequest): Uint8Array {
    const { slot, slotEpoch, identity } = request
    if (identity !== null) {
      const { session, sequence, lowestUnanswered, retryUntilMs } = identity
      const own = { kind: PAYLOAD_WRITE, slot, slotEpoch, stampMs: 0 } as const
      return encodePayload({ ...own, session, sequence, lowestUnanswered, retryUntilMs }, request.command)
    }
    if (request.retryUntilMs === 0) {
      const logTimeMs = this.#groups.replica(this.#groups.groupOf(request.slot))?.machine.logTimeMs ?? 0
      const leftMs = Math.max(0, request.deadlineMs - this.#clock.monotonicMs())
      request.retryUntilMs = Math.max(this.#clock.wallMs(), logTimeMs) + Math.ceil(leftMs) + RETRY_MARGIN_MS
    }
    const header = {
      kind: PAYLOAD_WRITE,
      slot,
      slotEpoch,
      stampMs: 0,
      session: this.#session,
      sequence: request.sequence,
      lowestUnanswered: this.#window(slot).lowestUnanswered,
      retryUntilMs: request.retryUntilMs,
    } as const
    return encodePayload(header, request.command)
  }

  #replied(request: RoutedRequest, reply: Uint8Array): void {
    if (request.answered) return
    if (request.afterWrites && this.#isAheadOfWrites(request)) return void this.#detours.refused(request, true)
    // A first byte test keeps the hot path off the refusals' text.
    if (reply.length === 0 || reply[0] !== 0x2d) return this.#answer(request, reply)
    const refusal = hasErrorCode(reply, DISKFULL_CODE) ? 'disk-full' : refusalOf(reply)
    if (refusal === null) return this.#answer(request, reply)
    if (refusal === 'not-responsible') return this.#denied(request, reply)
    // The client that numbered it may have sent it by another node, too: what follows from these only it can know.
    const isFinal = refusal === 'retry-expired' || refusal === 'sequence-too-old'
    if (isFinal && request.identity !== null) return this.#answer(request, reply)
    // Nothing ran now. An attempt before, whose outcome nobody knows, may have, or still run (late, on its old way).
    if (request.maybeRan) return this.#answer(request, UNCERTAIN)
    this.#answer(request, refusal === 'busy' || refusal === 'disk-full' ? reply : CLUSTERDOWN)
  }

  /**
   * A read that came back before a write that was called before it: the write may have been refused there, its refusal lost, and run later elsewhere. The read goes
   * again behind it.
   */
  #isAheadOfWrites({ slot, callNumber }: RoutedRequest): boolean {
    const write = this.#windows[slot]?.oldestUnanswered ?? null
    return write !== null && write.callNumber < callNumber
  }

  /** Its session's records move with the slot: it goes to the slot's owner under its own sequence, once that is known. */
  #denied(request: RoutedRequest, reply: Uint8Array): void {
    const denial = slotDenial(reply)
    const { slot, group } = request
    const denials = this.#detours.refused(request, denial !== null)
    // Who says that it comes is no owner yet, and may never be: until then the slot is where the table has it, or where a former owner has sent this node to.
    if (denial?.kind === 'comes') return
    if (denial !== null) this.#groups.learned(slot, denial.group ?? group, denial.reconfigId, denial.kind === 'belongs')
    else if (denials >= DENIALS_BEFORE_DOUBT) this.#groups.doubted(slot)
  }

  #answer(request: RoutedRequest, reply: Uint8Array): void {
    if (request.answered) return
    this.#detours.answered(request)
    this.#unanswered--
    this.#unansweredBytes -= request.command.length
    if (request.previous === null) this.#oldest = request.next
    else request.previous.next = request.next
    if (request.next === null) this.#newest = request.previous
    else request.next.previous = request.previous
    request.previous = null
    request.next = null
    request.answer(reply)
    if (request.isWrite) this.#unpark(request.slot)
  }

  #unpark(slot: SlotId): void {
    const window = this.#window(slot)
    if (!window.answered()) return
    while (window.parked.length > 0) {
      const head = window.parked[0]
      if (!head.answered && !hasRoomFor(head, window)) return
      window.parked.shift()
      if (!head.answered) this.#dispatch(head, window)
    }
  }

  /** Deadlines, oldest first (all requests have the same), and silent leaders. */
  #check(): void {
    if (this.#stopped) return
    const nowMs = this.#clock.monotonicMs()
    for (let oldest = this.#oldest; oldest !== null && oldest.deadlineMs <= nowMs; oldest = this.#oldest) {
      const uncertain = oldest.isWrite && (oldest.maybeRan || oldest.underWay)
      this.#answer(oldest, uncertain ? UNCERTAIN : CLUSTERDOWN)
    }
    for (const stream of this.#streams.values()) stream.checkSilence(nowMs)
    this.#timer = this.#clock.setTimer(CHECK_EVERY_MS, () => this.#check())
  }
}

/** Writes under a client's session take none of the node's room: the client keeps its own count. */
function hasRoomFor(request: RoutedRequest, window: SlotWindow<RoutedRequest, RoutedRequest>): boolean {
  return !request.isWrite || request.identity !== null || window.hasRoom
}
