/** `startLocalCluster`: a whole cluster in this process, on real sockets and real disks, for tests and for trying things out. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fail, type Outcome, succeed } from '../platform/failure.ts'
import { withSystemErrors } from '../platform/system-error.ts'
import type { LocalCluster, StartLocalClusterOptions } from './api.ts'
import { ClusterNode } from './cluster-node.ts'
import { type ClusterShape, completeShape, nodePort } from './cluster-shape.ts'
import { type DevData, nodeDirectory, openDevData } from './dev-data.ts'
import { hurryElections } from './first-leaders.ts'
import type { HostSettings } from './node-host.ts'
import {
  abortedError,
  fatalReporter,
  hostSettings,
  isWithin,
  LOCAL_TIMINGS,
  orThrow,
  unknownOption,
} from './options.ts'
import { RunningCluster } from './running-cluster.ts'

const DEFAULTS = { timings: LOCAL_TIMINGS, segmentBytes: null, logger: 'silent' } as const
const KNOWN_OPTIONS: readonly (keyof StartLocalClusterOptions)[] = [
  'nodes',
  'groups',
  'replicas',
  'slots',
  'data',
  'host',
  'port',
  'readyTimeoutMs',
]
const READY_WITHIN_MS = 30_000
const TEMPORARY_PREFIX = 'quorate-'

/**
 * Starts a cluster in this process. Resolves once every group has a leader and every node serves requests. Rejects with a
 * {@link QuorateError}; then nothing of the cluster is left running, locked or on disk.
 */
export async function startLocalCluster(options: StartLocalClusterOptions = {}): Promise<LocalCluster> {
  const problem = unknownOption(options, KNOWN_OPTIONS)
  if (problem !== null) return orThrow(problem)
  const { signal, readyTimeoutMs = READY_WITHIN_MS } = options
  const shape = orThrow(givenShape(options))
  // Of a node's failure while it starts the promise tells.
  let reports = false
  const settingsOf = (nodeId: number): HostSettings => {
    const report = fatalReporter(options, nodeId)
    return orThrow(hostSettings(options, DEFAULTS, (error) => reports && report(error)))
  }
  settingsOf(0)
  if (signal?.aborted) throw abortedError(signal)

  const temporary = options.data === undefined
  const root = options.data === undefined ? orThrow(makeTemporary()) : resolve(options.data)
  const ports = shape.port === undefined ? 'free' : 'recorded'
  const opened = await openDevData(root, shape, ports)
  if (!opened.ok && temporary) rmSync(root, { recursive: true, force: true })
  const data = orThrow(opened)
  const nodes = data.identities.map(
    ({ nodeId }) => new ClusterNode(nodeId, nodeDirectory(root, nodeId), settingsOf(nodeId)),
  )
  const cluster = new RunningCluster(data, nodes, temporary)
  const abort = (): void => void cluster.kill()
  signal?.addEventListener('abort', abort)
  try {
    if (signal?.aborted) throw abortedError(signal)
    await startNodes(data, nodes, shape.port === undefined)
    const hurried = hurryElections(nodes.map((node) => node.host))
    await cluster.ready(readyTimeoutMs).finally(hurried)
    if (signal?.aborted) throw abortedError(signal)
    reports = true
    return cluster
  } catch (error) {
    await cluster.kill()
    throw signal?.aborted ? abortedError(signal) : error
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

/** What the caller has settled; without a port the nodes take free ones. */
function givenShape(options: StartLocalClusterOptions): Outcome<Partial<ClusterShape>> {
  const { nodes, groups, replicas, slots, host, port, data, readyTimeoutMs } = options
  if (data !== undefined && (typeof data !== 'string' || data === '')) {
    return fail(
      'usage',
      `--data ${String(data)} is no directory`,
      'give a path, or leave it out for a temporary directory',
    )
  }
  if (readyTimeoutMs !== undefined && !isWithin(readyTimeoutMs, 1, 2 ** 31 - 1)) {
    return fail('usage', `readyTimeoutMs is ${String(readyTimeoutMs)}`, 'give milliseconds: a whole number from 1 on')
  }
  const shape = { nodes, groups, replicas, slotCount: slots, host, port: port === 0 ? undefined : port }
  const complete = completeShape(shape)
  return complete.ok ? succeed(shape) : complete
}

function makeTemporary(): Outcome<string> {
  return withSystemErrors(tmpdir(), () => succeed(mkdtempSync(join(tmpdir(), TEMPORARY_PREFIX))))
}

/** All ports first: a node is told the others' addresses when it starts. */
async function startNodes(
  { shape, identities }: DevData,
  nodes: readonly ClusterNode[],
  freePorts: boolean,
): Promise<void> {
  const reserved = await Promise.all(
    nodes.map((node) => node.reserve(shape.host, freePorts ? null : nodePort(shape, node.id))),
  )
  const ports = reserved.map(orThrow)
  // One that has been away may know fewer of them.
  const recorded = new Map(identities.flatMap((identity) => identity.nodes).map((node) => [node.nodeId, node]))
  const addresses = new Map(nodes.map(({ id }, position) => [id, ports[position]]))
  const known = [...recorded.values()].map((node) => ({ ...node, ...addresses.get(node.nodeId) }))
  const starts = nodes.map((node, position) => node.startAt({ ...ports[position], nodes: known }))
  // All of them to their end, so that none goes on starting behind a failure's back.
  for (const start of await Promise.allSettled(starts)) if (start.status === 'rejected') throw start.reason
}
