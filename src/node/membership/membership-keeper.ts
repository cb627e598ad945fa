/**
 * Brings the members of one group to those that are desired, while this node leads it: one change after the other (next-change.ts), each reported to the metadata
 * tree once it is applied. It lives for one term of one replica and remembers nothing that a next leader would need: that one looks at the log and goes on.
 * Without a tree the group serves as it is.
 *
 * It also hands leadership to the node that should have it (master/preferred-leaders.ts), once the group has been at rest for a while; what an operator asked for
 * stands before that. A leader whose predecessor chose it, and whom the preference does not name, takes that for an operator's word and keeps it for a minute.
 */
import type { LogIndex, NodeId } from '../../base/brand.ts'
import { BackOff } from '../../master/back-off.ts'
import { writeReport } from '../../master/group-report.ts'
import type { GroupMember, GroupReport } from '../../master/registrations.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Logger } from '../../ports/logger.ts'
import type { MetadataStore } from '../../ports/metadata-store.ts'
import type { Member, Membership } from '../../protocol/membership.ts'
import type { FollowerProgress, MembershipChange } from '../../raft/raft-core.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'
import { type TransferDone, transferLeadership } from './leadership-transfer.ts'
import { type GroupStanding, type MemberStanding, nextChange, placesOf, silentVoters } from './next-change.ts'

export interface KeeperPorts {
  readonly clock: Clock
  readonly logger: Logger
  /** The session with the tree; null: none. */
  store(): MetadataStore | null
  isConnected(node: NodeId): boolean
}

export interface KeeperSettings {
  /** Leadership goes to the preferred node after so long without a change of members or leader. */
  readonly settleMs: number
  /** For so long a leader that an operator chose is left in peace. */
  readonly holdMs: number
  /** Times that leadership is offered to one preferred node in vain. */
  readonly maxOffers: number
}

export const KEEPER_DEFAULTS: KeeperSettings = { settleMs: 5_000, holdMs: 60_000, maxOffers: 6 }

/** Entries behind the commit index; the core itself asks for more before it lets a learner vote. */
const CLOSE = 1024
const REPORT_RETRY_MS = { first: 100, most: 10_000 }
const OFFER_RETRY_MS = { first: 2_000, most: 120_000 }
const HAND_OVER_RETRY_MS = { first: 500, most: 10_000 }

/** What was heard longer ago proves nothing: who is to commit the change is asked again. */
const ANSWERS_LAST_MS = 1_000

/** Who is there, asked after the change was decided upon. */
interface RollCall {
  readonly members: readonly Member[]
  readonly change: MembershipChange
  readonly number: number
  readonly untilMs: number
}

const NOT_HERE: MemberStanding = { isHere: false, isUp: false, isCaughtUp: false, matchIndex: 0 }

export class MembershipKeeper {
  readonly replica: RaftReplica
  readonly #self: NodeId
  readonly #ports: KeeperPorts
  readonly #settings: KeeperSettings
  readonly #term: number
  #desired: readonly GroupMember[] | null = null
  #preferred: NodeId | null = null
  #problem = ''
  #stopped = false
  /** Of the members in force and of those reported: one object each. */
  #seen: Membership | null = null
  #reported: Membership | null = null
  /** The members in force are the desired ones: nothing to look at until one of the two changes. */
  #isSettled = false
  #rollCall: RollCall | null = null
  #reporting = false
  #reportAtMs = 0
  readonly #reportRetry = new BackOff(REPORT_RETRY_MS.first, REPORT_RETRY_MS.most)
  #restsSinceMs: number
  #heldUntilMs = 0
  #offers = 0
  #offerAtMs = 0
  readonly #offerRetry = new BackOff(OFFER_RETRY_MS.first, OFFER_RETRY_MS.most)
  #handOverAtMs = 0
  readonly #handOverRetry = new BackOff(HAND_OVER_RETRY_MS.first, HAND_OVER_RETRY_MS.most)

