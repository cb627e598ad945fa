/**
 * One replica of one Raft group, as a pure state machine: messages, ticks and reports in; Readys out (etcd-io/raft's
 * shape). No clock, no IO, no promises; everything it may do is decided by its inputs and its `Random`.
 *
 * The driver steps it, takes a Ready while `hasReady()`, does what ready.ts says, and reports back with `persisted` and
 * `applied`. Several Readys may be under way at once. All entries above the compaction point are in memory.
 */
import { assert } from '../base/assert.ts'
import { asLogIndex, type GroupId, type LogIndex, type NodeId, type ReplicaId, type Term } from '../base/brand.ts'
import type { CompactionPoint } from '../ports/log.ts'
import type { Random } from '../ports/random.ts'
import type { Entry } from '../protocol/entry.ts'
import type { Membership } from '../protocol/membership.ts'
import type { RaftMessage } from '../protocol/raft-message.ts'
import { standForElection } from './election.ts'
import { installImage, wantsImage } from './image.ts'
import { type ProposeMembershipResult, proposeMembership } from './membership-change.ts'
import type { MembershipChange } from './membership-history.ts'
import { NO_MUTATIONS, type RaftMutations } from './mutations.ts'
import type { ProgressState } from './progress.ts'
import { RaftState, type RestoredState } from './raft-state.ts'
import { type ReadIndexResult, readIndex } from './reads.ts'
import type { ImageMeta, RaftConfig, RaftRole, Ready } from './ready.ts'
import { ReadyBuilder } from './ready-builder.ts'
import { imageOutcome, type ProposeResult, propose } from './replication.ts'
import { wake } from './rest.ts'
import { step } from './step.ts'
import { tick } from './timers.ts'
import { transferLeadership } from './transfer.ts'

export type { ProposeMembershipResult } from './membership-change.ts'
export type { MembershipChange } from './membership-history.ts'
export type { ProgressState } from './progress.ts'
export type { RestoredState } from './raft-state.ts'
export type { ReadIndexResult } from './reads.ts'
export type { ProposeResult } from './replication.ts'

export interface FollowerProgress {
  readonly replicaId: ReplicaId
  readonly matchIndex: LogIndex
  readonly state: ProgressState
  /** It has answered within an election time-out, as far as time passes: not in a group at rest. */
  readonly isHeard: boolean
  /** The newest roll call, or later read round, that it has answered: see `callRoll`. */
  readonly answered: number
}

export class RaftCore {
  readonly #state: RaftState
  readonly #readys: ReadyBuilder

  constructor(
    group: GroupId,
    config: RaftConfig,
    restored: RestoredState,
    random: Random,
    mutations: RaftMutations = NO_MUTATIONS,
  ) {
    assert(config.heartbeatTicks >= 1, 'RaftConfig: heartbeatTicks must be positive')
    assert(config.electionTicksMin > config.heartbeatTicks, 'RaftConfig: an election time-out must outlast a heartbeat')
    assert(config.electionTicksMax >= config.electionTicksMin, 'RaftConfig: electionTicksMax below electionTicksMin')
    assert(config.maxInflightMessages >= 1 && config.maxPendingReads >= 1, 'RaftConfig: limits must be positive')
    this.#state = new RaftState(group, config, restored, random, mutations)
    this.#readys = new ReadyBuilder(this.#state)
  }

  get role(): RaftRole {
    return this.#state.role
  }

  get term(): Term {
    return this.#state.term
  }

  /** 0: not known. */
  get leader(): ReplicaId {
    return this.#state.leader
  }

  get commitIndex(): LogIndex {
    return this.#state.commitIndex
  }

  get lastIndex(): LogIndex {
    return this.#state.log.lastIndex
  }

  /** The end of the log that this replica's own disk holds. */
  get durableIndex(): LogIndex {
    return this.#state.log.durableIndex
  }

  get firstIndex(): LogIndex {
    return this.#state.log.firstIndex
  }

  get compaction(): CompactionPoint {
    return this.#state.log.compaction
  }

  /** In force now: the newest in the log, committed or not. */
  get membership(): Membership {
    return this.#state.membership
  }

