/**
 * Calls that change who is to be a member of which group, the masters' own among them, as plans over a snapshot. They say what is desired; each group's leader
 * carries it out (node/membership). A replica id is allotted with the wish, and only once.
 */
import type { GroupId, NodeId, ReplicaId } from '../base/brand.ts'
import type { MetadataOperation } from '../protocol/metadata-operation.ts'
import type { JobPlan } from './active-master.ts'
import { replicaIdOf } from './cluster-epoch.ts'
import type { ClusterSnapshot, SnapshotGroup } from './cluster-snapshot.ts'
import { type MasterError, masterError } from './master-error.ts'
import { refuse, refuseUnknownGroup } from './reconfig-changes.ts'
import { encodeGroup, encodeNode, type GroupMember, type GroupRegistration, type NodeRole } from './registrations.ts'
import { set } from './tree-draft.ts'
import { groupPath, MASTERS_GROUP, nodePath } from './tree-layout.ts'

type Plan<T> = JobPlan<T>

export interface MemberAnswer {
  readonly group: GroupId
  readonly replica: ReplicaId
}

export const MAX_MEMBERS = 31
/** Copies of a new group where the caller names no nodes. */
const DEFAULT_COPIES = 3

/** A member already: keeps its replica id, and nothing is written. One that is still leaving must be gone first. A node whose place another has taken may come again. */
export function joinPlan(snapshot: ClusterSnapshot, group: GroupId, node: NodeId): Plan<MemberAnswer> {
  const known = groupOf(snapshot, group)
  if (known === undefined) return refuseUnknownGroup(group)
  const there = memberOn(known.value, node)
  if (there !== undefined) return { kind: 'write', operations: [], answer: { group, replica: there.replicaId } }
  if (isLeaving(known, node)) return refuseLeaving(group, node)
  const { members } = known.value
  const problem = nodesProblem(snapshot, group, [...members.map(({ nodeId }) => nodeId), node])
  if (problem !== null) return { kind: 'refuse', error: problem }
  const changed = withMember(snapshot, known.value, node)
  const operations = [set(groupPath(group), encodeGroup(changed.registration), known.version)]
  const registered = snapshot.nodes.get(node)
  if (registered?.value.leaving === true) {
    operations.push(set(nodePath(node), encodeNode({ ...registered.value, leaving: false }), registered.version))
  }
  return { kind: 'write', operations, answer: { group, replica: changed.replica } }
}

/** No member any more: nothing is written. By the group's own word, one of those that stay must vote: learners alone may never come so far. */
export function leavePlan(snapshot: ClusterSnapshot, group: GroupId, node: NodeId): Plan<{ readonly group: GroupId }> {
  const known = groupOf(snapshot, group)
  if (known === undefined) return refuseUnknownGroup(group)
  const there = memberOn(known.value, node)
  if (there === undefined) {
    if (!snapshot.nodes.has(node)) return refuseUnknownNode(node)
    return { kind: 'write', operations: [], answer: { group } }
  }
  if (known.value.members.length === 1) {
    const mend = group === MASTERS_GROUP ? 'let another join' : 'let another join, or drain the group'
    return refuse('group-in-use', `node ${node} is the last one of group ${group}`, mend)
  }
  const members = known.value.members.filter((member) => member !== there)
  const { report } = known
  const votes = ({ replicaId }: GroupMember): boolean => {
    return report === null || report.value.members.some((voter) => voter.replicaId === replicaId)
  }
  if (!members.some(votes)) {
    const mend = 'wait until another one votes (`quorate admin join NODE ... --wait`), then ask again'
    return refuse('group-in-use', `of those that would stay in group ${group} without node ${node}, none votes`, mend)
  }
  const data = encodeGroup({ ...known.value, members })
  return { kind: 'write', operations: [set(groupPath(group), data, known.version)], answer: { group } }
}

