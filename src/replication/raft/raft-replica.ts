/**
 * One replica of one Raft group on this node: drives the pure core. Carries each Ready to the log, the network and the state
 * machine in the order that its types prescribe, answers proposals and reads, takes checkpoints, sends and installs images.
 * It runs in turns that the engine gives it (node/engine.ts); between turns it only queues.
 */
import { assert, present } from '../../base/assert.ts'
import {
  asLogIndex,
  asSlotId,
  type GroupId,
  type LogIndex,
  type NodeId,
  type ReplicaId,
  type SlotId,
} from '../../base/brand.ts'
import { EMPTY_BYTES, latin1Bytes } from '../../base/bytes.ts'
import type { BaseFileStore } from '../../ports/base-file.ts'
import type { Clock } from '../../ports/clock.ts'
import type { CompactionPoint, GroupWrite, NodeLog } from '../../ports/log.ts'
import type { Logger } from '../../ports/logger.ts'
import type { StateMachine } from '../../ports/state-machine.ts'
import { encodePayload, PAYLOAD_TICK, payloadGrows, stampPayload } from '../../protocol/command.ts'
import { ENTRY_COMMAND, ENTRY_MEMBERSHIP, type Entry } from '../../protocol/entry.ts'
import type { ImageMessage } from '../../protocol/image-message.ts'
import { decodeMembership, type Membership } from '../../protocol/membership.ts'
import type { RaftMessage } from '../../protocol/raft-message.ts'
import { OUTCOME_REPLY, type RequestOutcome } from '../../protocol/request-message.ts'
import type { MembershipChange, ProposeMembershipResult, RaftCore } from '../../raft/raft-core.ts'
import type { RaftStatus, Ready } from '../../raft/ready.ts'
import type { CheckpointMeta, ReplicaStore } from '../../store/store.ts'
import { type CompactionLimits, checkpointDue, compactionTarget } from './compaction-policy.ts'
import { ImageReceiver } from './image-receiver.ts'
import { ImageSender } from './image-sender.ts'
import { PendingProposals } from './pending-proposals.ts'
import { type PendingRead, PendingReads } from './pending-reads.ts'
import type { Settle } from './settle.ts'

export interface ReplicaState {
  readonly store: ReplicaStore
  readonly machine: StateMachine
}

/** What the node gives to each of its replicas. */
export interface ReplicaHost {
  readonly clock: Clock
  readonly logger: Logger
  readonly log: NodeLog
  readonly baseFiles: BaseFileStore
  /** The consensus lane; lost where the peer is away: Raft repeats. */
  sendConsensus(to: NodeId, message: RaftMessage): void
  /** The images lane; false: refused now, `onImagesWritable` follows. */
  sendImage(to: NodeId, bytes: Uint8Array): boolean
  /** Asks for a turn. */
  wake(replica: RaftReplica): void
  statusChanged(replica: RaftReplica, status: RaftStatus): void
  /** The leader's clock for entries, clamped to its quorum's clocks; 0: it must not stamp ahead. */
  stampMs(membership: Membership): number
  openState(group: GroupId, directory: number, done: (error: string | null, state: ReplicaState | null) => void): void
  /** False once the disk holds only what is kept for hard state and deletes: writes that grow are refused. */
  acceptsGrowth(): boolean
  /** Ends the process: going on would risk acknowledged data. */
  fatal(message: string): void
}

export interface ReplicaOptions {
  readonly group: GroupId
  readonly replicaId: ReplicaId
  /** Where this replica's numbered base directories are. */
  readonly path: string
  readonly baseDirectory: number
  readonly genesisMembership: Membership
  readonly limits: CompactionLimits
  readonly maxPendingProposals: number
  readonly maxPendingReads: number
}

/** A Ready that waits for the disk, in the order in which they were taken. */
export interface UnsyncedReady {
  readonly replica: RaftReplica
  readonly number: number
  readonly messages: readonly RaftMessage[]
  readonly switchTo: number | null
}

