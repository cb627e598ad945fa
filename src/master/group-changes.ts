/** Calls that change what groups and nodes are to be, as plans over a snapshot. Those that change weights ask for the slots to be planned afresh in the same write. */
import { asGroupId, type GroupId, type NodeId } from '../base/brand.ts'
import { PERSISTENT } from '../protocol/metadata-operation.ts'
import type { JobPlan } from './active-master.ts'
import { WEIGHT_MAX } from './allocation.ts'
import { nodeIdOf } from './cluster-epoch.ts'
import { createGroup, genesisMembers } from './cluster-genesis.ts'
import type { ClusterSnapshot, SnapshotGroup } from './cluster-snapshot.ts'
import { leastLoadedNodes, nodesProblem, removeNodePlan } from './member-changes.ts'
import { refuse, refuseUnknownGroup } from './reconfig-changes.ts'
import {
  encodeCounter,
  encodeGroup,
  encodeNode,
  type GroupRegistration,
  type NodeRegistration,
} from './registrations.ts'
import { set, TreeDraft } from './tree-draft.ts'
import { genesisPath, groupPath, NODES, nodePath, reportPath, WORKER_ID } from './tree-layout.ts'

type Plan<T> = JobPlan<T>
type Refusal = Extract<JobPlan<never>, { kind: 'refuse' }>
export interface GroupAnswer {
  readonly group: GroupId
}

const MAX_GROUPS = 4096
const MAX_ADDRESS = 255

/** No nodes: the least loaded workers. */
export function createGroupPlan(
  snapshot: ClusterSnapshot,
  weight: number,
  nodes: readonly NodeId[],
): Plan<GroupAnswer> {
  const problem = weightProblem(weight)
  if (problem !== null) return problem
  if (snapshot.groups.size >= MAX_GROUPS) return refuse('busy', `there are ${MAX_GROUPS} groups`, 'remove one first')
  const group = asGroupId(snapshot.nextGroup.value)
  const twice = nodes.filter((node, i) => nodes.indexOf(node) < i)
  if (twice.length > 0) {
    const named = [...new Set(twice)].join(', ')
    return refuse('malformed-argument', `node ${named} is named more than once`, 'name each node once')
  }
  const chosen = nodes.length > 0 ? nodes : leastLoadedNodes(snapshot)
  const error = nodesProblem(snapshot, group, chosen)
  if (error !== null) return { kind: 'refuse', error }
  const members = genesisMembers(snapshot.config.value.clusterEpoch, chosen)
  const draft = new TreeDraft(snapshot)
  // Its slots come to it by reconfigs.
  draft.also(
    ...createGroup({ groupId: group, weight, members }, []),
    set(WORKER_ID, encodeCounter('next', group + 1), snapshot.nextGroup.version),
  )
  draft.rebalance(true)
  return { kind: 'write', operations: draft.operations(), answer: { group } }
}

export function setWeightPlan(snapshot: ClusterSnapshot, group: GroupId, weight: number): Plan<GroupAnswer> {
  const problem = weightProblem(weight) ?? (weight === 0 ? lastHolderProblem(snapshot, group) : null)
  return changed(snapshot, group, problem, true, (registration) => ({ ...registration, weight }))
}

export function drainPlan(snapshot: ClusterSnapshot, group: GroupId, draining: boolean): Plan<GroupAnswer> {
  const problem = draining ? lastHolderProblem(snapshot, group) : null
  return changed(snapshot, group, problem, true, (registration) => ({ ...registration, draining }))
}

/** Only one that owns nothing, is to get nothing, and whose word nobody waits for. */
export function removeGroupPlan(snapshot: ClusterSnapshot, group: GroupId): Plan<GroupAnswer> {
  const known = snapshot.groups.get(group)
  if (known === undefined) return refuseUnknownGroup(group)
  const draft = new TreeDraft(snapshot)
  const owned = draft.groups.filter((owner) => owner === group).length
  if (owned > 0) {
    if (!known.value.draining) {
      return refuse('group-in-use', `group ${group} owns ${owned} slots`, 'drain it, and wait until it is empty')
    }
    const mend = `wait until it has none: \`quorate admin group drain ${group} --wait\``
    return refuse('group-in-use', `group ${group} is being drained, and owns ${owned} slots still`, mend)
  }
  const waiting = draft.reconfigs.find(({ source, destination }) => source === group || destination === group)
  if (waiting !== undefined) {
    return refuse('group-in-use', `reconfig ${waiting.reconfigId} is not over`, 'wait for it, or cancel it')
  }
  const { genesis, report } = known
  if (genesis !== null) draft.also({ kind: 'delete', path: genesisPath(group), version: genesis.version })
  if (report !== null) draft.also({ kind: 'delete', path: reportPath(group), version: report.version })
  draft.also({ kind: 'delete', path: groupPath(group), version: known.version })
  return { kind: 'write', operations: draft.operations(), answer: { group } }
}

