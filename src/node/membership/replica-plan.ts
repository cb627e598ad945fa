/**
 * Which replicas this node is to open, and which to close and forget for good, by what the metadata tree says. Pure. The tree was read after a sync, so what is
 * gone from it is gone.
 *
 * A replica goes only when nobody will ever ask for it again: it is not desired, and its group's own word, from a point of the log at or after the last that this
 * replica knows of its membership, does not name it. Ids are never used twice, so it cannot be named again. What only lacks one of these stays, and disturbs
 * nobody (pre-vote, check-quorum). A forgotten vote or acknowledgement could cost data; a replica that stays too long costs disk.
 */
import type { GroupId, LogIndex, NodeId, ReplicaId } from '../../base/brand.ts'
import { epochOfReplica } from '../../master/cluster-epoch.ts'
import type { ClusterSnapshot, SnapshotGroup } from '../../master/cluster-snapshot.ts'
import type { GroupGenesis, GroupMember } from '../../master/registrations.ts'
import { MASTERS_GROUP } from '../../master/tree-layout.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'

/** A replica that this node has. */
export interface HeldReplica extends PlannedReplica {
  /** By the newest membership in its own log. */
  readonly isMember: boolean
  /** Where that membership stands in its log. */
  readonly membershipIndex: LogIndex
}

export interface ReplicaOpening extends PlannedReplica {
  /** `voter`: it begins with the group, and must be marked as made before it votes (mark-made.ts). `joiner`: knows nothing, and waits for a leader. */
  readonly kind: 'voter' | 'joiner'
  /** How its group begins: the members that its log starts with. */
  readonly genesis: GroupGenesis
}

export interface ReplicaPlan {
  readonly open: readonly ReplicaOpening[]
  readonly forget: readonly PlannedReplica[]
  /** This node once had these and has nothing of them any more: it needs new ids for them (ShardMaster.renewReplica). */
  readonly lost: readonly PlannedReplica[]
}

export interface PlannedReplica {
  readonly group: GroupId
  readonly replicaId: ReplicaId
}

type Tree = Pick<ClusterSnapshot, 'masters' | 'groups' | 'nextGroup'>

/** `held`: those that are being opened or closed too. `used`: this node remembers that it once had the replica; it is not opened again. */
export function planReplicas(
  node: NodeId,
  held: readonly HeldReplica[],
  tree: Tree,
  used: (group: GroupId, replicaId: ReplicaId) => boolean = () => false,
): ReplicaPlan {
  const open: ReplicaOpening[] = []
  const lost: PlannedReplica[] = []
  const occupied = new Set(held.map(({ group }) => group))
  for (const [group, known] of allOf(tree)) {
    // The old one must go first: the next reading opens the new one.
    const wish = occupied.has(group) ? null : wishOf(node, known)
    if (wish === null || known.genesis === null) continue
    const { replicaId, kind } = wish
    if (kind === 'lost' || used(group, replicaId)) lost.push({ group, replicaId })
    else open.push({ group, replicaId, kind, genesis: known.genesis.value })
  }
  const over = held.filter((replica) => isOver(replica, tree))
  return { open, forget: over.map(({ group, replicaId }) => ({ group, replicaId })), lost }
}

/** What `planReplicas` must know of a replica of this node. */
export function heldReplica({ group, replicaId, core }: RaftReplica): HeldReplica {
  const isMember = core.membership.members.some((member) => member.replicaId === replicaId)
  return { group, replicaId, isMember, membershipIndex: core.membershipIndex }
}

/** Never to be asked for again. */
export function isOver(replica: HeldReplica, { masters, groups, nextGroup }: Tree): boolean {
  const { group, replicaId, isMember, membershipIndex } = replica
  const known = group === MASTERS_GROUP ? masters : groups.get(group)
  if (group === MASTERS_GROUP) {
    // Its log is not that of the masters who wrote this tree: which of the two is over, the cluster epoch says.
    const epochs = [...masters.value.members, ...(masters.genesis?.value.replicas ?? [])].map((member) =>
      epochOfReplica(member.replicaId),
    )
    const own = epochOfReplica(replicaId)
    if (epochs.length > 0 && !epochs.includes(own)) return own < Math.max(...epochs)
  }
  // Removed: an id below the next one was given out. From an older copy of the tree a group may be missing: that is no word against it.
  if (known === undefined) return group < nextGroup.value
  const names = (members: readonly GroupMember[]): boolean => members.some((member) => member.replicaId === replicaId)
  if (names(known.value.members)) return false
  const report = known.report?.value
  if (report === undefined) return !isMember && !names(known.genesis?.value.replicas ?? [])
  if (names(report.members) || names(report.learners)) return false
  return !isMember || report.index >= membershipIndex
}

/** The replica that this node should have of a group and has not. Null: none. */
function wishOf(
  node: NodeId,
  { value, genesis, report }: SnapshotGroup,
): { readonly replicaId: ReplicaId; readonly kind: 'voter' | 'joiner' | 'lost' } | null {
  const first = genesis?.value.replicas.find(({ nodeId }) => nodeId === node)
  const desired = value.members.find(({ nodeId }) => nodeId === node)
  const votes = (id: ReplicaId): boolean => report?.value.members.some(({ replicaId }) => replicaId === id) ?? false
  if (desired !== undefined) {
    const { replicaId } = desired
    if (first?.replicaId === replicaId) return { replicaId, kind: first.made ? 'lost' : 'voter' }
    // Only one that had caught up ever votes.
    return { replicaId, kind: votes(replicaId) ? 'lost' : 'joiner' }
  }
  // No longer desired, but it counts until the group has removed it, and without it the group may not be able to.
  if (first === undefined || first.made || (report !== null && !votes(first.replicaId))) return null
  return { replicaId: first.replicaId, kind: 'voter' }
}

function* allOf({ masters, groups }: Tree): Generator<[GroupId, SnapshotGroup]> {
  yield [MASTERS_GROUP, masters]
  yield* groups
}
