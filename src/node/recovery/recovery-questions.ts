/**
 * What a node that is to begin a new cluster epoch asks of the others, and what each answers from what it has: JSON both ways, as in node/cluster/call-message.ts.
 *
 *   look    {}               what the node knows of the cluster, and its best copy of the tree
 *   group   {group}          of the group's leader: its word, behind a read barrier
 *   fence   {group, fence}   the same, after the group's log has been closed to masters below the fence
 */
import { asGroupId, type GroupId, type NodeId } from '../../base/brand.ts'
import { KvStateMachine } from '../../kv/kv-state-machine.ts'
import { epochOfReplica } from '../../master/cluster-epoch.ts'
import type { ClusterSnapshot } from '../../master/cluster-snapshot.ts'
import { type CopiedNode, copyOfTree, parseTreeCopy } from '../../master/tree-copy.ts'
import { MASTERS_GROUP } from '../../master/tree-layout.ts'
import { CALL_METHODS, type NodeCalls } from '../../ports/node-calls.ts'
import { decodeMoveReply } from '../../protocol/move-command.ts'
import { OUTCOME_REPLY, OUTCOME_UNKNOWN } from '../../protocol/request-message.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'
import { decodeRequest, encodeReply, isObject } from '../cluster/call-message.ts'
import { movePayload } from '../moves/move-payload.ts'
import type { GroupGenesisConfig, KnownNode } from '../node-config.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { wordOf } from './group-word.ts'
import { lastTreeOf } from './last-tree.ts'
import { isKnownNode } from './masters-epoch.ts'

/** An error's text instead of a move's reply: the log did not take the entry. */
const ERROR_TYPE = 0x2d
const MAX_VOTERS = 31
/** What one message carries, about; a larger tree is not told. */
const LOOK_BYTES_MAX = 8 * 1024 * 1024

/** What one node knows. */
export interface NodeLook {
  readonly epoch: number
  /** All that it knows, itself among them. */
  readonly nodes: readonly KnownNode[]
  /** Groups of which it has a replica. */
  readonly replicas: readonly number[]
  /** How the groups that it knows began. */
  readonly genesis: readonly GroupGenesisConfig[]
  /** By its own replica of the masters' group: the nodes that vote in it. Null: it has none. */
  readonly mastersVote: readonly number[] | null
  /** Null: it never read the tree. */
  readonly tree: readonly CopiedNode[] | null
}

export type GroupAnswer =
  | { readonly kind: 'word'; readonly word: unknown }
  /** Another node leads, or nobody can answer now: nothing was done. */
  | { readonly kind: 'elsewhere'; readonly leader: number | null }
  /** Masters of this epoch or a later one have spoken there. */
  | { readonly kind: 'fenced' }
  /** The fence may have been raised. */
  | { readonly kind: 'unknown' }

export interface QuestionedNode {
  readonly calls: NodeCalls
  readonly replicas: ReplicaSet
  epoch(): number
  nodes(): readonly KnownNode[]
  /** As this node's mirror has read it last. */
  snapshot(): ClusterSnapshot | null
  leaderOf(group: GroupId): NodeId | null
}

export function serveRecoveryQuestions(node: QuestionedNode): void {
  node.calls.serve(CALL_METHODS.recovery, (_from, body, answer) => {
    const request = decodeRequest(body)
    const reply = (value: unknown): void => answer(encodeReply(null, value))
    const { call = '', args = {} } = request ?? {}
    if (call === 'look') {
      const look = encodeReply(null, lookOf(node))
      return answer(look.length <= LOOK_BYTES_MAX ? look : encodeReply(null, { ...lookOf(node), tree: null }))
    }
    const { group, fence } = args
    const isGroup = typeof group === 'number' && Number.isInteger(group) && group > 0
    const isFence = call === 'fence' ? Number.isSafeInteger(fence) && Number(fence) > 0 : call === 'group'
    if (isGroup && isFence) return askGroup(node, asGroupId(group), call === 'fence' ? Number(fence) : null, reply)
    const error = { code: 'unknown-call', message: 'this node does not know the question' }
    answer(encodeReply({ ...error, mend: 'run the same version on all nodes' }, null))
  })
}

