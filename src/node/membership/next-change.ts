/**
 * The next step from the members that a group has to those that it is to have, as its leader decides it. Pure. One step at a time, each safe by itself, so that
 * a leader may fail between any two and the next one goes on from what it finds:
 *
 *   - what is no longer desired and does not vote goes at once;
 *   - joins before removals: a joiner is added as a learner when it is desired, whether its node is there or not, and votes once it has caught up. One learner
 *     that is getting on at a time; one that is away holds up no other;
 *   - a node whose replica is to be another one (its data was lost) loses the old one first, because it can only have one;
 *   - a voter goes only where the voters that stay and are up make a majority of what will be, and where it leaves as many voters as are desired, or all that are
 *     desired vote already. Those that are away go first;
 *   - the leader itself goes last, and not by its own hand: it hands over first.
 *
 * Who is up is told from what was heard a while ago, and from connections, which a machine that hangs leaves open. So whoever carries out a change of the voters
 * first hears from those that must commit it (`silentVoters`).
 */
import type { NodeId, ReplicaId } from '../../base/brand.ts'
import type { GroupMember } from '../../master/registrations.ts'
import type { Member } from '../../protocol/membership.ts'
import type { MembershipChange } from '../../raft/raft-core.ts'

export interface MemberStanding {
  /** It answers. */
  readonly isHere: boolean
  /** It answers, and its log goes on with the leader's: it would help to commit. */
  readonly isUp: boolean
  /** It holds what was committed a moment ago. */
  readonly isCaughtUp: boolean
  readonly matchIndex: number
}

export interface GroupStanding {
  readonly self: ReplicaId
  /** In force, and committed. */
  readonly members: readonly Member[]
  readonly desired: readonly GroupMember[]
  /** Of any member but the leader itself. */
  standing(member: Member): MemberStanding
  /** Where leadership should go, if it must go. */
  readonly preferred: NodeId | null
}

export type NextChange =
  | { readonly kind: 'change'; readonly change: MembershipChange }
  | { readonly kind: 'handOver'; readonly to: ReplicaId }
  /** Something is to be done, and cannot be done now. */
  | { readonly kind: 'wait'; readonly reason: string }
  /** The members are as desired. */
  | { readonly kind: 'settled' }

export function nextChange(group: GroupStanding): NextChange {
  const { members, desired } = group
  const isDesired = ({ replicaId }: Member): boolean => desired.some((wish) => wish.replicaId === replicaId)
  const surplus = members.filter((member) => !isDesired(member))
  const idle = surplus.find(({ role }) => role === 'learner')
  if (idle !== undefined) return change('remove', idle)
  const ready = members.find((member) => member.role === 'learner' && group.standing(member).isCaughtUp)
  if (ready !== undefined) return change('promote', ready)
  const joiner = nextJoiner(group)
  if (joiner !== null) return change('addLearner', joiner)
  const removal = nextRemoval(group, surplus)
  if (removal !== null) return removal
  const waiting = desired.filter(
    ({ replicaId }) => !members.some((member) => member.replicaId === replicaId && member.role === 'voter'),
  )
  if (waiting.length === 0) return { kind: 'settled' }
  return { kind: 'wait', reason: `${placesOf(waiting)} must catch up` }
}

/**
 * Of the voters after a promotion or removal those that are not up or have not answered, where they are so many that what is left could not commit: then the change
 * must not be made. Empty: it may.
 */
export function silentVoters(
  { self, members, standing }: GroupStanding,
  { kind, replicaId }: MembershipChange,
  hasAnswered: (replica: ReplicaId) => boolean,
): Member[] {
  const isSubject = (member: Member): boolean => member.replicaId === replicaId
  const voters = members.filter((member) => (isSubject(member) ? kind === 'promote' : member.role === 'voter'))
  const isSilent = (member: Member): boolean =>
    member.replicaId !== self && !(standing(member).isUp && hasAnswered(member.replicaId))
  const silent = voters.filter(isSilent)
  return silent.length * 2 < voters.length ? [] : silent
}

/** Desired, not there, and its node has no other replica of the group. */
function nextJoiner({ members, desired, standing }: GroupStanding): GroupMember | null {
  if (members.some((member) => member.role === 'learner' && standing(member).isHere)) return null
  const joiner = desired.find(
    ({ nodeId, replicaId }) => !members.some((member) => member.replicaId === replicaId || member.nodeId === nodeId),
  )
  return joiner ?? null
}

function nextRemoval(group: GroupStanding, surplus: readonly Member[]): NextChange | null {
  const { members, desired, self } = group
  const voters = members.filter(({ role }) => role === 'voter')
  const isUp = (member: Member): boolean => member.replicaId === self || group.standing(member).isUp
  const votes = ({ replicaId }: GroupMember): boolean => voters.some((voter) => voter.replicaId === replicaId)
  const isBlocked = (member: Member): boolean => desired.some(({ nodeId }) => nodeId === member.nodeId)
  const hasJoined = desired.every(votes)
  let reason: string | null = null
  // Away first, the leader last.
  const order = [...surplus].sort((a, b) => urgency(a) - urgency(b) || a.replicaId - b.replicaId)
  function urgency(member: Member): number {
    return member.replicaId === self ? 2 : isUp(member) ? 1 : 0
  }
  for (const member of order) {
    const rest = voters.filter((voter) => voter !== member)
    if (!hasJoined && !isBlocked(member) && rest.length < desired.length) {
      reason ??= `${placesOf(desired.filter((wish) => !votes(wish)))} must vote before ${placesOf([member])} goes`
      continue
    }
    if (rest.length === 0) {
      reason ??= `${placesOf([member])} is the last voter: another must join first`
      continue
    }
    const up = rest.filter(isUp).length
    if (up <= Math.floor(rest.length / 2)) {
      reason ??= `without ${placesOf([member])} only ${up} of ${rest.length} voters would be up`
      continue
    }
    if (member.replicaId !== self) return change('remove', member)
    const heir = heirOf(group, rest)
    if (heir !== null) return { kind: 'handOver', to: heir }
    reason ??= 'no voter that stays has caught up'
  }
  return reason === null ? null : { kind: 'wait', reason }
}

/** One that stays, if there is one; the preferred one, else the one that holds most. */
function heirOf({ desired, standing, preferred }: GroupStanding, voters: readonly Member[]): ReplicaId | null {
  const stays = (member: Member): number => (desired.some(({ replicaId }) => replicaId === member.replicaId) ? 1 : 0)
  const isPreferred = (member: Member): number => (member.nodeId === preferred ? 1 : 0)
  const ready = voters.filter((member) => standing(member).isUp && standing(member).isCaughtUp)
  ready.sort(
    (a, b) =>
      stays(b) - stays(a) ||
      isPreferred(b) - isPreferred(a) ||
      standing(b).matchIndex - standing(a).matchIndex ||
      a.replicaId - b.replicaId,
  )
  return ready.length === 0 ? null : ready[0].replicaId
}

function change(kind: MembershipChange['kind'], { replicaId, nodeId }: GroupMember): NextChange {
  return { kind: 'change', change: { kind, replicaId, nodeId } }
}

export function placesOf(members: readonly GroupMember[]): string {
  return members.map(({ nodeId, replicaId }) => `node ${nodeId} (replica ${replicaId})`).join(', ')
}
