/** What the tree says of groups and nodes, and how it is written down there (tree-layout.ts). Decoding throws DecodeError. */
import { asGroupId, asNodeId, type GroupId, type NodeId } from '../base/brand.ts'
import { WEIGHT_MAX } from './allocation.ts'
import { groupPath, KV, MASTERS, nodePath, reportPath, WORKERS } from './tree-layout.ts'
import { decodeValue, encodeValue } from './tree-value.ts'

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

export interface GroupRegistration {
  readonly weight: number
  readonly draining: boolean
  /** As desired, rising. */
  readonly members: readonly NodeId[]
}

/** The group's own word on its members, from its log. */
export interface GroupReport {
  /** Of the configuration's entry in the group's log. */
  readonly index: number
  readonly members: readonly NodeId[]
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
  readonly roles: readonly NodeRole[]
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

export const encodeGroup = ({ weight, draining, members }: GroupRegistration): Uint8Array =>
  encodeValue({ weight, draining, members })

export function decodeGroup(group: GroupId, data: Uint8Array): GroupRegistration {
  const value = decodeValue(groupPath(group), data)
  const members = value.wholes('members', MAX_ID).map(asNodeId)
  return { weight: value.whole('weight', WEIGHT_MAX), draining: value.flag('draining'), members }
}

export const encodeReport = ({ index, members, leader }: GroupReport): Uint8Array =>
  encodeValue({ index, members, leader })

export function decodeReport(group: GroupId, data: Uint8Array): GroupReport {
  const value = decodeValue(reportPath(group), data)
  const members = value.wholes('members', MAX_ID).map(asNodeId)
  return { index: value.whole('index'), members, leader: asNodeId(value.whole('leader', MAX_ID)) }
}

export const encodeNode = ({ peer, resp, roles }: NodeRegistration): Uint8Array => encodeValue({ peer, resp, roles })

export function decodeNode(node: NodeId, data: Uint8Array): NodeRegistration {
  const value = decodeValue(nodePath(node), data)
  const roles = value.texts('roles').map((word) => {
    return ROLES.find((role) => role === word) ?? value.refuse(`no role ${word}`)
  })
  return { peer: value.text('peer'), resp: value.text('resp'), roles }
}

/** The number that a child's name is; null where it is none. */
export function idOfName(name: string): number | null {
  return /^[1-9][0-9]{0,9}$/.test(name) && Number(name) <= MAX_ID ? Number(name) : null
}

export const groupOfName = (name: string): GroupId | null => {
  const id = idOfName(name)
  return id === null ? null : asGroupId(id)
}
