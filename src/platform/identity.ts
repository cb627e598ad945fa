/**
 * identity.json: who the node in a data directory is, and what its cluster looked like when it was last heard of. JSON, so
 * that a person can read it; sealed by a CRC32C, because a flipped bit in `hashKey` would hide every key of the node.
 *
 *   { "format": 2, "clusterId": 32 hex, "nodeId": 1, "slotCount": 1024, "hashKey": 16 hex,
 *     "secret": 32 hex,                      what all nodes of the cluster hold; who joins shows it as a token
 *     "host": "127.0.0.1", "port": 7379,     RESP on port, Redis Cluster on port + 1, node to node on port + 4
 *     "roles": ["master", "worker"],         what this node is ready for
 *     "nodes": [{ "nodeId": 1, "peer": "127.0.0.1:7383", "resp": "127.0.0.1:7379", "cluster": "127.0.0.1:7380",
 *                 "roles": ["master", "worker"] }, ...],      all that are known, this one among them
 *     "groups": [{ "groupId": 1, "replicas": [{ "replicaId": 1, "nodeId": 1 }, ...], "slots": [[0, 511]], "weight": 10,
 *                  "made": true }, ...],     how each group began; made: this node's replica stands in the write-ahead log;
 *                                          "ownReplica": 9 of one that came later; "going": true of one on its way out
 *     "masters": { "epoch": 1, "nodes": [4] },   once they are others than at the beginning: cluster epoch, and who they are
 *     "incarnation": 3,                      starts so far; part of what makes a session's id unique
 *     "checksum": 8 hex }                    of the JSON text of all the fields above, in this order
 *
 * Group 0 is the masters' own, without slots. A node that has joined knows only the groups that it was told of.
 */
import { crc32c } from '../base/crc32c.ts'
import { MAX_CLUSTER_EPOCH } from '../master/cluster-epoch.ts'
import type { GroupGenesisConfig, KnownNode, MastersPlace } from '../node/node-config.ts'
import type { NodeRole } from '../ports/cluster-view.ts'
import { fail, type Outcome, succeed } from './failure.ts'

export const IDENTITY_FORMAT = 2

/** RESP listens on the node's first port, its door with Redis Cluster's semantics and the one for nodes on this many above it. */
export const CLUSTER_PORT_OFFSET = 1
export const PEER_PORT_OFFSET = 4

const MAX_ID = 0xffff_ffff

export interface NodeIdentity {
  readonly clusterId: string
  readonly nodeId: number
  readonly slotCount: number
  readonly hashKey: string
  /** 32 hex digits. */
  readonly secret: string
  readonly host: string
  readonly port: number
  readonly roles: readonly NodeRole[]
  /** All that are known, this one among them. */
  readonly nodes: readonly KnownNode[]
  readonly groups: readonly GroupGenesisConfig[]
  readonly masters?: MastersPlace
  readonly incarnation: number
}

export function encodeIdentity(identity: NodeIdentity): string {
  const checksum = checksumOf(identity)
  return `${JSON.stringify({ format: IDENTITY_FORMAT, ...knownFields(identity), checksum }, null, 2)}\n`
}

/** `path` is for the messages only. */
export function decodeIdentity(text: string, path: string): Outcome<NodeIdentity> {
  const mend =
    'replace this node by a new one (`quorate admin replace`); an older copy of the file would not fit the log'
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return fail('corrupt-identity', `${path} is not valid JSON`, mend)
  }
  if (!isRecord(parsed)) return fail('corrupt-identity', `${path} is not a JSON object`, mend)
  const format = parsed.format
  if (typeof format === 'number' && Number.isInteger(format) && format > IDENTITY_FORMAT) {
    const message = `${path} has format ${format}, this version knows ${IDENTITY_FORMAT}`
    return fail('newer-format', message, 'run the Quorate version that wrote it, or a later one')
  }
  if (format === 1) {
    const message = `${path} has format 1, from before nodes could join; this version reads ${IDENTITY_FORMAT}`
    return fail('older-format', message, 'go on with the version that wrote it, or start over with another --data')
  }
  const problem = problemOf(parsed)
  if (problem !== null) return fail('corrupt-identity', `${path}: ${problem}`, mend)
  const identity = parsed as unknown as NodeIdentity
  if (checksumOf(identity) !== parsed.checksum) {
    return fail('corrupt-identity', `${path}: the checksum does not match`, mend)
  }
  return succeed(knownFields(identity))
}

/** Exactly the known fields, in the documented order. */
function knownFields(identity: NodeIdentity): NodeIdentity {
  return {
    clusterId: identity.clusterId,
    nodeId: identity.nodeId,
    slotCount: identity.slotCount,
    hashKey: identity.hashKey,
    secret: identity.secret,
    host: identity.host,
    port: identity.port,
    roles: [...identity.roles],
    nodes: identity.nodes.map(({ nodeId, peer, resp, cluster, roles }) => {
      return { nodeId, peer, resp, cluster, roles: [...roles] }
    }),
    groups: identity.groups.map(({ groupId, replicas, slots, weight, made, ownReplica, going }) => ({
      groupId,
      replicas: replicas.map(({ replicaId, nodeId }) => ({ replicaId, nodeId })),
      slots: slots.map(([first, last]) => [first, last] as const),
      weight,
      made,
      ...(ownReplica === undefined ? {} : { ownReplica }),
      ...(going === undefined ? {} : { going }),
    })),
    ...(identity.masters === undefined ? {} : { masters: knownMasters(identity.masters) }),
    incarnation: identity.incarnation,
  }
}

function knownMasters({ epoch, nodes }: MastersPlace): MastersPlace {
  return { epoch, nodes: [...nodes] }
}

