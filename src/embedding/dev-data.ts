/**
 * The data of a local cluster, as `quorate dev` keeps it:
 *
 *   DATA/cluster.json     shape and cluster id; written last, once every node's directory is durable
 *   DATA/node-1/ ...      one data directory a node
 *   DATA/node-1.log ...   what the nodes print
 *
 * Without cluster.json no node can have run, so directories that a crash left half made are made anew. With it, a node's
 * directory that is missing is an error: a wiped voter must never come back as if it were new (it could vote twice).
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createNodeDirectory, readIdentity, writeIdentity } from '../platform/data-directory.ts'
import { type HeldLock, lockDataDirectory } from '../platform/directory-lock.ts'
import { replaceFileDurably } from '../platform/durable-file.ts'
import { fail, type Outcome, succeed } from '../platform/failure.ts'
import type { NodeIdentity } from '../platform/identity.ts'
import { systemErrorCode, withSystemErrors } from '../platform/system-error.ts'
import { allPorts, type ClusterSecrets, type ClusterShape, completeShape, planIdentities } from './cluster-shape.ts'
import { checkPortsFree } from './free-ports.ts'

const CLUSTER_FILE = 'cluster.json'
const CLUSTER_FORMAT = 1
/** What a start that did not get as far as cluster.json may have left. */
const OWN_NAMES = /^(node-\d+(\.log(\.old)?)?|cluster\.json\.new|lock)$/
const ORPHAN_GRACE_MS = 3_000
const LOCK_POLL_MS = 100

interface ClusterFile extends ClusterShape {
  readonly format: number
  readonly clusterId: string
}

export interface DevData {
  readonly root: string
  readonly shape: ClusterShape
  readonly identities: readonly NodeIdentity[]
  /** Held as long as the supervisor runs: two of them on one directory would start every node twice. */
  readonly lock: HeldLock
}

export function nodeDirectory(root: string, nodeId: number): string {
  return join(root, `node-${nodeId}`)
}

/** What the data says of the cluster's shape; null: there is none yet. Changes nothing. */
export function readShape(root: string): Outcome<ClusterFile | null> {
  return withSystemErrors(root, () => {
    if (!existsSync(root)) return succeed(null)
    const names = readdirSync(root)
    if (names.includes(CLUSTER_FILE)) return readClusterFile(join(root, CLUSTER_FILE))
    if (names.every((name) => OWN_NAMES.test(name))) return succeed(null)
    if (names.includes('identity.json')) {
      const mend = 'start it with `quorate node --data DIR`, or give the directory above it'
      return fail('foreign-directory', `${root} is the directory of one node`, mend)
    }
    const message = `${root} holds other files and no Quorate cluster; nothing was touched`
    return fail('foreign-directory', message, 'give an empty directory, or one that `quorate dev` made')
  })
}

function readClusterFile(path: string): Outcome<ClusterFile> {
  const mend = 'restore the file from a copy, or give another --data'
  let value: Partial<ClusterFile> | null
  try {
    value = JSON.parse(readFileSync(path, 'utf8')) as Partial<ClusterFile> | null
  } catch (error) {
    if (systemErrorCode(error) !== null) throw error
    return fail('corrupt-cluster-file', `${path} is not valid JSON`, mend)
  }
  if (typeof value !== 'object' || value === null || typeof value.format !== 'number') {
    return fail('corrupt-cluster-file', `${path} is no cluster file`, mend)
  }
  if (value.format > CLUSTER_FORMAT) {
    const message = `${path} has format ${value.format}, this version knows ${CLUSTER_FORMAT}`
    return fail('newer-format', message, 'run the Quorate version that wrote it, or a later one')
  }
  const numbers = [value.nodes, value.groups, value.replicas, value.slotCount, value.port]
  const texts = [value.host, value.clusterId]
  const complete = numbers.every(Number.isSafeInteger) && texts.every((text) => typeof text === 'string')
  if (!complete || !completeShape(value).ok) return fail('corrupt-cluster-file', `${path} is damaged`, mend)
  return succeed(value as ClusterFile)
}