/** The node has lost this replica's data: it comes back as a new one. Where it has another already, that one is answered. */
export function renewReplicaPlan(
  snapshot: ClusterSnapshot,
  group: GroupId,
  { nodeId, replicaId }: GroupMember,
): Plan<MemberAnswer> {
  const known = groupOf(snapshot, group)
  if (known === undefined) return refuseUnknownGroup(group)
  const there = memberOn(known.value, nodeId)
  if (there === undefined) {
    return refuse('unknown-node', `node ${nodeId} is no member of group ${group}`, 'let it join first')
  }
  if (there.replicaId !== replicaId) {
    return { kind: 'write', operations: [], answer: { group, replica: there.replicaId } }
  }
  const members = known.value.members.filter((member) => member !== there)
  const { registration, replica } = withMember(snapshot, { ...known.value, members }, nodeId)
  const operations = [set(groupPath(group), encodeGroup(registration), known.version)]
  return { kind: 'write', operations, answer: { group, replica } }
}

/**
 * In every group that `old` is to be a member of, `next` takes its place, in one write. `old` stays registered, marked as leaving, until `removeNode`. Asked
 * again, it does nothing.
 */
export function replacePlan(
  snapshot: ClusterSnapshot,
  old: NodeId,
  next: NodeId,
): Plan<{ readonly groups: readonly MemberAnswer[] }> {
  if (old === next) return refuse('malformed-argument', `node ${old} cannot take its own place`, 'name two nodes')
  const registered = snapshot.nodes.get(old)
  if (registered === undefined) return refuseUnknownNode(old)
  const operations: MetadataOperation[] = []
  const groups: MemberAnswer[] = []
  for (const [group, known] of allGroups(snapshot)) {
    const there = memberOn(known.value, old)
    if (there === undefined) continue
    if (memberOn(known.value, next) !== undefined) {
      const mend = `name a node that is not in it, or let node ${old} leave it first`
      return refuse('malformed-argument', `node ${next} is a member of group ${group} already`, mend)
    }
    if (isLeaving(known, next)) return refuseLeaving(group, next)
    const problem = nodesProblem(snapshot, group, [next])
    if (problem !== null) return { kind: 'refuse', error: problem }
    const members = known.value.members.filter((member) => member !== there)
    const { registration, replica } = withMember(snapshot, { ...known.value, members }, next)
    operations.push(set(groupPath(group), encodeGroup(registration), known.version))
    groups.push({ group, replica })
  }
  if (!registered.value.leaving) {
    operations.push(set(nodePath(old), encodeNode({ ...registered.value, leaving: true }), registered.version))
  }
  return { kind: 'write', operations, answer: { groups } }
}

/** Only one that no group has or is to have. Its id is never given out again. */
export function removeNodePlan(snapshot: ClusterSnapshot, node: NodeId): Plan<{ readonly node: NodeId }> {
  const registered = snapshot.nodes.get(node)
  if (registered === undefined) return refuseUnknownNode(node)
  for (const [group, { value, genesis, report }] of allGroups(snapshot)) {
    const isNamed = report !== null && [...report.value.members, ...report.value.learners].some(isOn(node))
    // A group that has not reported yet: as it begins.
    const begins = report === null && genesis !== null && genesis.value.replicas.some(isOn(node))
    if (!value.members.some(isOn(node)) && !isNamed && !begins) continue
    const mend = 'replace it, or let it leave its groups, and wait until they have let it go'
    return refuse('node-in-use', `node ${node} is a member of group ${group}`, mend)
  }
  const operations: MetadataOperation[] = [{ kind: 'delete', path: nodePath(node), version: registered.version }]
  return { kind: 'write', operations, answer: { node } }
}

// --- for these and for new groups ---------------------------------------------------------------------------------------