function checksumOf(identity: NodeIdentity): string {
  const text = JSON.stringify({ format: IDENTITY_FORMAT, ...knownFields(identity) })
  return crc32c(Buffer.from(text, 'utf8')).toString(16).padStart(8, '0')
}

function problemOf(value: Record<string, unknown>): string | null {
  if (value.format !== IDENTITY_FORMAT) return 'no known format'
  if (!isHex(value.clusterId, 32)) return 'clusterId is not 32 hex digits'
  if (!isHex(value.hashKey, 16)) return 'hashKey is not 16 hex digits'
  if (!isWithin(value.nodeId, 1, MAX_ID)) return 'nodeId is not a positive integer'
  if (!isWithin(value.slotCount, 1, 16384) || !isPowerOfTwo(value.slotCount)) {
    return 'slotCount is not a power of two up to 16384'
  }
  if (typeof value.host !== 'string' || value.host === '') return 'host is not a name or address'
  if (!isWithin(value.port, 1, 65535 - PEER_PORT_OFFSET)) return 'port is out of range'
  if (!isHex(value.secret, 32)) return 'secret is not 32 hex digits'
  if (!areRoles(value.roles)) return 'roles are not master, worker, or both'
  if (!isWithin(value.incarnation, 0, Number.MAX_SAFE_INTEGER)) return 'incarnation is not a count'
  if (!isHex(value.checksum, 8)) return 'checksum is not 8 hex digits'
  if (value.masters !== undefined && !areMasters(value.masters)) return 'masters are not an epoch and node ids'
  return nodesProblem(value.nodes, value.nodeId) ?? groupsProblem(value.groups, value.slotCount)
}

function nodesProblem(nodes: unknown, nodeId: number): string | null {
  if (!Array.isArray(nodes)) return 'nodes is not a list'
  const seen = new Set<number>()
  for (const node of nodes) {
    if (!isRecord(node) || !isWithin(node.nodeId, 1, MAX_ID)) return 'a node has no id'
    for (const name of ['peer', 'resp', 'cluster']) {
      const address = node[name]
      if (typeof address !== 'string' || !/^.+:\d+$/.test(address)) return `node ${node.nodeId} has no ${name} address`
    }
    if (!areRoles(node.roles)) return `node ${node.nodeId} has no roles`
    if (seen.has(node.nodeId)) return `nodes names node ${node.nodeId} twice`
    seen.add(node.nodeId)
  }
  return seen.has(nodeId) ? null : 'nodes does not name this node'
}

function areMasters(value: unknown): boolean {
  if (!isRecord(value) || !isWithin(value.epoch, 0, MAX_CLUSTER_EPOCH) || !Array.isArray(value.nodes)) return false
  return value.nodes.every((node) => isWithin(node, 1, MAX_ID))
}

function areRoles(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every((role) => role === 'master' || role === 'worker')
}

function groupsProblem(groups: unknown, slotCount: number): string | null {
  if (!Array.isArray(groups)) return 'groups is not a list'
  const seen = new Set<number>()
  const owned = new Uint8Array(slotCount)
  for (const group of groups) {
    if (!isRecord(group) || !isWithin(group.groupId, 0, MAX_ID)) return 'a group has no id'
    if (seen.has(group.groupId)) return `groups names group ${group.groupId} twice`
    seen.add(group.groupId)
    if (!isWithin(group.weight, 0, 1_000_000)) return `group ${group.groupId} has no weight`
    if (typeof group.made !== 'boolean') return `group ${group.groupId}: made is neither true nor false`
    if (group.ownReplica !== undefined && !isWithin(group.ownReplica, 1, 0xffff_ffff)) {
      return `group ${group.groupId}: ownReplica is no replica id`
    }
    if (group.going !== undefined && group.going !== true) return `group ${group.groupId}: going is not true`
    const problem = replicasProblem(group.replicas) ?? slotsProblem(group.slots, owned)
    if (problem !== null) return `group ${group.groupId}: ${problem}`
  }
  return null
}

function replicasProblem(replicas: unknown): string | null {
  if (!Array.isArray(replicas)) return 'replicas is not a list'
  const replicaIds = new Set<unknown>()
  const nodeIds = new Set<unknown>()
  for (const replica of replicas) {
    if (!isRecord(replica) || !isWithin(replica.replicaId, 1, MAX_ID)) return 'a replica has no id'
    if (!isWithin(replica.nodeId, 1, MAX_ID)) return 'a replica has no node id'
    replicaIds.add(replica.replicaId)
    nodeIds.add(replica.nodeId)
  }
  const unique = replicaIds.size === replicas.length && nodeIds.size === replicas.length
  return unique ? null : 'a replica id or node id stands there twice'
}

/** Marks the slots in `owned`. */
function slotsProblem(ranges: unknown, owned: Uint8Array): string | null {
  if (!Array.isArray(ranges)) return 'slots is not a list'
  for (const range of ranges) {
    if (!Array.isArray(range) || range.length !== 2) return 'a slot range is not [first, last]'
    const [first, last] = range as [unknown, unknown]
    if (!isWithin(first, 0, owned.length - 1) || !isWithin(last, first, owned.length - 1)) {
      return 'a slot range is out of bounds'
    }
    for (let slot = first; slot <= last; slot++) {
      if (owned[slot] !== 0) return `slot ${slot} has two owners`
      owned[slot] = 1
    }
  }
  return null
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isWithin(value: unknown, low: number, high: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= low && value <= high
}

function isHex(value: unknown, digits: number): boolean {
  return typeof value === 'string' && value.length === digits && /^[0-9a-f]*$/.test(value)
}

function isPowerOfTwo(value: number): boolean {
  return (value & (value - 1)) === 0
}
