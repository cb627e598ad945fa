/** What the tree says of groups and nodes, and how it is written down there (tree-layout.ts). Decoding throws DecodeError. */
import { asGroupId, asNodeId, asReplicaId, type GroupId, type NodeId, type ReplicaId } from '../base/brand.ts'
import { type SlotRange, WEIGHT_MAX } from './allocation.ts'
import { genesisPath, groupPath, KV, MASTERS, nodePath, reportPath, WORKERS } from './tree-layout.ts'
import { decodeValue, encodeValue, type JsonValue, type ValueReader } from './tree-value.ts'

const MAX_ID = 2 ** 32 - 1

export interface ClusterConfig {
  readonly clusterEpoch: number
  readonly slotCount: number
}

/** Who wrote last, and the number of that write (fenced-store.ts). */
export interface MasterJournal {
  readonly fence: number
  readonly episode: number
  readonly write: number
}

export interface GroupMember {
  readonly nodeId: NodeId
  /** Allotted at Join, never given out again in this group. */
  readonly replicaId: ReplicaId
}

export interface GroupRegistration {
  readonly weight: number
  readonly draining: boolean
  /** As desired, rising by node; one of each node. */
  readonly members: readonly GroupMember[]
  /** Counter of the next replica id (cluster-epoch.ts). */
  readonly nextReplica: number
}

/** A replica that begins with the group, as a voter. */
export interface GenesisReplica extends GroupMember {
  /** Its record stands in its node's log: with that log gone it may not begin again. */
  readonly made: boolean
}

/** How a group begins, written once with it; later its own log is the truth. */
export interface GroupGenesis {
  /** Rising. */
  readonly slots: readonly SlotRange[]
  /** Rising by node. */
  readonly replicas: readonly GenesisReplica[]
}

/** The group's own word on its members, from its log. */
export interface GroupReport {
  /** An index of the group's log that its leader had applied: there this was so. */
  readonly index: number
  /** Voters, rising by replica. */
  readonly members: readonly GroupMember[]
  /** Rising by replica. */
  readonly learners: readonly GroupMember[]
  /** 0: not known. */
  readonly leader: NodeId
}

const ROLES = ['master', 'worker'] as const
export type NodeRole = (typeof ROLES)[number]

export interface NodeRegistration {
  /** host:port, where other nodes reach it. */
  readonly peer: string
  /** host:port, of its first RESP port. */
  readonly resp: string
  /** host:port, of its RESP port with Redis Cluster's semantics. */
  readonly cluster: string
  readonly roles: readonly NodeRole[]
}

export interface RegisteredNode extends NodeRegistration {
  /** Another has taken its place: no new group is put on it. */
  readonly leaving: boolean
}

export const encodeConfig = ({ clusterEpoch, slotCount }: ClusterConfig): Uint8Array =>
  encodeValue({ clusterEpoch, slotCount })

export function decodeConfig(data: Uint8Array): ClusterConfig {
  const value = decodeValue(KV, data)
  return { clusterEpoch: value.whole('clusterEpoch', 31), slotCount: value.whole('slotCount', 16384) }
}

export const encodeJournal = ({ fence, episode, write }: MasterJournal): Uint8Array =>
  encodeValue({ fence, episode, write })

export function decodeJournal(data: Uint8Array): MasterJournal {
  const value = decodeValue(MASTERS, data)
  return { fence: value.whole('fence'), episode: value.whole('episode'), write: value.whole('write') }
}

export const encodeElectionNode = (node: NodeId): Uint8Array => encodeValue({ node })

export const decodeElectionNode = (data: Uint8Array): NodeId =>
  asNodeId(decodeValue(`${MASTERS}/...`, data).whole('node', MAX_ID))

export const encodeWorkers = (rebalance: boolean): Uint8Array => encodeValue({ rebalance })

export const decodeWorkers = (data: Uint8Array): boolean => decodeValue(WORKERS, data).flag('rebalance')

