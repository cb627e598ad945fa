/**
 * What the nodes say of themselves (KV.STATUS), and what follows for the cluster: which node leads which group. The
 * JSON comes from another process, so it is checked before it is believed.
 */
import type { GroupStatus, MastersStatus, NodeStatus } from '../node/node-status.ts'
import { RespClient } from './resp-client.ts'

/** The part of KV.STATUS that the command line relies on. */
export type ReplicaView = Pick<MastersStatus, 'role' | 'leader' | 'term' | 'commit' | 'applied' | 'replicas'>
export type GroupView = ReplicaView & Pick<GroupStatus, 'id' | 'weight' | 'slots'>

export interface NodeView extends Pick<NodeStatus, 'nodeId' | 'version' | 'clusterId'> {
  readonly groups: readonly GroupView[]
  /** The masters' own group; null: no replica there. */
  readonly masters: ReplicaView | null
}

/** Null where it is not what KV.STATUS promises. */
export function parseNodeStatus(text: string): NodeView | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  const status = value as Partial<NodeView> | null
  if (typeof status !== 'object' || status === null) return null
  if (typeof status.nodeId !== 'number' || typeof status.clusterId !== 'string') return null
  if (typeof status.version !== 'string' || !Array.isArray(status.groups)) return null
  const sound = status.groups.every(
    (group: Partial<GroupView> | null) =>
      isReplica(group) && [group.id, group.weight, group.slots].every((field) => typeof field === 'number'),
  )
  const { masters = null } = status
  return sound && (masters === null || isReplica(masters)) ? ({ ...status, masters } as NodeView) : null
}

function isReplica<T extends Partial<ReplicaView>>(value: T | null): value is T {
  if (typeof value !== 'object' || value === null || typeof value.role !== 'string') return false
  const { term, commit, applied, replicas, leader } = value
  if (![term, commit, applied].every((field) => typeof field === 'number')) return false
  if (!Array.isArray(replicas) || !replicas.every((node) => typeof node === 'number')) return false
  return leader === null || typeof leader === 'number'
}

/** Null where the node does not answer in time, or not with a status. */
export async function askStatus(address: string, timeoutMs: number): Promise<NodeView | null> {
  let client: RespClient
  try {
    client = await RespClient.connect(address, timeoutMs)
  } catch {
    return null
  }
  // Closing the connection is what ends a wait for a node that accepts and then says nothing.
  const deadline = setTimeout(() => client.close(), timeoutMs)
  try {
    const reply = await client.call('KV.STATUS')
    return Buffer.isBuffer(reply) ? parseNodeStatus(reply.toString('utf8')) : null
  } catch {
    return null
  } finally {
    clearTimeout(deadline)
    client.close()
  }
}

/** Group id -> node id of the leader of the highest term that says itself that it leads. */
export function leadersOf(statuses: readonly (NodeView | null)[]): Map<number, number> {
  const leaders = new Map<number, number>()
  for (const id of groupIdsOf(statuses)) {
    const leader = leaderAmong(statuses, ({ groups }) => groups.find((group) => group.id === id) ?? null)
    if (leader !== null) leaders.set(id, leader.nodeId)
  }
  return leaders
}

export interface LedGroup {
  readonly id: number
  /** Node ids. */
  readonly leader: number
  readonly replicas: readonly number[]
  readonly weight: number
  readonly slots: number
}

export interface LedCluster {
  readonly groups: readonly LedGroup[]
  /** Node ids of the masters' group; empty: none of the nodes is a master. */
  readonly masters: readonly number[]
}

/** What the leaders say of their groups; null while a node does not answer, or a group that some node has a replica of is without a leader. */
export function ledCluster(statuses: readonly (NodeView | null)[]): LedCluster | null {
  if (statuses.includes(null)) return null
  const groups: LedGroup[] = []
  for (const id of groupIdsOf(statuses)) {
    const leader = leaderAmong(statuses, (status) => status.groups.find((group) => group.id === id) ?? null)
    if (leader === null) return null
    const { nodeId, replica } = leader
    const { replicas, weight, slots } = replica
    groups.push({ id, leader: nodeId, replicas: [...replicas].sort((a, b) => a - b), weight, slots })
  }
  if (groups.length === 0) return null
  if (statuses.every((status) => status?.masters === null)) return { groups, masters: [] }
  const active = leaderAmong(statuses, ({ masters }) => masters)
  return active === null ? null : { groups, masters: [...active.replica.replicas].sort((a, b) => a - b) }
}

/** Why it is not led yet, in words; `nodes`: the ids of those that were asked, in that order. Empty: it is led. */
export function missingToLead(statuses: readonly (NodeView | null)[], nodes: readonly number[]): string {
  const parts: string[] = []
  const silent = nodes.filter((_, i) => statuses[i] === null)
  if (silent.length > 0) parts.push(`node ${silent.join(', ')} does not answer yet`)
  const leaders = leadersOf(statuses)
  const unled = groupIdsOf(statuses).filter((id) => !leaders.has(id))
  if (unled.length > 0) parts.push(`group ${shortList(unled)} has no leader yet`)
  const hasMasters = statuses.some((status) => status !== null && status.masters !== null)
  if (hasMasters && leaderAmong(statuses, ({ masters }) => masters) === null)
    parts.push('the masters have no leader yet')
  if (parts.length === 0 && leaders.size === 0) parts.push('no node has a group yet')
  return parts.join('; ')
}

const LISTED = 20

function shortList(ids: readonly number[]): string {
  const rest = ids.length - LISTED
  return `${ids.slice(0, LISTED).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}

/** Rising. */
function groupIdsOf(statuses: readonly (NodeView | null)[]): readonly number[] {
  const ids = new Set(statuses.flatMap((status) => (status?.groups ?? []).map(({ id }) => id)))
  return [...ids].sort((a, b) => a - b)
}

function leaderAmong<View extends ReplicaView>(
  statuses: readonly (NodeView | null)[],
  pick: (status: NodeView) => View | null,
): { readonly nodeId: number; readonly replica: View } | null {
  let found: { readonly nodeId: number; readonly replica: View } | null = null
  for (const status of statuses) {
    const replica = status === null ? null : pick(status)
    if (status === null || replica?.role !== 'leader') continue
    // A deposed leader may not know it yet.
    if (found === null || replica.term > found.replica.term) found = { nodeId: status.nodeId, replica }
  }
  return found
}