const DISKFULL = latin1Bytes(
  '-DISKFULL the leader of this slot is out of disk space: delete keys or give it a larger disk\r\n',
)
/** Of entries that the leader makes itself: under no session. */
const OWN_PAYLOAD = { stampMs: 0, session: 0, sequence: 0, lowestUnanswered: 0, retryUntilMs: 0 } as const
const READIES_PER_TURN = 16
const PROPOSALS_PER_BATCH = 4096
const PROPOSAL_BYTES_PER_BATCH = 1 << 20
/** Above the retained log bound, while an image is under way, proposals go in at this rate a turn. */
const SLOWED_PROPOSALS_PER_TURN = 16

export class RaftReplica {
  readonly group: GroupId
  readonly replicaId: ReplicaId
  readonly core: RaftCore
  readonly #options: ReplicaOptions
  readonly #host: ReplicaHost
  readonly #proposals: PendingProposals
  readonly #reads: PendingReads
  readonly #nodes = new Map<ReplicaId, NodeId>()
  readonly #senders = new Map<ReplicaId, ImageSender>()
  readonly #receiver: ImageReceiver
  #store: ReplicaStore
  #machine: StateMachine
  #applied: LogIndex
  #appliedMembership: Membership
  #checkpointed: LogIndex
  #baseDirectory: number
  #nextDirectory: number
  #nextTransfer = 1
  #unsynced = 0
  /** Set from the core's taking over an image until its store is open; applying waits. */
  #switching = false
  #installedDirectory = 0
  #backlog: (readonly Entry[])[] = []
  #tickUnderWay = false
  #housekeeping = 0
  #leading = false
  #closed = false