/** A counter's node: /kv/version, /kv/workerId, /kv/nodes. */
export const encodeCounter = (name: 'version' | 'next', value: number): Uint8Array => encodeValue({ [name]: value })

export const decodeCounter = (path: string, name: 'version' | 'next', data: Uint8Array): number =>
  decodeValue(path, data).whole(name)

const MAX_RANGE_ENDS = 32_768

export const encodeGroup = ({ weight, draining, members, nextReplica }: GroupRegistration): Uint8Array =>
  encodeValue({ weight, draining, members: members.map(memberFields), nextReplica })

export function decodeGroup(group: GroupId, data: Uint8Array): GroupRegistration {
  const value = decodeValue(groupPath(group), data)
  const members = value.objects('members').map(readMember)
  if (new Set(members.map(({ nodeId }) => nodeId)).size < members.length) value.refuse('a node is a member twice')
  return {
    weight: value.whole('weight', WEIGHT_MAX),
    draining: value.flag('draining'),
    members,
    nextReplica: value.whole('nextReplica', MAX_ID),
  }
}

export const encodeGenesis = ({ slots, replicas }: GroupGenesis): Uint8Array =>
  encodeValue({
    slots: slots.flat(),
    replicas: replicas.map((replica) => ({ ...memberFields(replica), made: replica.made })),
  })

export function decodeGenesis(group: GroupId, data: Uint8Array): GroupGenesis {
  const value = decodeValue(genesisPath(group), data)
  const ends = value.wholes('slots', 16383)
  const isRising = ends.every((end, i) => i === 0 || (i % 2 === 0 ? end > ends[i - 1] : end >= ends[i - 1]))
  if (ends.length % 2 !== 0 || ends.length > MAX_RANGE_ENDS || !isRising) value.refuse('slots are no rising ranges')
  const slots: SlotRange[] = []
  for (let i = 0; i < ends.length; i += 2) slots.push([ends[i], ends[i + 1]])
  const replicas = value.objects('replicas').map((replica) => ({ ...readMember(replica), made: replica.flag('made') }))
  return { slots, replicas }
}

export const encodeReport = ({ index, members, learners, leader }: GroupReport): Uint8Array =>
  encodeValue({ index, members: members.map(memberFields), learners: learners.map(memberFields), leader })

export function decodeReport(group: GroupId, data: Uint8Array): GroupReport {
  const value = decodeValue(reportPath(group), data)
  return {
    index: value.whole('index'),
    members: value.objects('members').map(readMember),
    learners: value.objects('learners').map(readMember),
    leader: asNodeId(value.whole('leader', MAX_ID)),
  }
}

function memberFields({ nodeId, replicaId }: GroupMember): { readonly [name: string]: JsonValue } {
  return { node: nodeId, replica: replicaId }
}

function readMember(value: ValueReader): GroupMember {
  return { nodeId: asNodeId(value.whole('node', MAX_ID)), replicaId: asReplicaId(value.whole('replica', MAX_ID)) }
}

export const encodeNode = ({ peer, resp, cluster, roles, leaving }: RegisteredNode): Uint8Array =>
  encodeValue({ peer, resp, cluster, roles, leaving })

export function decodeNode(node: NodeId, data: Uint8Array): RegisteredNode {
  const value = decodeValue(nodePath(node), data)
  const roles = value.texts('roles').map((word) => {
    return ROLES.find((role) => role === word) ?? value.refuse(`no role ${word}`)
  })
  const addresses = { peer: value.text('peer'), resp: value.text('resp'), cluster: value.text('cluster') }
  return { ...addresses, roles, leaving: value.flag('leaving') }
}

/** The number that a child's name is; null where it is none. */
export function idOfName(name: string): number | null {
  return /^[1-9][0-9]{0,9}$/.test(name) && Number(name) <= MAX_ID ? Number(name) : null
}

export const groupOfName = (name: string): GroupId | null => {
  const id = idOfName(name)
  return id === null ? null : asGroupId(id)
}