// --- nodes ------------------------------------------------------------------------------------------------------------

/** A new node: an id that no node ever had. A registration under the same address that came to nothing goes. */
export function registerNodePlan(snapshot: ClusterSnapshot, node: NodeRegistration): Plan<{ readonly node: NodeId }> {
  const problem = nodeProblem(node)
  if (problem !== null) return problem
  const counter = snapshot.nextNode.value
  const nodeId = nodeIdOf(snapshot.config.value.clusterEpoch, counter)
  const draft = new TreeDraft(snapshot)
  // Who registers again under an address whose node is in no group did not hear the first answer.
  for (const [other, { value }] of snapshot.nodes) {
    const removal = value.peer === node.peer ? removeNodePlan(snapshot, other) : null
    if (removal?.kind === 'write') draft.also(...removal.operations)
  }
  draft.also(
    { kind: 'create', path: nodePath(nodeId), data: encodeNode({ ...node, leaving: false }), options: PERSISTENT },
    set(NODES, encodeCounter('next', counter + 1), snapshot.nextNode.version),
  )
  return { kind: 'write', operations: draft.operations(), answer: { node: nodeId } }
}

/** A node that is registered has come back, perhaps under other addresses. */
export function updateNodePlan(
  snapshot: ClusterSnapshot,
  nodeId: NodeId,
  node: NodeRegistration,
): Plan<{ readonly node: NodeId }> {
  const known = snapshot.nodes.get(nodeId)
  if (known === undefined) return refuse('unknown-node', `there is no node ${nodeId}`, 'see `quorate admin nodes`')
  const problem = nodeProblem(node)
  if (problem !== null) return problem
  return {
    kind: 'write',
    operations: [set(nodePath(nodeId), encodeNode({ ...node, leaving: known.value.leaving }), known.version)],
    answer: { node: nodeId },
  }
}

// --- inside -------------------------------------------------------------------------------------------------------------

function changed(
  snapshot: ClusterSnapshot,
  group: GroupId,
  problem: Refusal | null,
  rebalance: boolean,
  change: (registration: GroupRegistration) => GroupRegistration,
): Plan<GroupAnswer> {
  const known: SnapshotGroup | undefined = snapshot.groups.get(group)
  if (known === undefined) return refuseUnknownGroup(group)
  if (problem !== null) return problem
  const draft = new TreeDraft(snapshot)
  draft.also(set(groupPath(group), encodeGroup(change(known.value)), known.version))
  if (rebalance) draft.rebalance(true)
  return { kind: 'write', operations: draft.operations(), answer: { group } }
}

/** Where no other group can hold slots, this one must. */
function lastHolderProblem({ groups }: ClusterSnapshot, group: GroupId): Refusal | null {
  for (const [id, { value }] of groups) if (id !== group && value.weight > 0 && !value.draining) return null
  return refuse('no-groups', `no other group can take group ${group}'s slots`, 'create one first')
}

function weightProblem(weight: number): Refusal | null {
  if (Number.isInteger(weight) && weight >= 0 && weight <= WEIGHT_MAX) return null
  return refuse('malformed-argument', `${weight} is no weight`, `a whole number up to ${WEIGHT_MAX}`)
}

function nodeProblem({ peer, resp, cluster, roles }: NodeRegistration): Refusal | null {
  const isAddress = (text: string): boolean => text.length <= MAX_ADDRESS && /^[\x21-\x7e]+:[0-9]{1,5}$/.test(text)
  const bad = [peer, resp, cluster].find((address) => !isAddress(address))
  if (bad !== undefined) return refuse('malformed-argument', `"${bad}" is no address`, 'host:port')
  return roles.length > 0 ? null : refuse('malformed-argument', 'a node needs a role', 'master, worker, or both')
}