  constructor(options: ReplicaOptions, host: ReplicaHost, core: RaftCore, state: ReplicaState) {
    this.group = options.group
    this.replicaId = options.replicaId
    this.#options = options
    this.#host = host
    this.core = core
    this.#store = state.store
    this.#machine = state.machine
    this.#proposals = new PendingProposals(options.maxPendingProposals)
    this.#reads = new PendingReads(options.maxPendingReads)
    const meta = state.store.meta
    this.#applied = meta?.applied ?? asLogIndex(0)
    this.#checkpointed = this.#applied
    this.#appliedMembership = meta?.membership ?? options.genesisMembership
    this.#baseDirectory = options.baseDirectory
    this.#nextDirectory = options.baseDirectory + 1
    this.#receiver = new ImageReceiver({
      clock: host.clock,
      send: (to, bytes) => host.sendImage(to, bytes),
      wants: (offer) =>
        !this.#switching && core.wantsImage({ index: offer.index, term: offer.lastTerm, membership: offer.membership }),
      install: (done) => {
        const directory = this.#nextDirectory++
        host.baseFiles.install(options.path, directory, (error, install) => done(error, install, directory))
      },
      received: (offer, directory) => {
        if (this.#switching || this.#closed) return false
        const meta = { index: offer.index, term: offer.lastTerm, membership: offer.membership }
        this.#installedDirectory = directory
        const taken = core.installImage(meta, offer.term, offer.from)
        host.wake(this)
        return taken
      },
    })
    this.#learnNodes(core.membership)
  }

  get isLeader(): boolean {
    return this.core.role === 'leader'
  }

  get applied(): LogIndex {
    return this.#applied
  }

  get machine(): StateMachine {
    return this.#machine
  }

  get store(): ReplicaStore {
    return this.#store
  }

  /** Writes that wait for a batch: what the engine's gathering looks at. */
  get gatheredProposals(): number {
    return this.#proposals.gathered
  }

  get outstandingProposals(): number {
    return this.#proposals.outstanding
  }

  nodeOf(replicaId: ReplicaId): NodeId | null {
    return this.#nodes.get(replicaId) ?? null
  }

  /** The node that leads, as far as known. */
  get leaderNode(): NodeId | null {
    return this.core.leader === 0 ? null : this.nodeOf(this.core.leader)
  }

  tick(): void {
    this.core.tick()
    if (this.core.hasReady()) this.#host.wake(this)
  }

  step(from: NodeId, message: RaftMessage): void {
    if (this.#closed || message.to !== this.replicaId) return
    if (!this.#nodes.has(message.from)) this.#nodes.set(message.from, from)
    this.core.step(message)
    this.#host.wake(this)
  }

  /** Hands leadership over: proposals wait, and go on with the new leader. False: not possible now. */
  transferLeadership(to: ReplicaId): boolean {
    const begun = this.core.transferLeadership(to)
    this.#host.wake(this)
    return begun
  }

  /** Proposes a join, a promotion or a removal; it is in force at once, and counts once the applied membership shows it. */
  changeMembership(change: MembershipChange): ProposeMembershipResult {
    const result = this.core.proposeMembership(change)
    this.#host.wake(this)
    return result
  }

  /** The membership as of the applied index: committed for good. */
  get appliedMembership(): Membership {
    return this.#appliedMembership
  }

  /** Queues a write; `payload` is stamped in place later and must belong to this call alone. False: too many wait, nothing was queued. */
  propose(payload: Uint8Array, waiter: Settle): boolean {
    if (!this.#proposals.gather(payload, waiter)) return false
    this.#host.wake(this)
    return true
  }

  /** Queues a linearizable read. With `afterWrites` it sees every write proposed here before it. */
  read(slot: SlotId, command: Uint8Array, afterWrites: boolean, waiter: Settle): boolean {
    const afterProposals = afterWrites ? this.#proposals.gatheredEver : 0
    if (!this.#reads.gather({ slot, command, waiter, afterProposals })) return false
    this.#host.wake(this)
    return true
  }

  /** Answers at once from whatever has been applied here. */
  readStale(slot: SlotId, command: Uint8Array): Uint8Array {
    const result = this.#machine.query(command, this.#machine.logTimeMs, slot)
    assert(result.kind === 'reply', 'a read without a clock cannot need a tick')
    return result.reply
  }

  /** A step of background removal is under way. */
  get housekeeping(): boolean {
    return this.#housekeeping > 0
  }

  /** Proposes one bounded step of background removal; lost without harm. */
  keepHouse(payload: Uint8Array): void {
    const settled: Settle = { settle: () => this.#housekeeping-- }
    if (this.propose(payload, settled)) this.#housekeeping++
  }

  /** One turn: take what the core has ready, hand it gathered proposals (where the engine lets the batch close) and reads, and again. */
  turn(mayPropose: boolean, unsynced: UnsyncedReady[]): void {
    if (this.#closed) return
    this.#drain(unsynced)
    if (mayPropose) this.#submitProposals()
    this.#submitReads()
    this.#drain(unsynced)
    if (this.core.hasReady()) this.#host.wake(this)
    this.#checkpointWhenDue()
  }

  /** The log has synced this Ready and all before it. */
  synced(ready: UnsyncedReady): void {
    if (this.#closed) return
    this.#unsynced--
    this.#sendAll(ready.messages)
    this.core.persisted(ready.number)
    if (ready.switchTo !== null) this.#switchStore(ready.switchTo)
    this.#host.wake(this)
  }

  onImageMessage(from: NodeId, message: ImageMessage): void {
    if (this.#closed || message.to !== this.replicaId) return
    if (message.type === 'offer' || message.type === 'chunk' || message.type === 'end') {
      this.#receiver.onMessage(from, message)
    } else this.#senders.get(message.from)?.onMessage(message)
  }

  onImagesWritable(to: NodeId): void {
    for (const sender of this.#senders.values()) if (sender.toNode === to) sender.onWritable()
  }

  close(done: () => void): void {
    this.#closed = true
    this.#receiver.abort()
    for (const sender of [...this.#senders.values()]) sender.end(false)
    this.#proposals.leadershipLost()
    this.#reads.leadershipLost()
    this.#store.close(done)
  }

  #drain(unsynced: UnsyncedReady[]): void {
    for (let i = 0; i < READIES_PER_TURN && this.core.hasReady(); i++) {
      const ready = this.core.takeReady()
      if (ready === null) return
      this.#handle(ready, unsynced)
    }
  }

  #handle(ready: Ready, unsynced: UnsyncedReady[]): void {
    if (ready.status !== null) this.#learnNodes(ready.status.membership)
    const writes = this.#writeLog(ready)
    this.#sendAll(ready.messagesNow)
    if (writes || this.#unsynced > 0) {
      this.#unsynced++
      const switchTo = ready.installed === null ? null : this.#installedDirectory
      unsynced.push({ replica: this, number: ready.number, messages: ready.messagesAfterDisk, switchTo })
    } else {
      this.#sendAll(ready.messagesAfterDisk)
      this.core.persisted(ready.number)
    }
    if (ready.committed.length > 0) this.#apply(ready.committed)
    for (const state of ready.readStates) this.#reads.confirmed(state.read, state.index)
    for (const read of ready.readsRefused) this.#reads.refused(read)
    if (ready.status !== null) this.#roleChanged(ready.status)
    this.#serveReads()
    for (const replicaId of ready.imagesWanted) this.#sendImage(replicaId)
  }

  #writeLog(ready: Ready): boolean {
    const { hardState, truncateFrom, entries, installed } = ready
    if (hardState === null && truncateFrom === null && entries.length === 0 && installed === null) return false
    let write: GroupWrite = { group: this.group }
    if (hardState !== null) write = { ...write, hardState }
    if (truncateFrom !== null) write = { ...write, truncateFrom }
    if (entries.length > 0) write = { ...write, entries }
    if (installed !== null) {
      assert(!this.#switching, 'a second image while the first is being switched to')
      this.#switching = true
      const from = installed.keepsLogSuffix ? truncateFrom : asLogIndex(installed.index + 1)
      write = { ...write, base: { directory: this.#installedDirectory, point: installed } }
      if (from !== null) write = { ...write, truncateFrom: from }
    }
    this.#host.log.append(write)
    return true
  }

  #sendAll(messages: readonly RaftMessage[]): void {
    for (const message of messages) {
      const node = this.#nodes.get(message.to)
      if (node !== undefined) this.#host.sendConsensus(node, message)
    }
  }

  #roleChanged(status: RaftStatus): void {
    const leads = status.role === 'leader'
    if (this.#leading && !leads) {
      this.#tickUnderWay = false
      this.#proposals.leadershipLost()
      this.#reads.leadershipLost()
      for (const sender of [...this.#senders.values()]) sender.end(false)
    }
    this.#leading = leads
    this.#host.statusChanged(this, status)
  }

  #learnNodes(membership: Membership): void {
    for (const member of membership.members) this.#nodes.set(member.replicaId, member.nodeId)
  }

  #submitProposals(): void {
    const slowed = this.#senders.size > 0 && this.core.logBytes() > this.#options.limits.retainedBytesMax
    let room = slowed ? SLOWED_PROPOSALS_PER_TURN : PROPOSALS_PER_BATCH
    while (this.#proposals.gathered > 0 && room > 0 && this.#host.log.hasRoom) {
      if (!this.#host.acceptsGrowth()) this.#refuseGrowth()
      const count = Math.min(room, this.#proposals.appendRoom)
      const payloads = this.#proposals.peek(count, PROPOSAL_BYTES_PER_BATCH)
      if (payloads.length === 0) return
      const stampMs = this.#host.stampMs(this.#appliedMembership)
      for (const payload of payloads) stampPayload(payload, stampMs)
      const result = this.core.propose(payloads)
      if (result.kind === 'notLeader') return this.#proposals.refuseGathered()
      if (result.kind === 'busy') return
      if (result.kind === 'tooLarge') {
        const text = `-ERR the command takes more than the ${result.maxBytes} bytes of one log entry: send smaller parts\r\n`
        this.#proposals.answerOldestGathered(latin1Bytes(text))
        continue
      }
      this.#proposals.appendedAt(result.firstIndex, result.term, result.count)
      room -= result.count
      if (result.count < payloads.length) return
    }
  }

  #refuseGrowth(): void {
    for (let head = this.#proposals.oldestGathered(); head !== undefined; head = this.#proposals.oldestGathered()) {
      if (!payloadGrows(head)) return
      this.#proposals.answerOldestGathered(DISKFULL)
    }
  }

  #submitReads(): void {
    if (this.#reads.gathered === 0) return
    const result = this.core.role === 'leader' ? this.core.readIndex() : null
    if (result === null || result.kind !== 'pending') this.#reads.refuseGathered()
    else this.#reads.confirming(result.read)
  }

  #apply(entries: readonly Entry[]): void {
    if (this.#switching) {
      this.#backlog.push(entries)
      return
    }
    for (const entry of entries) {
      if (entry.index <= this.#applied) continue
      assert(entry.index === this.#applied + 1, `group ${this.group}: apply of ${entry.index} after ${this.#applied}`)
      let reply = EMPTY_BYTES
      if (entry.kind === ENTRY_COMMAND) reply = this.#machine.apply(entry)
      else if (entry.kind === ENTRY_MEMBERSHIP) this.#appliedMembership = decodeMembership(entry.payload)
      this.#applied = entry.index
      this.#proposals.applied(entry.index, entry.term, reply)
    }
    this.core.applied(this.#applied)
    this.#host.wake(this)
  }

  #serveReads(): void {
    if (this.#switching || !this.#reads.hasConfirmed) return
    const nowMs = this.#host.stampMs(this.#appliedMembership)
    this.#reads.serve(this.#applied, this.#proposals.settledEver, (read) => this.#query(read, nowMs))
    if (this.#reads.ticking > 0) this.#proposeTick()
  }

  #query(read: PendingRead, nowMs: number): boolean {
    const result = this.#machine.query(read.command, Math.max(nowMs, this.#machine.logTimeMs), read.slot)
    if (result.kind === 'needsTick') return false
    read.waiter.settle(OUTCOME_REPLY, result.reply)
    return true
  }

  /** One tick serves every read that waits for one (design, "Time"). */
  #proposeTick(): void {
    if (this.#tickUnderWay) return
    const header = { ...OWN_PAYLOAD, kind: PAYLOAD_TICK, slot: asSlotId(0) } as const
    const queued = this.propose(encodePayload(header, EMPTY_BYTES), {
      settle: (outcome: RequestOutcome) => {
        this.#tickUnderWay = false
        if (outcome !== OUTCOME_REPLY) return this.#reads.refuseTicking()
        // By log time alone from here on: it has moved to the leader's stamp.
        this.#reads.ticked((read) => assert(this.#query(read, 0), 'a read without a clock cannot need a tick'))
      },
    })
    if (queued) this.#tickUnderWay = true
    else this.#reads.refuseTicking()
  }

  #checkpointWhenDue(): void {
    if (this.#switching || this.#store.checkpointing) return
    const due = checkpointDue(this.#options.limits, {
      memtableBytes: this.#store.memtableBytes,
      logBytes: this.core.logBytes(),
      entriesSinceCheckpoint: this.#applied - this.#checkpointed,
    })
    if (due) this.checkpoint()
  }

  /** Writes a checkpoint of what has been applied, then lets the log before it go. */
  checkpoint(): void {
    if (this.#switching || this.#store.checkpointing || this.#applied === this.#checkpointed) return
    const applied = this.#applied
    const term = present(this.core.termAt(applied), `group ${this.group}: no term for applied index ${applied}`)
    const store = this.#store
    const meta: CheckpointMeta = {
      applied,
      term,
      membership: this.#appliedMembership,
      state: this.#machine.checkpointState(),
    }
    store.checkpoint(meta, (error) => {
      if (this.#closed || store !== this.#store) return
      if (error !== null)
        return this.#host.fatal(`group ${this.group}: checkpoint at ${applied} failed: ${error.message}`)
      this.#checkpointed = applied
      this.#compactLog()
      this.#host.wake(this)
    })
  }

  #compactLog(): void {
    let neededAfter = Number.POSITIVE_INFINITY
    if (this.isLeader) for (const peer of this.core.progress()) neededAfter = Math.min(neededAfter, peer.matchIndex)
    for (const sender of this.#senders.values()) neededAfter = Math.min(neededAfter, sender.index)
    const state = { checkpointed: this.#checkpointed, logBytes: this.core.logBytes(), neededAfter }
    const index = compactionTarget(this.#options.limits, state)
    if (index < this.core.firstIndex) return
    const point: CompactionPoint = {
      index,
      term: present(this.core.termAt(index), 'compaction: no term at the target'),
    }
    this.#host.log.append({ group: this.group, compaction: point })
    this.core.compact(point)
  }

  #sendImage(to: ReplicaId): void {
    const node = this.#nodes.get(to)
    if (node === undefined || this.#switching || this.#senders.has(to))
      return this.core.imageOutcome(to, asLogIndex(0), false)
    const store = this.#store
    store.image((error, image, meta) => {
      if (
        this.#closed ||
        store !== this.#store ||
        !this.isLeader ||
        this.#senders.has(to) ||
        image === null ||
        meta === null
      ) {
        image?.close()
        if (error !== null) this.#host.logger.warn('image failed', { group: this.group, to, error: error.message })
        this.core.imageOutcome(to, asLogIndex(0), false)
        return
      }
      const source = { image, index: meta.applied, term: meta.term, membership: meta.membership }
      const sender = new ImageSender(this.group, this.replicaId, to, node, this.#nextTransfer++, source, {
        clock: this.#host.clock,
        send: (toNode, bytes) => this.#host.sendImage(toNode, bytes),
        currentTerm: () => this.core.term,
        ended: (ended, ok) => {
          this.#senders.delete(to)
          this.core.imageOutcome(to, ended.index, ok)
          this.#host.wake(this)
        },
      })
      this.#senders.set(to, sender)
      sender.start()
    })
  }

  /** The switch record is on disk: opens the image's base file, and goes on applying from there. */
  #switchStore(directory: number): void {
    const old = this.#store
    this.#host.openState(this.group, directory, (error, state) => {
      if (this.#closed) return state?.store.close(() => {})
      if (state === null)
        return this.#host.fatal(`group ${this.group}: image in base-${directory} does not open: ${error}`)
      const meta = present(state.store.meta, 'an installed image has meta data')
      assert(meta.applied > this.#applied, 'an image must be ahead of what was applied')
      this.#store = state.store
      this.#machine = state.machine
      this.#applied = meta.applied
      this.#checkpointed = meta.applied
      this.#appliedMembership = meta.membership
      this.#learnNodes(meta.membership)
      this.#baseDirectory = directory
      this.#switching = false
      this.core.applied(this.#applied)
      const backlog = this.#backlog
      this.#backlog = []
      for (const entries of backlog) this.#apply(entries)
      this.#serveReads()
      this.#host.wake(this)
      old.close(() => this.#removeOldBases())
    })
  }

  #removeOldBases(): void {
    if (this.#receiver.active) return
    this.#host.baseFiles.removeOthers(this.#options.path, this.#baseDirectory, (error) => {
      if (error !== null)
        this.#host.logger.warn('old base directory stays', { group: this.group, error: error.message })
    })
  }
}
