/**
 * What `quorate dev` makes on first run: N nodes, G groups of R replicas each, the slots split evenly. Pure: flags in,
 * identities out.
 *
 * Node i takes the ports port + 10(i-1) and on: resp +0, cluster +1, http +2, grpc +3, peer +4. Replica k of group g
 * lives on node (g + k - 2) mod N + 1, so that with R < N the groups start on different nodes.
 */
import { assert } from '../base/assert.ts'
import { REDIS_SLOT_COUNT } from '../base/slot.ts'
import type { GroupGenesisConfig } from '../node/node-config.ts'
import { fail, type Outcome, succeed } from '../platform/failure.ts'
import { type NodeIdentity, PEER_PORT_OFFSET } from '../platform/identity.ts'

export interface ClusterShape {
  readonly nodes: number
  readonly groups: number
  readonly replicas: number
  readonly slotCount: number
  readonly host: string
  /** The first node's first port. */
  readonly port: number
}

export const PORTS_PER_NODE = 10
/** resp, cluster, http, grpc, peer. */
const PORTS_TAKEN = PEER_PORT_OFFSET + 1
const MAX_NODES = 64
const MAX_GROUPS = 1024
const DEFAULT_WEIGHT = 10

/** Fills what was left out with the defaults, and checks the whole. */
export function completeShape(given: Partial<ClusterShape>): Outcome<ClusterShape> {
  const nodes = given.nodes ?? 3
  const shape: ClusterShape = {
    nodes,
    groups: given.groups ?? 2,
    replicas: given.replicas ?? Math.min(3, nodes),
    slotCount: given.slotCount ?? 1024,
    host: given.host ?? '127.0.0.1',
    port: given.port ?? 7379,
  }
  return shapeProblem(shape) ?? succeed(shape)
}

function shapeProblem(shape: ClusterShape): Outcome<never> | null {
  const { nodes, groups, replicas, slotCount, host, port } = shape
  const numbers = { '--nodes': nodes, '--groups': groups, '--replicas': replicas, '--slots': slotCount, '--port': port }
  for (const [flag, value] of Object.entries(numbers)) {
    if (!Number.isSafeInteger(value)) return usage(`${flag} ${String(value)} is no whole number`, 'give a whole number')
  }
  if (typeof host !== 'string' || host === '')
    return usage(`--host ${String(host)} is no host name`, 'give for example 127.0.0.1')
  if (nodes < 1 || nodes > MAX_NODES) return usage(`--nodes ${nodes} is out of range`, `give 1 to ${MAX_NODES}`)
  if (slotCount < 1 || slotCount > REDIS_SLOT_COUNT || (slotCount & (slotCount - 1)) !== 0) {
    return usage(`--slots ${slotCount} is no power of two up to ${REDIS_SLOT_COUNT}`, 'give for example 1024')
  }
  const maxGroups = Math.min(MAX_GROUPS, slotCount)
  if (groups < 1 || groups > maxGroups) return usage(`--groups ${groups} is out of range`, `give 1 to ${maxGroups}`)
  if (replicas < 1 || replicas > nodes) {
    return usage(`--replicas ${replicas} does not fit ${nodes} node(s)`, `give 1 to ${nodes}`)
  }
  const maxPort = 65535 - (nodes - 1) * PORTS_PER_NODE - PEER_PORT_OFFSET
  if (port < 1 || port > maxPort) return usage(`--port ${port} is out of range`, `give 1 to ${maxPort}`)
  return null
}

function usage(message: string, mend: string): Outcome<never> {
  return fail('usage', message, mend)
}

export function nodePort(shape: ClusterShape, nodeId: number): number {
  return shape.port + PORTS_PER_NODE * (nodeId - 1)
}

export function respAddress(shape: ClusterShape, nodeId: number): string {
  return `${shape.host}:${nodePort(shape, nodeId)}`
}

export function peerAddress(shape: ClusterShape, nodeId: number): string {
  return `${shape.host}:${nodePort(shape, nodeId) + PEER_PORT_OFFSET}`
}

/** Every port that belongs to the cluster, also of doors that are not built yet: a later start will want them. */
export function allPorts(shape: ClusterShape): number[] {
  const ports: number[] = []
  for (let nodeId = 1; nodeId <= shape.nodes; nodeId++) {
    for (let offset = 0; offset < PORTS_TAKEN; offset++) ports.push(nodePort(shape, nodeId) + offset)
  }
  return ports
}

/** The identities of all nodes, in the order of their ids, as they are before the first start. */
export function planIdentities(shape: ClusterShape, clusterId: string, hashKey: string): NodeIdentity[] {
  const groups = planGroups(shape)
  const nodeIds = Array.from({ length: shape.nodes }, (_, position) => position + 1)
  return nodeIds.map((nodeId) => ({
    clusterId,
    nodeId,
    slotCount: shape.slotCount,
    hashKey,
    host: shape.host,
    port: nodePort(shape, nodeId),
    peers: nodeIds
      .filter((other) => other !== nodeId)
      .map((other) => ({ nodeId: other, peerAddress: peerAddress(shape, other) })),
    groups,
    genesis: 'new',
    incarnation: 0,
  }))
}

function planGroups(shape: ClusterShape): GroupGenesisConfig[] {
  const groups: GroupGenesisConfig[] = []
  let firstSlot = 0
  for (let groupId = 1; groupId <= shape.groups; groupId++) {
    const nextSlot = Math.floor((groupId * shape.slotCount) / shape.groups)
    assert(nextSlot > firstSlot, 'planGroups: every group gets a slot')
    groups.push({
      groupId,
      replicas: Array.from({ length: shape.replicas }, (_, position) => ({
        replicaId: position + 1,
        nodeId: ((groupId - 1 + position) % shape.nodes) + 1,
      })),
      slots: [[firstSlot, nextSlot - 1]],
      weight: DEFAULT_WEIGHT,
    })
    firstSlot = nextSlot
  }
  assert(firstSlot === shape.slotCount, 'planGroups: every slot has a group')
  return groups
}