function lookOf({ replicas, epoch, nodes, snapshot }: QuestionedNode): NodeLook {
  const own = replicas.get(MASTERS_GROUP)
  const isCurrent = own !== undefined && epochOfReplica(own.replicaId) === epoch()
  const read = snapshot()
  const mirrored = read !== null && read.config.value.clusterEpoch === epoch() ? read : null
  const tree = newerOf(isCurrent ? lastTreeOf(own) : null, mirrored)
  const voters = own?.core.membership.members.filter(({ role }) => role === 'voter') ?? []
  return {
    epoch: epoch(),
    nodes: nodes().map(({ nodeId, peer, resp, cluster, roles }) => ({ nodeId, peer, resp, cluster, roles })),
    replicas: [...replicas.entries()].map(([group]) => group),
    genesis: replicas.genesisOfAll(),
    mastersVote: isCurrent ? voters.map(({ nodeId }) => nodeId) : null,
    tree: tree === null ? null : copyOfTree(tree),
  }
}

/** By the number of the masters' writes. */
export function newerOf(a: ClusterSnapshot | null, b: ClusterSnapshot | null): ClusterSnapshot | null {
  if (a === null || b === null) return a ?? b
  const [epochA, epochB] = [a.config.value.clusterEpoch, b.config.value.clusterEpoch]
  if (epochA !== epochB) return epochA > epochB ? a : b
  return a.journal.version >= b.journal.version ? a : b
}

function askGroup(
  node: QuestionedNode,
  group: GroupId,
  fence: number | null,
  reply: (answer: GroupAnswer) => void,
): void {
  const replica = node.replicas.get(group)
  const elsewhere = (): void => {
    const leader = replica === undefined ? node.leaderOf(group) : replica.isLeader ? null : replica.leaderNode
    reply({ kind: 'elsewhere', leader })
  }
  if (replica === undefined || !replica.isLeader || !(replica.machine instanceof KvStateMachine)) return elsewhere()
  const word = (): void => {
    const { machine } = replica
    if (machine instanceof KvStateMachine) reply({ kind: 'word', word: wordOf(replica, machine) })
    else elsewhere()
  }
  if (fence !== null) return raiseFence(replica, fence, { word, elsewhere, reply })
  const asked = replica.barrier({ settle: (outcome) => (outcome === OUTCOME_REPLY ? word() : elsewhere()) })
  if (!asked) elsewhere()
}

function raiseFence(
  replica: RaftReplica,
  fence: number,
  { word, elsewhere, reply }: { word: () => void; elsewhere: () => void; reply: (answer: GroupAnswer) => void },
): void {
  const payload = movePayload({ kind: 'fence', reconfigId: 0, fence })
  const taken = replica.propose(payload, {
    settle: (outcome, bytes) => {
      if (outcome === OUTCOME_UNKNOWN) return reply({ kind: 'unknown' })
      if (outcome !== OUTCOME_REPLY || bytes[0] === ERROR_TYPE) return elsewhere()
      if (decodeMoveReply(bytes).outcome === 'done') word()
      else reply({ kind: 'fenced' })
    },
  })
  if (!taken) elsewhere()
}

/** Anything may come from another node. Null: it is none. */
export function parseLook(value: unknown): NodeLook | null {
  if (!isObject(value)) return null
  const { epoch, nodes, replicas, genesis, mastersVote, tree } = value
  const areIds = (list: unknown): list is readonly number[] =>
    Array.isArray(list) && list.every((id) => typeof id === 'number' && Number.isInteger(id) && id >= 0)
  const copy = tree === null ? null : parseTreeCopy(tree)
  if (typeof epoch !== 'number' || !Number.isInteger(epoch) || epoch < 0) return null
  if (!Array.isArray(nodes) || !nodes.every(isKnownNode) || !areIds(replicas)) return null
  if (mastersVote !== null && (!areIds(mastersVote) || mastersVote.length > MAX_VOTERS)) return null
  if (!Array.isArray(genesis) || !genesis.every(isGenesis) || (tree !== null && copy === null)) return null
  return { epoch, nodes, replicas, genesis, mastersVote, tree: copy }
}

function isGenesis(value: unknown): value is GroupGenesisConfig {
  if (!isObject(value)) return false
  const { groupId, replicas, slots, weight } = value
  const isCount = (id: unknown): boolean => typeof id === 'number' && Number.isInteger(id) && id >= 0
  if (!isCount(groupId) || !isCount(weight) || !Array.isArray(replicas) || !Array.isArray(slots)) return false
  const areReplicas = replicas.every((one) => isObject(one) && isCount(one.replicaId) && isCount(one.nodeId))
  return areReplicas && slots.every((range) => Array.isArray(range) && range.length === 2 && range.every(isCount))
}

export function parseGroupAnswer(value: unknown): GroupAnswer | null {
  if (!isObject(value)) return null
  const { kind, leader, word } = value
  if (kind === 'word') return { kind, word }
  if (kind === 'elsewhere') return { kind, leader: typeof leader === 'number' ? leader : null }
  return kind === 'fenced' || kind === 'unknown' ? { kind } : null
}
