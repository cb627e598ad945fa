/**
 * identity.json: who the node in a data directory is, and what its cluster looked like when it was made. JSON, so that
 * a person can read it; sealed by a CRC32C, because a flipped bit in `hashKey` would hide every key of the node.
 *
 *   { "format": 1, "clusterId": 32 hex, "nodeId": 1, "slotCount": 1024, "hashKey": 16 hex,
 *     "host": "127.0.0.1", "port": 7379,                      RESP on port, node to node on port + 4
 *     "peers": [{ "nodeId": 2, "peerAddress": "127.0.0.1:7393" }, ...],             the other nodes
 *     "groups": [{ "groupId": 1, "replicas": [{ "replicaId": 1, "nodeId": 1 }, ...],
 *                  "slots": [[0, 511]], "weight": 10 }, ...],      genesis; later the groups' logs know
 *     "genesis": "new" | "made",             made: the replicas' records stand in the write-ahead log
 *     "incarnation": 3,                      starts so far; part of what makes a session's id unique
 *     "checksum": 8 hex }                    of the JSON text of all the fields above, in this order
 */
import { crc32c } from '../base/crc32c.ts'
import type { GroupGenesisConfig } from '../node/node-config.ts'
import { fail, type Outcome, succeed } from './failure.ts'

export const IDENTITY_FORMAT = 1

/** RESP listens on the node's first port, node-to-node on this many above it. */
export const PEER_PORT_OFFSET = 4

export interface NodeIdentity {
  readonly clusterId: string
  readonly nodeId: number
  readonly slotCount: number
  readonly hashKey: string
  readonly host: string
  readonly port: number
  /** The other nodes, without this one. */
  readonly peers: ReadonlyArray<{ readonly nodeId: number; readonly peerAddress: string }>
  readonly groups: readonly GroupGenesisConfig[]
  readonly genesis: 'new' | 'made'
  readonly incarnation: number
}

export function encodeIdentity(identity: NodeIdentity): string {
  const checksum = checksumOf(identity)
  return `${JSON.stringify({ format: IDENTITY_FORMAT, ...knownFields(identity), checksum }, null, 2)}\n`
}

/** `path` is for the messages only. */
export function decodeIdentity(text: string, path: string): Outcome<NodeIdentity> {
  const mend = 'restore the file from a copy of this node; never make one up'
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
    host: identity.host,
    port: identity.port,
    peers: identity.peers.map(({ nodeId, peerAddress }) => ({ nodeId, peerAddress })),
    groups: identity.groups.map(({ groupId, replicas, slots, weight }) => ({
      groupId,
      replicas: replicas.map(({ replicaId, nodeId }) => ({ replicaId, nodeId })),
      slots: slots.map(([first, last]) => [first, last] as const),
      weight,
    })),
    genesis: identity.genesis,
    incarnation: identity.incarnation,
  }
}

function checksumOf(identity: NodeIdentity): string {
  const text = JSON.stringify({ format: IDENTITY_FORMAT, ...knownFields(identity) })
  return crc32c(Buffer.from(text, 'utf8')).toString(16).padStart(8, '0')
}

function problemOf(value: Record<string, unknown>): string | null {
  if (value.format !== IDENTITY_FORMAT) return 'no known format'
  if (!isHex(value.clusterId, 32)) return 'clusterId is not 32 hex digits'
  if (!isHex(value.hashKey, 16)) return 'hashKey is not 16 hex digits'
  if (!isWithin(value.nodeId, 1, 0xffff_ffff)) return 'nodeId is not a positive integer'
  if (!isWithin(value.slotCount, 1, 16384) || !isPowerOfTwo(value.slotCount)) {
    return 'slotCount is not a power of two up to 16384'
  }
  if (typeof value.host !== 'string' || value.host === '') return 'host is not a name or address'
  if (!isWithin(value.port, 1, 65535 - PEER_PORT_OFFSET)) return 'port is out of range'
  if (value.genesis !== 'new' && value.genesis !== 'made') return 'genesis is neither "new" nor "made"'
  if (!isWithin(value.incarnation, 0, Number.MAX_SAFE_INTEGER)) return 'incarnation is not a count'
  if (!isHex(value.checksum, 8)) return 'checksum is not 8 hex digits'
  return peersProblem(value.peers, value.nodeId) ?? groupsProblem(value.groups, value.slotCount)
}

function peersProblem(peers: unknown, nodeId: number): string | null {
  if (!Array.isArray(peers)) return 'peers is not a list'
  const seen = new Set<number>([nodeId])
  for (const peer of peers) {
    if (!isRecord(peer) || !isWithin(peer.nodeId, 1, 0xffff_ffff)) return 'a peer has no node id'
    if (typeof peer.peerAddress !== 'string' || !/^.+:\d+$/.test(peer.peerAddress)) return 'a peer has no address'
    if (seen.has(peer.nodeId)) return `peers names node ${peer.nodeId} twice, or this node itself`
    seen.add(peer.nodeId)
  }
  return null
}

function groupsProblem(groups: unknown, slotCount: number): string | null {
  if (!Array.isArray(groups)) return 'groups is not a list'
  const seen = new Set<number>()
  const owned = new Uint8Array(slotCount)
  for (const group of groups) {
    if (!isRecord(group) || !isWithin(group.groupId, 1, 0xffff_ffff)) return 'a group has no id'
    if (seen.has(group.groupId)) return `groups names group ${group.groupId} twice`
    seen.add(group.groupId)
    if (!isWithin(group.weight, 1, 1_000_000)) return `group ${group.groupId} has no weight`
    const problem = replicasProblem(group.replicas) ?? slotsProblem(group.slots, owned)
    if (problem !== null) return `group ${group.groupId}: ${problem}`
  }
  return owned.includes(0) ? 'some slots belong to no group' : null
}

function replicasProblem(replicas: unknown): string | null {
  if (!Array.isArray(replicas) || replicas.length === 0) return 'no replicas'
  const replicaIds = new Set<unknown>()
  const nodeIds = new Set<unknown>()
  for (const replica of replicas) {
    if (!isRecord(replica) || !isWithin(replica.replicaId, 1, 0xffff_ffff)) return 'a replica has no id'
    if (!isWithin(replica.nodeId, 1, 0xffff_ffff)) return 'a replica has no node id'
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
