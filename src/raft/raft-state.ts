/**
 * The state of one replica that all parts of the core share, and the few steps that must keep its pieces together
 * (log with memberships, commit index with uncommitted bytes). The rules live in the files beside this one:
 * roles, election, replication, follower, reads, membership-change, transfer, image, ready-builder.
 */
import { assert } from '../base/assert.ts'
import { asLogIndex, asReplicaId, type GroupId, type LogIndex, type ReplicaId, type Term } from '../base/brand.ts'
import type { CompactionPoint, HardState } from '../ports/log.ts'
import type { Random } from '../ports/random.ts'
import { ENTRY_MEMBERSHIP, type Entry, encodedEntryBytes } from '../protocol/entry.ts'
import type { Membership } from '../protocol/membership.ts'
import { decodeMembershipOrNull } from './entry-check.ts'
import { MembershipHistory, memberOf, votersOf } from './membership-history.ts'
import type { RaftMutations } from './mutations.ts'
import { Outbox } from './outbox.ts'
import type { Progress } from './progress.ts'
import { RaftLog } from './raft-log.ts'
import { ReadQueue } from './read-queue.ts'
import type { RaftConfig, RaftRole } from './ready.ts'

/** What the driver found on disk. */
export interface RestoredState {
  readonly hardState: HardState
  readonly compaction: CompactionPoint
  /** In force at the compaction point; later ones are in `entries`. */
  readonly membership: Membership
  /** From compaction.index + 1 on, without a gap. */
  readonly entries: readonly Entry[]
  /** What the state machine holds already; `committed` starts above it. May lie above the log's end: see `RaftState`. */
  readonly applied: LogIndex
}

export const NOBODY: ReplicaId = asReplicaId(0)

export class RaftState {
  readonly group: GroupId
  readonly self: ReplicaId
  readonly config: RaftConfig
  readonly random: Random
  readonly mutations: RaftMutations
  readonly log: RaftLog
  readonly memberships: MembershipHistory
  /** Replaced by each Ready. */
  outbox = new Outbox()
  readonly reads: ReadQueue

  role: RaftRole = 'follower'
  term: Term
  votedFor: ReplicaId
  leader: ReplicaId = NOBODY
  commitIndex: LogIndex

  /** Ticks since the leader (or a candidate that got the vote) was heard. */
  electionElapsed = 0
  electionTimeout = 0
  heartbeatElapsed = 0

  /** No time passes here: see rest.ts. */
  resting = false
  /** Leader only: ticks in a row in which nothing happened, and by what it would show. */
  quietTicks = 0
  quietIndex: LogIndex = asLogIndex(0)
  quietRounds = 0

  /** Of the election or pre-election under way. */
  readonly votes = new Map<ReplicaId, boolean>()
  /** A candidate's vote for itself counts once the Ready of this number is on disk; null: none is waiting, 0: not yet taken. */
  selfVoteReady: number | null = null

  /** The last time that it stood, the leader itself had asked for it. */
  stoodByTransfer = false

  /** Leader only. */
  readonly peers = new Map<ReplicaId, Progress>()
  /** The membership that `peers` was last made for. */
  peersFor: Membership | null = null
  /** The first index of the leader's own term. */
  termStart: LogIndex = asLogIndex(0)
  uncommittedBytes = 0
  /** The commit index at the last tick: a learner that holds it is at most a tick behind. */
  commitAtTick: LogIndex = asLogIndex(0)
  transferTo: ReplicaId = NOBODY
  transferElapsed = 0

  /** The last entry given as committed, the last one applied, and the bytes between. */
  givenIndex: LogIndex
  appliedIndex: LogIndex
  givenBytes = 0
  #votersFor: Membership | null = null
  #voters: readonly ReplicaId[] = []

