/**
 * Which membership is in force: the newest one in the log, committed or not (thesis 4.1). The history is the membership at the compaction point
 * and each change above it, so a truncation falls back to the one before and a restart finds it again from the log.
 */
import { assert } from '../base/assert.ts'
import type { LogIndex, NodeId, ReplicaId } from '../base/brand.ts'
import type { Member, Membership } from '../protocol/membership.ts'

interface Change {
  readonly index: LogIndex
  readonly membership: Membership
}

export class MembershipHistory {
  #base: Membership
  readonly #changes: Change[] = []

  constructor(base: Membership) {
    this.#base = base
  }

  get newest(): Membership {
    const count = this.#changes.length
    return count === 0 ? this.#base : this.#changes[count - 1].membership
  }

  /** Where the newest change stands in the log; 0: at or below the compaction point, so committed. */
  get newestIndex(): number {
    const count = this.#changes.length
    return count === 0 ? 0 : this.#changes[count - 1].index
  }

  /** The newest membership at or below this index. */
  at(index: LogIndex): Membership {
    for (let i = this.#changes.length - 1; i >= 0; i--) {
      if (this.#changes[i].index <= index) return this.#changes[i].membership
    }
    return this.#base
  }

  append(index: LogIndex, membership: Membership): void {
    assert(index > this.newestIndex, 'MembershipHistory.append: index does not rise')
    this.#changes.push({ index, membership })
  }

  truncate(from: LogIndex): void {
    while (this.newestIndex >= from) this.#changes.pop()
  }

  compact(index: LogIndex): void {
    this.#base = this.at(index)
    let gone = 0
    while (gone < this.#changes.length && this.#changes[gone].index <= index) gone++
    this.#changes.splice(0, gone)
  }

  install(index: LogIndex, membership: Membership, keepsLogSuffix: boolean): void {
    this.compact(index)
    if (!keepsLogSuffix) this.#changes.length = 0
    this.#base = membership
  }
}

export interface MembershipChange {
  readonly kind: 'addLearner' | 'promote' | 'remove'
  readonly replicaId: ReplicaId
  readonly nodeId: NodeId
}

type ChangeResult =
  | { readonly kind: 'changed'; readonly membership: Membership }
  | { readonly kind: 'refused'; readonly reason: string }

export function memberOf(membership: Membership, replicaId: ReplicaId): Member | null {
  for (const member of membership.members) if (member.replicaId === replicaId) return member
  return null
}

export function votersOf(membership: Membership): readonly ReplicaId[] {
  const voters: ReplicaId[] = []
  for (const member of membership.members) if (member.role === 'voter') voters.push(member.replicaId)
  return voters
}

const refused = (reason: string): ChangeResult => ({ kind: 'refused', reason })

/** One step: at most one voter more or less, so that any majority before overlaps any majority after (thesis 4.1). */
export function changeMembership(before: Membership, change: MembershipChange): ChangeResult {
  const member = memberOf(before, change.replicaId)
  switch (change.kind) {
    case 'addLearner': {
      if (change.replicaId === 0) return refused('replica id 0 means nobody')
      if (member !== null) return refused(`replica ${change.replicaId} is a member already`)
      const added: Member = { replicaId: change.replicaId, nodeId: change.nodeId, role: 'learner' }
      const members = [...before.members, added].sort((a, b) => a.replicaId - b.replicaId)
      return { kind: 'changed', membership: { members } }
    }
    case 'promote': {
      if (member === null) return refused(`replica ${change.replicaId} is not a member`)
      if (member.role === 'voter') return refused(`replica ${change.replicaId} is a voter already`)
      const members = before.members.map((other): Member => (other === member ? { ...member, role: 'voter' } : other))
      return { kind: 'changed', membership: { members } }
    }
    case 'remove': {
      if (member === null) return refused(`replica ${change.replicaId} is not a member`)
      const members = before.members.filter((other) => other !== member)
      if (votersOf({ members }).length === 0) return refused('the last voter cannot leave')
      return { kind: 'changed', membership: { members } }
    }
  }
}
