/** `startNode`: one node of a cluster in this process, from its data directory; or a new cluster of this one node. */
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { MASTERS_GROUP } from '../master/tree-layout.ts'
import { DEFAULT_LIMITS, DEFAULT_TIMINGS } from '../node/node-config.ts'
import { createNodeDirectory, readIdentity } from '../platform/data-directory.ts'
import { lockDataDirectory } from '../platform/directory-lock.ts'
import { fail, type Outcome, succeed } from '../platform/failure.ts'
import { type NodeIdentity, PEER_PORT_OFFSET } from '../platform/identity.ts'
import { withSystemErrors } from '../platform/system-error.ts'
import type { QuorateNode, QuorateNodeState, QuorateNodeStatus, StartNodeOptions } from './api.ts'
import { completeShape, planIdentities } from './cluster-shape.ts'
import { newSecrets } from './dev-data.ts'
import { hurryElections } from './first-leaders.ts'
import { type NodeAddresses, NodeHost, reservePorts } from './node-host.ts'
import { abortedError, errorOf, fatalReporter, hostSettings, isWithin, orThrow, unknownOption } from './options.ts'
import type { QuorateError } from './quorate-error.ts'
import { whenServing } from './serving.ts'

const DEFAULTS = { timings: DEFAULT_TIMINGS, segmentBytes: DEFAULT_LIMITS.segmentBytes, logger: 'warn' } as const

/**
 * Starts a node in this process. Resolves once it takes clients; a cluster of one node serves them by then, a node of a larger one as soon as a
 * majority of its groups' members runs. Rejects with a {@link QuorateError}; then nothing of the node is left running or locked.
 */
export async function startNode(options: StartNodeOptions): Promise<QuorateNode> {
  const problem = unknownOption(options, ['data', 'create', 'port'])
  if (problem !== null) return orThrow(problem)
  const { signal } = options
  const checked = orThrow(checkOptions(options))
  if (signal?.aborted) throw abortedError(signal)
  const data = resolve(options.data)
  const { identity, isNew } = orThrow(findOrPlan(data, options))
  const { nodeId } = identity
  // Of a failure while it starts the promise tells.
  let reports = false
  const report = fatalReporter(options, nodeId)
  const host = new NodeHost(data, orThrow(hostSettings(options, DEFAULTS, (error) => reports && report(error))))
  const abort = (): void => void host.kill()
  signal?.addEventListener('abort', abort)
  try {
    const addresses = orThrow(await reserveAddresses(host, identity, checked.port))
    if (isNew) orThrow(await createNode(data, identity))
    orThrow(await host.start((found) => checkCreated(data, found, options), addresses))
    if (identity.nodes.length === 1) await serveAlone(host)
    if (signal?.aborted) throw abortedError(signal)
    if (host.failure !== null) throw errorOf(host.failure)
    reports = true
    return new RunningNode(host, nodeId, addresses.resp)
  } catch (error) {
    await host.kill()
    throw signal?.aborted ? abortedError(signal) : error
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

function checkOptions({ data, port, create }: StartNodeOptions): Outcome<{ readonly port: number | null }> {
  if (typeof data !== 'string' || data === '') {
    return fail('usage', "'data' is missing", 'give the directory of the node')
  }
  if (port !== undefined && !isWithin(port, 0, 65535 - PEER_PORT_OFFSET)) {
    return fail('usage', `--port ${String(port)} is out of range`, `give 0 to ${65535 - PEER_PORT_OFFSET}`)
  }
  const shape = newShape(create, port)
  return shape.ok ? succeed({ port: port ?? null }) : shape
}

function newShape(create: StartNodeOptions['create'], port: number | undefined): ReturnType<typeof completeShape> {
  const { groups = 1, slots, host } = typeof create === 'object' ? create : {}
  return completeShape({ nodes: 1, groups, slotCount: slots, host, port: port === 0 ? undefined : port })
}

interface FoundNode {
  readonly identity: NodeIdentity
  /** Planned, not yet on disk. */
  readonly isNew: boolean
}

function findOrPlan(data: string, { create, port }: StartNodeOptions): Outcome<FoundNode> {
  const found = readIdentity(data)
  if (found.ok) return succeed({ identity: found.value, isNew: false })
  if (found.failure.code !== 'no-node') return found
  if (!create) {
    const mend = "give the directory of a node; or set 'create' to make a cluster of one node there"
    return fail('no-node', found.failure.message, mend)
  }
  const shape = newShape(create, port)
  if (!shape.ok) return shape
  const [identity] = planIdentities(shape.value, newSecrets())
  return succeed({ identity, isNew: true })
}

async function createNode(data: string, identity: NodeIdentity): Promise<Outcome<NodeIdentity>> {
  const made = withSystemErrors(data, () => succeed(mkdirSync(data, { recursive: true })))
  if (!made.ok) return made
  const lock = await lockDataDirectory(data, 'stop what runs this node first')
  if (!lock.ok) return lock
  try {
    return createNodeDirectory(data, identity)
  } finally {
    await lock.value.release()
  }
}

function checkCreated(data: string, found: NodeIdentity, { create }: StartNodeOptions): Outcome<null> {
  const wanted = typeof create === 'object' ? create : {}
  const has = [
    ['groups', found.groups.filter(({ groupId }) => groupId !== MASTERS_GROUP).length, wanted.groups],
    ['slots', found.slotCount, wanted.slots],
    ['host', found.host, wanted.host],
  ] as const
  for (const [name, present, asked] of has) {
    if (asked === undefined || asked === present) continue
    const message = `the node in ${data} was made with ${name} ${present}, not ${asked}`
    return fail('other-shape', message, `leave out ${name}, or give another --data`)
  }
  return succeed(null)
}

/** Taken before the start, so that a taken port is named before anything is opened. */
async function reserveAddresses(
  host: NodeHost,
  identity: NodeIdentity,
  port: number | null,
): Promise<Outcome<NodeAddresses>> {
  const { nodeId, nodes } = identity
  if (port !== null && port !== identity.port && nodes.length > 1) {
    const message = `node ${nodeId} in ${host.directory} is known to its peers at port ${identity.port}, not ${port}`
    return fail('wrong-port', message, 'leave out --port')
  }
  const wanted = port ?? identity.port
  const ports = await reservePorts(host, identity.host, wanted === 0 ? null : wanted)
  if (!ports.ok) return ports
  return succeed({
    ...ports.value,
    nodes: nodes.map((node) => (node.nodeId === nodeId ? { ...node, ...ports.value } : node)),
  })
}

/** Nobody else can lead its groups, so it need not wait whether somebody does. */
async function serveAlone(host: NodeHost): Promise<void> {
  const hurried = hurryElections([host])
  try {
    await whenServing(host, host.ended)
  } finally {
    hurried()
  }
}

class RunningNode implements QuorateNode {
  readonly id: number
  readonly address: string
  readonly data: string
  readonly #host: NodeHost
  #closing: Promise<void> | null = null

  constructor(host: NodeHost, id: number, address: string) {
    this.#host = host
    this.id = id
    this.address = address
    this.data = host.directory
  }

  get url(): string {
    return `redis://${this.address}`
  }

  get state(): QuorateNodeState {
    if (this.#host.failure !== null) return 'failed'
    return this.#closing === null ? 'running' : 'stopped'
  }

  get failure(): QuorateError | null {
    const { failure } = this.#host
    return failure === null ? null : errorOf(failure)
  }

  status(): QuorateNodeStatus | null {
    return this.#closing === null ? (this.#host.node?.status() ?? null) : null
  }

  close(): Promise<void> {
    this.#closing ??= this.#host.stop()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
