/**
 * One replica of one Raft group on this node: drives the pure core. Carries each Ready to the log, the network and the state
 * machine in the order that its types prescribe, and answers proposals and reads. Checkpoints and the transfer of images have
 * files of their own; the switch to an image is here. It runs in turns that the engine gives it (node/engine.ts); between turns it only queues.
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
import type { GroupWrite } from '../../ports/log.ts'
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
import { PendingProposals } from './pending-proposals.ts'
import { type PendingRead, PendingReads } from './pending-reads.ts'
import { ReplicaCheckpoints } from './replica-checkpoints.ts'
import type { ReplicaHost, ReplicaOptions, ReplicaState, UnsyncedReady } from './replica-host.ts'
import { ReplicaImages } from './replica-images.ts'
import type { Settle } from './settle.ts'

export type { ReplicaHost, ReplicaState, UnsyncedReady } from './replica-host.ts'

const DISKFULL = latin1Bytes(
  '-DISKFULL the leader of this slot is out of disk space: delete keys or give it a larger disk\r\n',
)
/** Of entries that the leader makes itself: under no session. */
const OWN_PAYLOAD = { stampMs: 0, session: 0, sequence: 0, lowestUnanswered: 0, retryUntilMs: 0 } as const
const READIES_PER_TURN = 16
/** Entries applied in one turn, about: a replica that catches up must not keep the node's ticks and heartbeats waiting. */
const APPLIED_PER_TURN = 8192
const PROPOSALS_PER_BATCH = 4096
/** The log's room is asked for only before a turn: so much may go in at once. */
const PROPOSAL_BYTES_PER_TURN = 4 << 20
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
  readonly #images: ReplicaImages
  readonly #checkpoints: ReplicaCheckpoints
  #store: ReplicaStore
  #machine: StateMachine
  #applied: LogIndex
  #appliedMembership: Membership
  #unsynced = 0
  /** Set from the core's taking over an image until its store is open; applying waits. */
  #switching = false
  #installedDirectory = 0
  #backlog: (readonly Entry[])[] = []
  #tickUnderWay = false
  #housekeeping = 0
  /** 0: it does not lead, as far as the Readys have told. */
  #leadingTerm = 0
  #closed = false
  #storeClosed = false
  readonly #whenClosed: (() => void)[] = []

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
    this.#appliedMembership = meta?.membership ?? options.genesisMembership
    this.#images = this.#makeImages()
    this.#checkpoints = this.#makeCheckpoints()
    this.#images.clearOldBases(options.baseDirectory)
    this.#learnNodes(core.membership)
  }

  #makeImages(): ReplicaImages {
    const { group, replicaId, core } = this
    const { path, baseDirectory } = this.#options
    const { clock, logger, baseFiles } = this.#host
    const ports = {
      group,
      replicaId,
      path,
      clock,
      logger,
      baseFiles,
      core,
      store: () => this.#store,
      send: (to: NodeId, bytes: Uint8Array) => this.#host.sendImage(to, bytes),
      wake: () => this.#host.wake(this),
      switching: () => this.#switching,
      taken: (directory: number) => {
        this.#installedDirectory = directory
      },
    }
    return new ReplicaImages(ports, baseDirectory)
  }

  #makeCheckpoints(): ReplicaCheckpoints {
    const { group, core } = this
    const { clock, logger, log } = this.#host
    const ports = {
      group,
      limits: this.#options.limits,
      clock,
      logger,
      log,
      core,
      store: () => this.#store,
      switching: () => this.#switching,
      meta: () => this.#checkpointMeta(),
      pinnedAfter: () => this.#images.pinnedAfter(),
      wake: () => this.#host.wake(this),
      fatal: (message: string) => this.#host.fatal(message),
    }
    return new ReplicaCheckpoints(ports, this.#applied)
  }

  get isLeader(): boolean {
    return this.core.role === 'leader' && !this.#closed
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
    return this.core.leader === 0 || this.#closed ? null : this.nodeOf(this.core.leader)
  }

  tick(): void {
    if (this.#closed) return
    this.core.tick()
    if (this.core.hasReady()) this.#host.wake(this)
  }

  step(from: NodeId, message: RaftMessage): void {
    if (this.#closed || message.to !== this.replicaId) return
    if (!this.#nodes.has(message.from)) this.#nodes.set(message.from, from)
    this.core.step(message)
    this.#host.wake(this)
  }

  /** Stands for election now instead of after its time-out; nothing on a leader. Safe at any time: its chances are those of any candidate. */
  campaign(): void {
    if (this.#closed) return
    this.core.campaign()
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

  /** Queues a write; `payload` is stamped in place later and must belong to this call alone. False: closed, or too many wait; nothing was queued. */
  propose(payload: Uint8Array, waiter: Settle): boolean {
    if (this.#closed || !this.#proposals.gather(payload, waiter)) return false
    this.#host.wake(this)
    return true
  }

  /** Queues a linearizable read. With `afterWrites` it sees every write proposed here before it. False as in `propose`. */
  read(slot: SlotId, slotEpoch: number, command: Uint8Array, afterWrites: boolean, waiter: Settle): boolean {
    if (this.#closed) return false
    const afterProposals = afterWrites ? this.#proposals.gatheredEver : 0
    if (!this.#reads.gather({ slot, slotEpoch, command, waiter, afterProposals })) return false
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
    const applyUntil = this.#applied + APPLIED_PER_TURN
    this.#drain(unsynced, applyUntil)
    if (mayPropose) this.#submitProposals()
    this.#submitReads()
    this.#drain(unsynced, applyUntil)
    // Reads that waited for proposals which were answered without a Ready.
    this.#serveReads()
    if (this.core.hasReady() || (this.#reads.gathered > 0 && !this.#reads.roundUnderWay)) this.#host.wake(this)
    this.#checkpoints.whenDue(this.#applied)
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
    if (!this.#closed && message.to === this.replicaId) this.#images.onMessage(from, message)
  }

  onImagesWritable(to: NodeId): void {
    this.#images.onWritable(to)
  }

  /** Writes a checkpoint of what has been applied, then lets the log before it go. */
  checkpoint(): void {
    this.#checkpoints.begin(this.#applied)
  }

  /** All that waits is refused or unknown at once; the store closes after what it is doing. Safe to call again. */
  close(done: () => void): void {
    if (this.#storeClosed) return this.#host.clock.defer(done)
    this.#whenClosed.push(done)
    if (this.#closed) return
    this.#closed = true
    this.#images.close()
    this.#checkpoints.close()
    this.#proposals.leadershipLost()
    this.#reads.leadershipLost()
    this.#store.close(() => {
      this.#storeClosed = true
      for (const closed of this.#whenClosed.splice(0)) closed()
    })
  }

  #drain(unsynced: UnsyncedReady[], applyUntil: number): void {
    for (let i = 0; i < READIES_PER_TURN && this.#applied < applyUntil && this.core.hasReady(); i++) {
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
    for (const replicaId of ready.imagesWanted) this.#images.send(replicaId, this.nodeOf(replicaId))
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
    const leadingTerm = status.role === 'leader' ? status.term : 0
    // Also where it has lost and won again between two turns: what was appended in the old term may be gone.
    if (this.#leadingTerm !== 0 && this.#leadingTerm !== leadingTerm) {
      this.#tickUnderWay = false
      this.#proposals.leadershipLost()
      this.#reads.leadershipLost()
      this.#images.leadershipLost()
    }
    this.#leadingTerm = leadingTerm
    this.#host.statusChanged(this, status)
  }

  #learnNodes(membership: Membership): void {
    for (const member of membership.members) this.#nodes.set(member.replicaId, member.nodeId)
  }

  #submitProposals(): void {
    const slowed = this.#images.sending && this.core.logBytes() > this.#options.limits.retainedBytesMax
    let room = slowed ? SLOWED_PROPOSALS_PER_TURN : PROPOSALS_PER_BATCH
    let bytesLeft = PROPOSAL_BYTES_PER_TURN
    const mayGrow = this.#host.acceptsGrowth() && !this.#checkpoints.outOfSpace
    const admits = (payload: Uint8Array): boolean => mayGrow || !payloadGrows(payload)
    while (this.#proposals.gathered > 0 && room > 0 && bytesLeft > 0 && this.#host.log.hasRoom) {
      if (!mayGrow) this.#refuseGrowth()
      const count = Math.min(room, this.#proposals.appendRoom)
      const payloads = this.#proposals.peek(count, bytesLeft, admits)
      if (payloads.length === 0) return
      const stampMs = this.#host.stampMs(this.#appliedMembership)
      for (const payload of payloads) stampPayload(payload, stampMs)
      const result = this.core.propose(payloads)
      if (result.kind === 'notLeader') {
        // The Ready that says so refuses them together with the reads that wait for them.
        if (this.#leadingTerm === 0) this.#proposals.refuseGathered()
        return
      }
      if (result.kind === 'busy') return
      if (result.kind === 'tooLarge') {
        const text = `-ERR the command takes more than the ${result.maxBytes} bytes of one log entry: send smaller parts\r\n`
        this.#proposals.answerOldestGathered(latin1Bytes(text))
        continue
      }
      this.#proposals.appendedAt(result.firstIndex, result.term, result.count)
      room -= result.count
      for (let i = 0; i < result.count; i++) bytesLeft -= payloads[i].length
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
    // One round at a time: what comes meanwhile shares the next, which costs no more for fifty reads than for one.
    if (this.#reads.gathered === 0 || this.#reads.roundUnderWay) return
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
    this.#reads.serve(this.#applied, this.#proposals.settledThrough, (read) => this.#query(read, nowMs))
    if (this.#reads.ticking > 0) this.#proposeTick()
  }

  #query(read: PendingRead, nowMs: number): boolean {
    const atMs = Math.max(nowMs, this.#machine.logTimeMs)
    const result = this.#machine.query(read.command, atMs, read.slot, read.slotEpoch)
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

  #checkpointMeta(): CheckpointMeta {
    const applied = this.#applied
    const term = present(this.core.termAt(applied), `group ${this.group}: no term for applied index ${applied}`)
    return { applied, term, membership: this.#appliedMembership, state: this.#machine.checkpointState() }
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
      this.#appliedMembership = meta.membership
      this.#learnNodes(meta.membership)
      this.#switching = false
      this.#checkpoints.installed(this.#applied)
      this.core.applied(this.#applied)
      const backlog = this.#backlog
      this.#backlog = []
      for (const entries of backlog) this.#apply(entries)
      this.#serveReads()
      this.#host.wake(this)
      old.close(() => {
        if (!this.#closed) this.#images.clearOldBases(directory)
      })
    })
  }
}
