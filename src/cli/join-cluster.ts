/**
 * How an empty directory becomes a node of a cluster that runs: any of its nodes is shown the token, and answers with an id that no node ever had and with
 * all that the newcomer must know. It has no replica of anything until the masters give it one, so it cannot vote on its own word.
 */
import { mkdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { nodeAddresses } from '../embedding/cluster-shape.ts'
import { checkPortsFree } from '../embedding/free-ports.ts'
import type { GroupGenesisConfig, KnownNode } from '../node/node-config.ts'
import { createNodeDirectory } from '../platform/data-directory.ts'
import { lockDataDirectory } from '../platform/directory-lock.ts'
import { fail, type Outcome, succeed } from '../platform/failure.ts'
import {
  CLUSTER_PORT_OFFSET,
  decodeIdentity,
  encodeIdentity,
  type NodeIdentity,
  PEER_PORT_OFFSET,
} from '../platform/identity.ts'
import { withSystemErrors } from '../platform/system-error.ts'
import type { NodeRole } from '../ports/cluster-view.ts'
import { askMaster, isPassing, type MasterReply } from './master-calls.ts'

export interface JoinRequest {
  readonly directory: string
  /** Where the new node will listen; how the others will call it. */
  readonly host: string
  readonly port: number
  readonly roles: readonly NodeRole[]
  /** Of nodes of the cluster; tried in turn. */
  readonly addresses: readonly string[]
  readonly token: string
}

export interface JoinPatience {
  /** While nobody can be reached at all: that is more often a wrong address than a cluster that starts. */
  readonly unreachableMs: number
  /** While the masters elect, say, a new leader. */
  readonly passingMs: number
}

const PATIENCE: JoinPatience = { unreachableMs: 5_000, passingMs: 30_000 }
const ASK_AGAIN_MS = 250
const ANSWER_WITHIN_MS = 10_000

/** Makes the directory with the new node's identity in it, durably; nothing runs yet. After a failure there is none. */
export async function joinCluster(request: JoinRequest, patience = PATIENCE): Promise<Outcome<NodeIdentity>> {
  const { directory, host, port } = request
  const made = withSystemErrors(directory, () => succeed(mkdirSync(directory, { recursive: true })))
  if (!made.ok) return made
  const lock = await lockDataDirectory(directory, 'stop what runs there first')
  if (!lock.ok) return lock
  try {
    // First, because an id is used up by each node that is let in.
    const free = await checkPortsFree(host, [port, port + CLUSTER_PORT_OFFSET, port + PEER_PORT_OFFSET])
    if (!free.ok) return free
    const answer = await askUntilAnswered(request, patience)
    if (!answer.ok) return answer
    const identity = identityOf(request, answer.value)
    return identity.ok ? createNodeDirectory(directory, identity.value) : identity
  } finally {
    await lock.value.release()
  }
}

async function askUntilAnswered(request: JoinRequest, patience: JoinPatience): Promise<Outcome<unknown>> {
  const { host, port, roles, addresses, token } = request
  const { peer, resp, cluster } = nodeAddresses(host, port)
  const question = { token, peer, resp, cluster, roles }
  const startedMs = performance.now()
  let heard = false
  for (let i = 0; ; i++) {
    const address = addresses[i % addresses.length]
    const reply = await askMaster(address, 'JOIN', question, ANSWER_WITHIN_MS)
    if (reply.kind === 'answer') return succeed(reply.value)
    if (reply.kind === 'refused' && !isPassing(reply.code)) return fail(reply.code, reply.message, reply.mend)
    if (reply.kind === 'refused' || reply.sent) heard = true
    const limitMs = heard ? patience.passingMs : patience.unreachableMs
    if (performance.now() - startedMs > limitMs) return gaveUp(request, reply, limitMs)
    await delay(ASK_AGAIN_MS)
  }
}

function gaveUp(
  { addresses }: JoinRequest,
  last: Exclude<MasterReply, { kind: 'answer' }>,
  limitMs: number,
): Outcome<never> {
  const where = addresses.join(', ')
  const within = `within ${limitMs / 1000} s`
  if (last.kind === 'refused') return fail(last.code, `${where} let nobody join ${within}: ${last.message}`, last.mend)
  const mend = 'give --join the address of a node that runs: its first RESP port'
  return fail('unreachable', `no node answered at ${where} ${within} (${last.message})`, mend)
}

/** What the cluster says must make an identity like any other; the identity's own checks say so. */
export function identityOf({ directory, host, port, roles }: JoinRequest, answer: unknown): Outcome<NodeIdentity> {
  const mend = 'give --join the address of a Quorate node of the same version'
  const malformed = (why: string): Outcome<never> =>
    fail('malformed-answer', `what the cluster answered makes no node: ${why}`, mend)
  if (typeof answer !== 'object' || answer === null) return malformed('it is no JSON object')
  const { nodeId, clusterId, slotCount, hashKey, secret, nodes, groups, masters } = answer as Partial<NodeIdentity>
  if (nodeId === undefined || !Array.isArray(nodes) || !Array.isArray(groups)) {
    return malformed('nodeId, nodes or groups are missing')
  }
  const self: KnownNode = { nodeId, ...nodeAddresses(host, port), roles }
  const others = (nodes as readonly (KnownNode | null)[]).filter((node) => node?.nodeId !== nodeId)
  const genesis = (groups as readonly (GroupGenesisConfig | null)[]).map((group) => ({ ...group, made: false }))
  const claimed = { clusterId, nodeId, slotCount, hashKey, secret, nodes: [...others, self], groups: genesis, masters }
  const checked = checkedIdentity({ ...claimed, host, port, roles, incarnation: 0 } as NodeIdentity, directory)
  if (!checked.ok) return malformed(checked.failure.message)
  // With one the node would vote as if it had been there from the start.
  const own = checked.value.groups.find(({ replicas }) => replicas.some((replica) => replica.nodeId === nodeId))
  return own === undefined
    ? checked
    : malformed(`node ${nodeId} is new, and has a replica of group ${own.groupId} already`)
}

function checkedIdentity(identity: NodeIdentity, directory: string): Outcome<NodeIdentity> {
  try {
    return decodeIdentity(encodeIdentity(identity), directory)
  } catch {
    return fail('malformed-answer', 'a node or group lacks a list', '')
  }
}