/** The workers with the fewest replicas, those of lower id first: three, or all where there are fewer. Empty: there is no worker. `isAway`: not these. */
export function leastLoadedNodes(
  snapshot: ClusterSnapshot,
  isAway: (node: NodeId) => boolean = () => false,
): readonly NodeId[] {
  const load = new Map<NodeId, number>()
  for (const [node, { value }] of snapshot.nodes) {
    if (value.roles.includes('worker') && !value.leaving && !isAway(node)) load.set(node, 0)
  }
  for (const { value } of snapshot.groups.values()) {
    for (const { nodeId } of value.members) {
      const count = load.get(nodeId)
      if (count !== undefined) load.set(nodeId, count + 1)
    }
  }
  const byLoad = [...load].sort(([a, countA], [b, countB]) => countA - countB || a - b)
  return byLoad.slice(0, DEFAULT_COPIES).map(([node]) => node)
}

/** Why a group cannot have these nodes; null: it can. */
export function nodesProblem(
  { nodes }: ClusterSnapshot,
  group: GroupId,
  wanted: readonly NodeId[],
): MasterError | null {
  if (wanted.length === 0) return masterError('malformed-argument', 'a group needs a node', 'name some')
  if (wanted.length > MAX_MEMBERS) {
    return masterError('malformed-argument', `${wanted.length} nodes for group ${group}`, `at most ${MAX_MEMBERS}`)
  }
  const role: NodeRole = group === MASTERS_GROUP ? 'master' : 'worker'
  for (const node of wanted) {
    const registered = nodes.get(node)
    if (registered === undefined) {
      return masterError('unknown-node', `there is no node ${node}`, 'see `quorate admin nodes`')
    }
    if (!registered.value.roles.includes(role)) {
      const mend = `start it with the role ${role}, or name another`
      return masterError('malformed-argument', `node ${node} has not the role ${role}`, mend)
    }
  }
  return null
}

export function* allGroups({ masters, groups }: ClusterSnapshot): Generator<[GroupId, SnapshotGroup]> {
  yield [MASTERS_GROUP, masters]
  yield* groups
}

// --- inside -------------------------------------------------------------------------------------------------------------

function groupOf({ masters, groups }: ClusterSnapshot, group: GroupId): SnapshotGroup | undefined {
  return group === MASTERS_GROUP ? masters : groups.get(group)
}

/**
 * No longer desired, and the group still names its replica. Another one can only come once that is gone: a node has one replica of a group, and where the old one
 * is the last voter, it could neither go nor be followed.
 */
function isLeaving({ value, genesis, report }: SnapshotGroup, node: NodeId): boolean {
  if (memberOn(value, node) !== undefined) return false
  const named = report === null ? (genesis?.value.replicas ?? []) : [...report.value.members, ...report.value.learners]
  return named.some(isOn(node))
}

function refuseLeaving(group: GroupId, node: NodeId): { kind: 'refuse'; error: MasterError } {
  const mend =
    'try again once the group has let it go; if it does not, let another node join it, or start those that stay'
  return refuse('busy', `node ${node} is still leaving group ${group}`, mend)
}

function refuseUnknownNode(node: NodeId): { kind: 'refuse'; error: MasterError } {
  return refuse('unknown-node', `there is no node ${node}`, 'see `quorate admin nodes`')
}

function memberOn({ members }: GroupRegistration, node: NodeId): GroupMember | undefined {
  return members.find(isOn(node))
}

function isOn(node: NodeId): (member: GroupMember) => boolean {
  return ({ nodeId }) => nodeId === node
}

function withMember(
  { config }: ClusterSnapshot,
  registration: GroupRegistration,
  nodeId: NodeId,
): { readonly registration: GroupRegistration; readonly replica: ReplicaId } {
  const replica = replicaIdOf(config.value.clusterEpoch, registration.nextReplica)
  const members = [...registration.members, { nodeId, replicaId: replica }].sort((a, b) => a.nodeId - b.nodeId)
  return { registration: { ...registration, members, nextReplica: registration.nextReplica + 1 }, replica }
}