/** The data's shape with a changed host or port, or a new one; a flag that contradicts the data is a failure. */
export function mergeShape(
  root: string,
  existing: ClusterShape | null,
  given: Partial<ClusterShape>,
): Outcome<ClusterShape> {
  if (existing === null) return completeShape(given)
  const fixed = [
    ['--nodes', existing.nodes, given.nodes],
    ['--groups', existing.groups, given.groups],
    ['--replicas', existing.replicas, given.replicas],
    ['--slots', existing.slotCount, given.slotCount],
  ] as const
  for (const [flag, has, wanted] of fixed) {
    if (wanted === undefined || wanted === has) continue
    const message = `the data in ${root} was made with ${flag} ${has}, not ${wanted}`
    return fail('other-shape', message, `leave out ${flag}, or give another --data`)
  }
  return completeShape({ ...existing, host: given.host ?? existing.host, port: given.port ?? existing.port })
}

/**
 * `recorded`: the nodes listen where the data says, and a change of host or port goes on record. `free`: they listen elsewhere this time,
 * so what is on record is neither asked for nor changed.
 */
export type PortsInUse = 'recorded' | 'free'

/** Opens the data of a cluster, or makes it. On success the lock is held, on failure it is not. */
export async function openDevData(
  root: string,
  given: Partial<ClusterShape>,
  ports: PortsInUse = 'recorded',
): Promise<Outcome<DevData>> {
  const before = readShape(root)
  if (!before.ok) return before
  const wanted = mergeShape(root, before.value, given)
  if (!wanted.ok) return wanted
  const made = withSystemErrors(root, () => succeed(mkdirSync(root, { recursive: true })))
  if (!made.ok) return made
  const lock = await lockDataDirectory(root, 'stop the `quorate dev` that runs on it, or give another --data')
  if (!lock.ok) return lock
  const outcome = await openLocked(root, given, ports, lock.value)
  if (!outcome.ok) await lock.value.release()
  return outcome
}

async function openLocked(
  root: string,
  given: Partial<ClusterShape>,
  ports: PortsInUse,
  lock: HeldLock,
): Promise<Outcome<DevData>> {
  // Read again: before the lock was ours, another supervisor may have made the cluster.
  const file = readShape(root)
  if (!file.ok) return file
  const merged = mergeShape(root, file.value, given)
  if (!merged.ok) return merged
  const shape = merged.value
  const nodeLocks = file.value === null ? succeed([]) : await lockNodes(root, shape.nodes)
  if (!nodeLocks.ok) return nodeLocks
  try {
    const free = ports === 'free' ? succeed(null) : await checkPortsFree(shape.host, allPorts(shape))
    if (!free.ok) return free
    const { value: existing } = file
    const identities = withSystemErrors(root, () =>
      existing === null ? makeCluster(root, shape) : checkCluster(root, existing, shape, ports),
    )
    return identities.ok ? succeed({ root, shape, identities: identities.value, lock }) : identities
  } finally {
    for (const nodeLock of nodeLocks.value) await nodeLock.release()
  }
}

/**
 * No node of this data may be running while its addresses are looked at. Nodes whose supervisor has just been killed
 * end on their own within two seconds: they are waited for.
 */
async function lockNodes(root: string, nodes: number): Promise<Outcome<HeldLock[]>> {
  const mend = 'stop the node that runs there, or give another --data'
  const locks: HeldLock[] = []
  const deadlineMs = performance.now() + ORPHAN_GRACE_MS
  for (let nodeId = 1; nodeId <= nodes; nodeId++) {
    const directory = nodeDirectory(root, nodeId)
    if (!existsSync(directory)) continue
    let lock = await lockDataDirectory(directory, mend)
    while (!lock.ok && lock.failure.code === 'locked' && performance.now() < deadlineMs) {
      await delay(LOCK_POLL_MS)
      lock = await lockDataDirectory(directory, mend)
    }
    if (!lock.ok) {
      for (const held of locks) await held.release()
      return lock
    }
    locks.push(lock.value)
  }
  return succeed(locks)
}

