/**
 * What the nodes say of themselves (KV.STATUS), and what follows for the cluster: which node leads which group. The
 * JSON comes from another process, so it is checked before it is believed.
 */
import type { GroupStatus, NodeStatus } from '../node/node-status.ts'
import { RespClient } from './resp-client.ts'

/** The part of KV.STATUS that the command line relies on. */
export type GroupView = Pick<GroupStatus, 'id' | 'role' | 'leader' | 'term' | 'commit' | 'applied'>

export interface NodeView extends Pick<NodeStatus, 'nodeId' | 'version' | 'clusterId'> {
  readonly groups: readonly GroupView[]
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
      typeof group === 'object' &&
      group !== null &&
      typeof group.id === 'number' &&
      typeof group.role === 'string' &&
      typeof group.term === 'number' &&
      typeof group.commit === 'number' &&
      typeof group.applied === 'number' &&
      (group.leader === null || typeof group.leader === 'number'),
  )
  return sound ? (status as NodeView) : null
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
  const leaders = new Map<number, { term: number; nodeId: number }>()
  for (const status of statuses) {
    if (status === null) continue
    for (const group of status.groups) {
      const known = leaders.get(group.id)
      if (group.role !== 'leader' || (known !== undefined && known.term >= group.term)) continue
      leaders.set(group.id, { term: group.term, nodeId: status.nodeId })
    }
  }
  return new Map([...leaders].map(([group, { nodeId }]) => [group, nodeId]))
}
