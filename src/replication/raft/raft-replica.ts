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
import { EMPTY_BYTES } from '../../base/bytes.ts'
import type { GroupWrite } from '../../ports/log.ts'
import type { StateMachine } from '../../ports/state-machine.ts'
import { ENTRY_COMMAND, ENTRY_MEMBERSHIP, type Entry } from '../../protocol/entry.ts'
import type { ImageMessage } from '../../protocol/image-message.ts'
import { decodeMembership, type Membership } from '../../protocol/membership.ts'
import type { RaftMessage } from '../../protocol/raft-message.ts'
import type { MembershipChange, ProposeMembershipResult, RaftCore } from '../../raft/raft-core.ts'
import type { RaftStatus, Ready } from '../../raft/ready.ts'
import type { CheckpointMeta, ReplicaStore } from '../../store/store.ts'
import { GatedProposals } from './gated-proposals.ts'
import { PendingProposals } from './pending-proposals.ts'
import { ProposalBatches } from './proposal-batches.ts'
import { ReplicaCheckpoints } from './replica-checkpoints.ts'
import type { ReplicaHost, ReplicaOptions, ReplicaState, UnsyncedReady } from './replica-host.ts'
import { ReplicaImages } from './replica-images.ts'
import { BARRIER, ReplicaReads } from './replica-reads.ts'
import type { Settle } from './settle.ts'
import type { WriteGate } from './write-gate.ts'

export type { ReplicaHost, ReplicaState, UnsyncedReady } from './replica-host.ts'

const READIES_PER_TURN = 16
/** Entries applied in one turn, about: a replica that catches up must not keep the node's ticks and heartbeats waiting. */
const APPLIED_PER_TURN = 8192

export class RaftReplica {
  readonly group: GroupId
  readonly replicaId: ReplicaId
  readonly core: RaftCore
  readonly #options: ReplicaOptions
  readonly #host: ReplicaHost
  readonly #proposals: PendingProposals
  readonly #gated: GatedProposals
  readonly #batches: ProposalBatches
  readonly #reads: ReplicaReads
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
    this.#gated = new GatedProposals(this.#proposals)
    this.#batches = new ProposalBatches(this.#proposals, core, host)
    this.#reads = new ReplicaReads(options.maxPendingReads, {
      core,
      machine: () => this.#machine,
      applied: () => this.#applied,
      stampMs: () => host.stampMs(this.#appliedMembership),
      settledThrough: () => this.#proposals.settledThrough,
      propose: (payload, waiter) => this.propose(payload, waiter),
    })
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

  /** It answers nothing any more, and its store may be gone. */
  get isClosed(): boolean {
    return this.#closed
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
    if (this.#closed || this.core.resting) return
    this.core.tick()
    if (this.core.hasReady()) this.#host.wake(this)
  }

  /** No time passes in it: nothing happens, and its node watches over the others' (raft/rest.ts). */
  get resting(): boolean {
    return this.core.resting && !this.#closed
  }

  /** A node that matters has been silent for so many ticks; 0: it no longer says that the group rests. */
  wakeFromRest(silentTicks: number, silentNode: NodeId): void {
    this.core.wake(silentTicks, silentNode)
  }

  step(from: NodeId, message: RaftMessage): void {
    if (this.#closed || message.to !== this.replicaId) return
    if (!this.#nodes.has(message.from)) this.#nodes.set(message.from, from)
    // Somebody else's word says nothing of the leader: its silence counts from its node's last word.
    if (this.core.resting && message.from !== this.core.leader) this.core.wake(this.#host.silentTicks?.(this) ?? 0)
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
    if (this.#closed || !this.#gated.gather(payload, waiter)) return false
    this.#host.wake(this)
    return true
  }

  /** Null: writes go freely, and what waited for the gate before goes on at once. Gone with leadership, which answers whatever waits. */
  setWriteGate(gate: WriteGate | null): void {
    if (this.#gated.set(gate)) this.#host.wake(this)
  }

  /** A parked write goes on; nothing where it has its outcome already. */
  unpark(ordinal: number): void {
    this.#proposals.unpark(ordinal)
    this.#host.wake(this)
  }

  /** A held reply goes; nothing where it has gone already. */
  releaseReply(index: LogIndex): void {
    this.#proposals.release(index)
    // Reads that wait for it.
    this.#host.wake(this)
  }

  /** False: the disk has no room for what makes the data larger. */
  get acceptsGrowth(): boolean {
    return this.#host.acceptsGrowth() && !this.#checkpoints.outOfSpace
  }

  /**
   * ReadIndex alone: OUTCOME_REPLY once a majority has said, after this call, that this replica leads, and it has applied all that was committed by then.
   * False as in `propose`.
   */
  barrier(waiter: Settle): boolean {
    return this.read(asSlotId(0), 0, BARRIER, false, waiter)
  }

  /** Queues a linearizable read. With `afterWrites` it sees every write proposed here before it. False as in `propose`. */
  read(slot: SlotId, slotEpoch: number, command: Uint8Array, afterWrites: boolean, waiter: Settle): boolean {
    if (this.#closed) return false
    const afterProposals = afterWrites ? this.#proposals.gatheredEver : 0
    if (!this.#reads.gather({ slot, slotEpoch, command, waiter, afterProposals })) return false
    this.#host.wake(this)
    return true
  }

  /**
   * Queues a linearizable read that this replica answers itself, whether it leads or not: the leader only confirms the index. In no order with any other
   * request. May be refused for reasons that the leader would not have. False as in `propose`.
   */
  readHere(slot: SlotId, slotEpoch: number, command: Uint8Array, waiter: Settle): boolean {
    if (this.#closed || !this.#reads.here.gather({ slot, slotEpoch, command, waiter, afterProposals: 0 })) return false
    this.#host.wake(this)
    return true
  }

  /** Answers at once from whatever has been applied here. Null: closed. */
  readStale(slot: SlotId, command: Uint8Array): Uint8Array | null {
    if (this.#closed) return null
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
    this.#reads.submit()
    this.#drain(unsynced, applyUntil)
    // Reads that waited for proposals which were answered without a Ready.
    this.#serveReads()
    if (this.core.hasReady() || this.#reads.mayStart) this.#host.wake(this)
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
    this.#gated.drop()
    this.#proposals.leadershipLost()
    this.#reads.close()
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
      this.#gated.drop()
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
    if (this.#proposals.gathered === 0) return
    this.#batches.submit({
      leads: this.#leadingTerm !== 0,
      slowed: this.#images.sending && this.core.logBytes() > this.#options.limits.retainedBytesMax,
      mayGrow: this.acceptsGrowth,
      membership: this.#appliedMembership,
    })
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
      this.#gated.applied(entry, reply)
    }
    this.core.applied(this.#applied)
    if (this.#leadingTerm !== 0) this.#host.applied?.(this)
    this.#host.wake(this)
  }

  #serveReads(): void {
    if (!this.#switching) this.#reads.answer()
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