  /** The replica leads. `self`: its node. */
  constructor(replica: RaftReplica, self: NodeId, ports: KeeperPorts, settings: KeeperSettings = KEEPER_DEFAULTS) {
    this.replica = replica
    this.#self = self
    this.#ports = ports
    this.#settings = settings
    this.#term = replica.core.term
    this.#restsSinceMs = ports.clock.monotonicMs()
    if (replica.core.wonByTransfer) this.#heldUntilMs = this.#restsSinceMs + settings.holdMs
  }

  /** It still leads, in the same term. */
  get isCurrent(): boolean {
    return !this.#stopped && this.replica.isLeader && this.replica.core.term === this.#term
  }

  /** Why the members are not as desired yet; empty: they are, or nothing stands in the way. */
  get problem(): string {
    return this.#problem
  }

  /** Null: not known, and nothing is changed. */
  desiredChanged(desired: readonly GroupMember[] | null): void {
    this.#desired = desired
    this.#isSettled = false
  }

  /** Null: nobody, and leadership stays. */
  preferredChanged(preferred: NodeId | null): void {
    if (preferred === this.#preferred) return
    this.#preferred = preferred
    this.#offers = 0
    this.#offerAtMs = 0
    this.#offerRetry.reset()
  }

  /** Something about the replica may have changed. */
  statusChanged(): void {
    this.tick()
  }

  /** An operator's word: stands before the preference. */
  transfer(node: NodeId, done: TransferDone): void {
    this.#heldUntilMs = this.#nowMs + this.#settings.holdMs
    transferLeadership(this.replica, node, this.#ports.clock, done)
  }

  /** Nothing more comes from it, but for the answer to a transfer under way. */
  stop(): void {
    this.#stopped = true
  }

  /** Every 100 ms or so. */
  tick(): void {
    if (!this.isCurrent || !this.#hasBegun) return
    const { replica } = this
    if (this.#seen !== replica.appliedMembership) {
      this.#seen = replica.appliedMembership
      this.#isSettled = false
      this.#restsSinceMs = this.#nowMs
    }
    this.#report()
    if (replica.core.transferTarget !== 0 || this.#changes) return
    if (this.#desired !== null && !this.#isSettled && !this.#approach(this.#desired)) return
    this.#offer()
  }

  /** What this leader has applied of its own term tells it what its predecessors committed (the erratum to thesis 4). */
  get #hasBegun(): boolean {
    return this.replica.core.termAt(this.replica.applied) === this.#term
  }

  /** A change is appended and not applied: one at a time. */
  get #changes(): boolean {
    return this.replica.core.membershipIndex > this.replica.applied
  }

  get #nowMs(): number {
    return this.#ports.clock.monotonicMs()
  }

  // --- members --------------------------------------------------------------------------------------------------------

  /** One step nearer. True: the members are as desired. */
  #approach(desired: readonly GroupMember[]): boolean {
    const { replica } = this
    const { members } = replica.appliedMembership
    const standing = this.#standings()
    const group = { self: replica.replicaId, members, desired, standing, preferred: this.#preferred }
    const next = nextChange(group)
    this.#problem = next.kind === 'wait' ? next.reason : ''
    this.#isSettled = next.kind === 'settled'
    if (this.#isSettled) return true
    if (next.kind === 'change') {
      const silent = this.#whoIsSilent(group, next.change)
      if (silent.length > 0) {
        this.#problem = `the members change once ${placesOf(silent)} answers`
        return false
      }
      const result = replica.changeMembership(next.change)
      if (result.kind === 'refused') this.#problem = result.reason
      else if (result.kind === 'accepted') {
        this.#ports.logger.info('the members change', { group: replica.group, ...next.change, index: result.index })
      }
    } else if (next.kind === 'handOver' && this.#nowMs >= this.#handOverAtMs) {
      this.#handOverAtMs = this.#nowMs + this.#handOverRetry.next()
      replica.transferLeadership(next.to)
    }
    return false
  }

  /** Empty: a majority of the voters that the change leaves has answered what was asked because of it; a change that leaves the voters as they are needs no answers. */
  #whoIsSilent(group: GroupStanding, change: MembershipChange): Member[] {
    const { members } = group
    const { core } = this.replica
    const isAsVoter = members.some(({ replicaId, role }) => replicaId === change.replicaId && role === 'voter')
    if (change.kind !== 'promote' && !isAsVoter) return []
    let call = this.#rollCall
    const isSame =
      call?.members === members && call.change.kind === change.kind && call.change.replicaId === change.replicaId
    if (call === null || !isSame || this.#nowMs >= call.untilMs) {
      call = { members, change, number: core.callRoll(), untilMs: this.#nowMs + ANSWERS_LAST_MS }
      this.#rollCall = call
    }
    const { number } = call
    const answered = new Map(core.progress().map((progress) => [progress.replicaId, progress.answered]))
    return silentVoters(group, change, (replica) => (answered.get(replica) ?? 0) >= number)
  }

  #standings(): (member: Member) => MemberStanding {
    const { core } = this.replica
    const followers = new Map(core.progress().map((progress) => [progress.replicaId, progress]))
    return ({ replicaId, nodeId }) => {
      const progress = followers.get(replicaId)
      if (progress === undefined || !progress.isHeard || !this.#ports.isConnected(nodeId)) return NOT_HERE
      return standingOf(progress, core.commitIndex)
    }
  }

  // --- leadership -----------------------------------------------------------------------------------------------------

  #offer(): void {
    const preferred = this.#preferred
    const nowMs = this.#nowMs
    if (preferred === null || preferred === this.#self || this.#offers >= this.#settings.maxOffers) return
    if (nowMs < Math.max(this.#heldUntilMs, this.#offerAtMs, this.#restsSinceMs + this.#settings.settleMs)) return
    const { members } = this.replica.appliedMembership
    const heir = members.find(({ nodeId, role }) => nodeId === preferred && role === 'voter')
    if (heir === undefined) return
    const { isUp, isCaughtUp } = this.#standings()(heir)
    if (!isUp || !isCaughtUp) return
    this.#offers++
    this.#offerAtMs = nowMs + this.#offerRetry.next()
    this.replica.transferLeadership(heir.replicaId)
  }

  // --- the report -----------------------------------------------------------------------------------------------------

  #report(): void {
    const { replica } = this
    const membership = replica.appliedMembership
    const store = this.#ports.store()
    if (this.#reported === membership || this.#reporting || store === null || this.#nowMs < this.#reportAtMs) return
    this.#reporting = true
    writeReport(store, replica.group, reportOf(membership, replica.applied, this.#self), (result) => {
      this.#reporting = false
      if (result === 'written') {
        this.#reported = membership
        this.#reportRetry.reset()
        return
      }
      // Stale: of a leader that was deposed and does not know it yet; it stops by itself.
      this.#reportAtMs = this.#nowMs + this.#reportRetry.next()
    })
  }
}

function standingOf({ matchIndex, state }: FollowerProgress, commitIndex: LogIndex): MemberStanding {
  const isUp = state === 'replicate'
  return { isHere: true, isUp, isCaughtUp: isUp && matchIndex + CLOSE >= commitIndex, matchIndex }
}

/** `index`: where the leader, which has applied an entry of its own term there, finds these members in force. Leaders' indexes rise from one to the next. */
function reportOf({ members }: Membership, index: LogIndex, leader: NodeId): GroupReport {
  const of = (role: Member['role']): GroupMember[] =>
    members.filter((member) => member.role === role).map(({ nodeId, replicaId }) => ({ nodeId, replicaId }))
  return { index, members: of('voter'), learners: of('learner'), leader }
}
