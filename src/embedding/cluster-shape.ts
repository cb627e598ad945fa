/**
 * What `quorate dev` makes on first run: N nodes, G groups of R replicas each, the slots split evenly. Pure: flags in,
 * identities out.
 *
 * Node i takes the ports port + 10(i-1) and on: resp +0, cluster +1, http +2, grpc +3, peer +4. Group g lives on node
 * (g - 1) mod N + 1 and the R - 1 after it, so that with R < N the groups start on different nodes.
 */
import { asGroupId, asNodeId } from '../base/brand.ts'
import { REDIS_SLOT_COUNT } from '../base/slot.ts'
import { genesisMembers, genesisOwners } from '../master/cluster-genesis.ts'
import { tableRanges } from '../master/slot-table.ts'
import { MASTERS_GROUP } from '../master/tree-layout.ts'
import type { GroupGenesisConfig, KnownNode } from '../node/node-config.ts'
import { fail, type Outcome, succeed } from '../platform/failure.ts'
import { CLUSTER_PORT_OFFSET, type NodeIdentity, PEER_PORT_OFFSET } from '../platform/identity.ts'
import { formatAddress } from '../platform/node-network.ts'
import type { NodeRole } from '../ports/cluster-view.ts'

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
export const DEFAULT_WEIGHT = 10
const MASTERS_MAX = 5
const GENESIS_EPOCH = 0
/** A node that is no master now may take the place of one. */
const BOTH_ROLES: readonly NodeRole[] = ['master', 'worker']

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

export function clusterAddress(shape: ClusterShape, nodeId: number): string {
  return `${shape.host}:${nodePort(shape, nodeId) + CLUSTER_PORT_OFFSET}`
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

/** Where a node is that takes the ports from this one on. */
export function nodeAddresses(host: string, port: number): Pick<KnownNode, 'peer' | 'resp' | 'cluster'> {
  return {
    peer: formatAddress(host, port + PEER_PORT_OFFSET),
    resp: formatAddress(host, port),
    cluster: formatAddress(host, port + CLUSTER_PORT_OFFSET),
  }
}

export interface ClusterSecrets {
  /** 32, 16 and 32 hex digits. */
  readonly clusterId: string
  readonly hashKey: string
  readonly secret: string
}

/** The identities of all nodes, in the order of their ids, as they are before the first start. */
export function planIdentities(shape: ClusterShape, secrets: ClusterSecrets): NodeIdentity[] {
  const nodeIds = Array.from({ length: shape.nodes }, (_, position) => position + 1)
  const masters = masterNodes(nodeIds)
  const nodes = nodeIds.map((nodeId) => {
    return { nodeId, ...nodeAddresses(shape.host, nodePort(shape, nodeId)), roles: BOTH_ROLES }
  })
  const groups = [planMasters(masters), ...planGroups(shape)]
  return nodeIds.map((nodeId) => ({
    ...secrets,
    nodeId,
    slotCount: shape.slotCount,
    host: shape.host,
    port: nodePort(shape, nodeId),
    roles: BOTH_ROLES,
    nodes,
    groups,
    incarnation: 0,
  }))
}

/** An odd number, five at most: of two or four nodes one more would only be one more that may fail. */
function masterNodes(nodeIds: readonly number[]): readonly number[] {
  const odd = nodeIds.length % 2 === 1 ? nodeIds.length : nodeIds.length - 1
  return nodeIds.slice(0, Math.min(Math.max(odd, 1), MASTERS_MAX))
}

function planMasters(masters: readonly number[]): GroupGenesisConfig {
  const replicas = genesisMembers(GENESIS_EPOCH, masters.map(asNodeId))
  return { groupId: MASTERS_GROUP, replicas, slots: [], weight: 0, made: false }
}

/** The slots as the masters' tree has them from its beginning. */
function planGroups(shape: ClusterShape): GroupGenesisConfig[] {
  const ids = Array.from({ length: shape.groups }, (_, position) => asGroupId(position + 1))
  const weighted = ids.map((groupId) => ({ groupId, weight: DEFAULT_WEIGHT }))
  const ranges = tableRanges(genesisOwners(shape.slotCount, weighted))
  const nodesOf = (groupId: number): number[] =>
    Array.from({ length: shape.replicas }, (_, position) => ((groupId - 1 + position) % shape.nodes) + 1)
  return ids.map((groupId) => ({
    groupId,
    replicas: genesisMembers(GENESIS_EPOCH, nodesOf(groupId).map(asNodeId)),
    slots: ranges.filter(({ group }) => group === groupId).map(({ range }) => range),
    weight: DEFAULT_WEIGHT,
    made: false,
  }))
}