  /** From where on it is in force: where it stands in the log, or the compaction point where that is above. */
  get membershipIndex(): LogIndex {
    return asLogIndex(Math.max(this.#state.memberships.newestIndex, this.compaction.index))
  }

  /** To whom leadership is being handed over; 0: to nobody. */
  get transferTarget(): ReplicaId {
    return this.#state.transferTo
  }

  /** It leads because the leader before handed over to it. */
  get wonByTransfer(): boolean {
    return this.#state.role === 'leader' && this.#state.stoodByTransfer
  }

  /** As the log has it at `index`, from the compaction point on: what an image or checkpoint at `index` must carry. */
  membershipAt(index: LogIndex): Membership {
    assert(index >= this.compaction.index, 'membershipAt: compacted away')
    return this.#state.memberships.at(index)
  }

  /** Payload bytes of the live log in memory. */
  logBytes(): number {
    return this.#state.log.bytes
  }

  /** Nothing happens in the group, and no time passes here: see rest.ts. */
  get resting(): boolean {
    return this.#state.resting
  }

  /** From rest: somebody's node is silent, for so long; a leader is told whose. Nothing where it does not rest. */
  wake(silentTicks: number, silentNode: NodeId | null = null): void {
    wake(this.#state, silentTicks, silentNode)
  }

  /**
   * Leader: asks every member for a sign of life, with its next tick. Who has said something since has `answered` at or above the number returned; an answer that was
   * under way before this call has not.
   */
  callRoll(): number {
    const state = this.#state
    assert(state.role === 'leader', 'callRoll: only a leader asks')
    wake(state)
    state.heartbeatElapsed = state.config.heartbeatTicks
    return state.reads.callRoll()
  }

  tick(): void {
    tick(this.#state)
  }

  /** Never throws because of what a message says: stale, foreign and senseless ones are ignored. */
  step(message: RaftMessage): void {
    step(this.#state, message)
  }

  /** Stands for election now, pre-vote first; nothing on a leader or where this replica is no voter. */
  campaign(): void {
    wake(this.#state)
    standForElection(this.#state)
  }

  /** Accepts the longest prefix that the limits allow, at least one; else says why none. Payloads must not change any more. */
  propose(payloads: readonly Uint8Array[]): ProposeResult {
    wake(this.#state)
    return propose(this.#state, payloads)
  }

  proposeMembership(change: MembershipChange): ProposeMembershipResult {
    wake(this.#state)
    return proposeMembership(this.#state, change)
  }

  /** On a follower too. Every pending read ends in `readStates` or `readsRefused`. */
  readIndex(): ReadIndexResult {
    wake(this.#state)
    return readIndex(this.#state)
  }

  /** True: under way. It may still fail, and is given up after an election time-out; until then proposals are refused as busy. */
  transferLeadership(to: ReplicaId): boolean {
    wake(this.#state)
    return transferLeadership(this.#state, to)
  }

  /** Asked before anything of an image is loaded. */
  wantsImage(meta: ImageMeta): boolean {
    return wantsImage(this.#state, meta)
  }

  /**
   * The image is whole and on disk. True: `Ready.installed` follows, and the acknowledgement leaves after that Ready is on disk.
   * Where `keepsLogSuffix` is false the whole old log goes, in the same write as the switch.
   */
  installImage(meta: ImageMeta, fromTerm: Term, from: ReplicaId): boolean {
    wake(this.#state)
    return installImage(this.#state, meta, fromTerm, from)
  }

  /** Leader: the sending of the image at `index` has ended. Not ok: the follower is asked again where its log stands. */
  imageOutcome(to: ReplicaId, index: LogIndex, ok: boolean): void {
    imageOutcome(this.#state, to, index, ok)
  }

  hasReady(): boolean {
    return this.#readys.hasReady()
  }

  takeReady(): Ready | null {
    return this.#readys.takeReady()
  }

  persisted(readyNumber: number): void {
    this.#readys.persisted(readyNumber)
  }

  applied(index: LogIndex): void {
    this.#readys.applied(index)
  }

  /** The driver's checkpoint holds everything up to the point, and no follower needs it: dropped from memory. */
  compact(point: CompactionPoint): void {
    this.#readys.compact(point)
  }

  /** Both ends included, cut to what is in memory. */
  entries(from: LogIndex, to: LogIndex): readonly Entry[] {
    const log = this.#state.log
    const first = Math.max(from, log.firstIndex)
    const last = Math.min(to, log.lastIndex)
    return first > last ? [] : log.slice(first, last)
  }

  /** Null: compacted away, or beyond the end. */
  termAt(index: LogIndex): Term | null {
    return this.#state.log.termAt(index)
  }

  /** For status; empty where this replica does not lead. */
  progress(): readonly FollowerProgress[] {
    const followers: FollowerProgress[] = []
    const { electionTicksMin } = this.#state.config
    for (const { replicaId, matchIndex, state, silentTicks, ackedToken: answered } of this.#state.peers.values()) {
      followers.push({ replicaId, matchIndex, state, isHeard: silentTicks < electionTicksMin, answered })
    }
    return followers
  }
}