function makeCluster(root: string, shape: ClusterShape): Outcome<NodeIdentity[]> {
  const secrets = newSecrets()
  const identities = planIdentities(shape, secrets)
  for (const name of readdirSync(root)) {
    if (!/^node-\d+$/.test(name)) continue
    const left = readIdentity(join(root, name))
    // A leftover of a crash while the cluster was made has never been started; anything else is somebody's data.
    const unstarted = left.ok ? left.value.incarnation === 0 : left.failure.code === 'no-node'
    if (!unstarted) return leftover(join(root, name))
    rmSync(join(root, name), { recursive: true })
  }
  for (const identity of identities) {
    const made = createNodeDirectory(nodeDirectory(root, identity.nodeId), identity)
    if (!made.ok) return made
  }
  writeClusterFile(root, { format: CLUSTER_FORMAT, ...shape, clusterId: secrets.clusterId })
  return succeed(identities)
}

/** Of a new cluster. */
export function newSecrets(): ClusterSecrets {
  const digits = (bytes: number): string => randomBytes(bytes).toString('hex')
  return { clusterId: digits(16), hashKey: digits(8), secret: digits(16) }
}

function leftover(directory: string): Outcome<never> {
  const message = `${directory} holds a node that has run, but its cluster.json is missing`
  return fail('foreign-directory', message, 'restore cluster.json from a copy, or give another --data')
}

/** Every node's directory is there, of this cluster, and knows the addresses of this start. */
function checkCluster(
  root: string,
  file: ClusterFile,
  shape: ClusterShape,
  ports: PortsInUse,
): Outcome<NodeIdentity[]> {
  const identities: NodeIdentity[] = []
  const secrets = { clusterId: file.clusterId, hashKey: '', secret: '' }
  for (const planned of planIdentities(shape, secrets)) {
    const directory = nodeDirectory(root, planned.nodeId)
    const found = readIdentity(directory)
    if (!found.ok) {
      if (found.failure.code !== 'no-node') return found
      const message = `the data of node ${planned.nodeId} is gone from ${directory}`
      return fail('node-missing', message, 'restore it from a copy, or start over with another --data')
    }
    if (found.value.clusterId !== file.clusterId || found.value.nodeId !== planned.nodeId) {
      const message = `${directory} belongs to another cluster or node`
      return fail('foreign-directory', message, 'put the right directory back, or give another --data')
    }
    // Of the shape only this is fixed: nodes and groups come and go.
    if (found.value.slotCount !== planned.slotCount) {
      const message = `${join(root, CLUSTER_FILE)} and ${directory} do not agree on the number of slots`
      return fail('corrupt-cluster-file', message, 'restore both from one copy, or give another --data')
    }
    identities.push(readdressed(found.value, planned))
  }
  return ports === 'free' ? succeed(identities) : readdress(root, file, shape, identities)
}

/** Knows this start's addresses; nodes that have joined by hand are where they were. */
function readdressed(found: NodeIdentity, { host, port, nodes }: NodeIdentity): NodeIdentity {
  const moved = found.nodes.map((node) => {
    const { peer, resp, cluster } = nodes.find(({ nodeId }) => nodeId === node.nodeId) ?? node
    return { ...node, peer, resp, cluster }
  })
  return { ...found, host, port, nodes: moved }
}

/** Another --host or --port than last time: nobody runs (their locks are held here), so the addresses can change. */
function readdress(
  root: string,
  file: ClusterFile,
  shape: ClusterShape,
  identities: NodeIdentity[],
): Outcome<NodeIdentity[]> {
  if (file.host !== shape.host || file.port !== shape.port) writeClusterFile(root, { ...file, ...shape })
  for (const identity of identities) {
    const directory = nodeDirectory(root, identity.nodeId)
    const current = readIdentity(directory)
    if (!current.ok) return current
    if (JSON.stringify(current.value) === JSON.stringify(identity)) continue
    const written = writeIdentity(directory, identity)
    if (!written.ok) return written
  }
  return succeed(identities)
}

function writeClusterFile(root: string, { format, clusterId, ...shape }: ClusterFile): void {
  replaceFileDurably(join(root, CLUSTER_FILE), `${JSON.stringify({ format, clusterId, ...shape }, null, 2)}\n`)
}