  constructor(group: GroupId, config: RaftConfig, restored: RestoredState, random: Random, mutations: RaftMutations) {
    const { hardState, compaction, entries, applied } = restored
    this.group = group
    this.self = config.replicaId
    this.config = config
    this.random = random
    this.mutations = mutations
    this.log = new RaftLog(compaction, entries)
    this.memberships = new MembershipHistory(restored.membership)
    for (const entry of entries) this.#noteMembership(entry)
    this.reads = new ReadQueue(random)
    this.term = hardState.term
    this.votedFor = hardState.votedFor
    // Redisraft 43, 42: a log that ends before what it knew to be committed has lost acknowledged data. Never go on quietly.
    assert(hardState.commit <= this.log.lastIndex, 'Raft: the log on disk ends before its own commit mark')
    assert(hardState.term >= this.log.lastTerm, 'Raft: an entry on disk has a term above the hard state')
    assert(applied >= compaction.index, 'Raft: the state machine is behind the compaction point')
    // `applied` above the log's end: a leader may apply what a quorum holds before its own disk does, and its base file
    // may have been written before the crash. Those entries are committed elsewhere, and will be sent again.
    const appliedHere = Math.min(applied, this.log.lastIndex)
    this.commitIndex = asLogIndex(Math.max(hardState.commit, compaction.index, appliedHere))
    this.givenIndex = applied
    this.appliedIndex = applied
    this.resetElectionTimer()
  }

  /** In force from the moment it stands in the log. */
  get membership(): Membership {
    if (this.mutations.configurationLate) return this.memberships.at(this.commitIndex)
    return this.memberships.newest
  }

  get voters(): readonly ReplicaId[] {
    const membership = this.membership
    // Asked with every acknowledgement: made once a membership.
    if (this.#votersFor !== membership) {
      this.#votersFor = membership
      this.#voters = votersOf(membership)
    }
    return this.#voters
  }

  isVoter(replicaId: ReplicaId): boolean {
    return memberOf(this.membership, replicaId)?.role === 'voter'
  }

  isMember(replicaId: ReplicaId): boolean {
    return memberOf(this.membership, replicaId) !== null
  }

  /**
   * A voter stands for election. So does one whose own removal may not be committed yet, although it no longer counts
   * itself: its log may be the only one that can win, and the group would be stuck without it (thesis 4.2.2, figure 4.6).
   * A learner does not, nor a replica that waits for its first image, nor one that knows that it has left.
   */
  get mayStand(): boolean {
    if (this.isVoter(this.self)) return true
    const { newestIndex } = this.memberships
    if (newestIndex <= this.commitIndex) return false
    return memberOf(this.memberships.at(asLogIndex(newestIndex - 1)), this.self)?.role === 'voter'
  }

  /** A leader knows what is committed only once an entry of its own term is (thesis 6.4, and the erratum to 4.1). */
  get hasCommittedInTerm(): boolean {
    return this.commitIndex >= this.termStart
  }

  resetElectionTimer(): void {
    const { electionTicksMin, electionTicksMax } = this.config
    this.electionElapsed = 0
    this.electionTimeout = electionTicksMin + Math.floor(this.random.unit() * (electionTicksMax - electionTicksMin + 1))
  }

  append(entry: Entry): void {
    this.log.append(entry)
    this.#noteMembership(entry)
  }

  /** Never below what is committed: that would be the loss of acknowledged data (redisraft 53). */
  truncate(from: LogIndex): void {
    assert(from > this.commitIndex, 'Raft: an entry in conflict with a committed one')
    this.log.truncate(from)
    this.memberships.truncate(from)
  }

  commitTo(index: LogIndex): void {
    if (index <= this.commitIndex) return
    assert(index <= this.log.lastIndex, 'Raft: commit beyond the end of the log')
    if (this.role === 'leader') {
      for (let i = this.commitIndex + 1; i <= index; i++)
        this.uncommittedBytes -= encodedEntryBytes(this.log.entryAt(i))
    }
    this.commitIndex = index
  }

  #noteMembership(entry: Entry): void {
    if (entry.kind !== ENTRY_MEMBERSHIP) return
    const membership = decodeMembershipOrNull(entry.payload)
    assert(membership !== null, 'Raft: a membership entry in the log does not decode')
    this.memberships.append(entry.index, membership)
  }
}
