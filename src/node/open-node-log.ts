/**
 * The first thing that a node does: opens its log, and makes its genesis replicas where the log does not know them. A genesis voter's record is
 * durable before it may vote; then its group is marked as made, so that an empty log afterwards means a wiped disk.
 */
import {
  asGroupId,
  asLogIndex,
  asNodeId,
  asReplicaId,
  asTerm,
  type GroupId,
  type NodeId,
  type ReplicaId,
} from '../base/brand.ts'
import { epochOfReplica } from '../master/cluster-epoch.ts'
import { MASTERS_GROUP } from '../master/tree-layout.ts'
import type { LiveEntries, RecoveredGroup } from '../ports/log.ts'
import { openWriteAheadLog, WAL_DEFAULTS, type WriteAheadLog } from '../wal/write-ahead-log.ts'
import type { GroupGenesisConfig, MastersPlace, NodeConfig, NodeError, NodePorts } from './node-config.ts'
import { replicaPath } from './open-replica.ts'

export type OpenNodeLogResult =
  | {
      readonly kind: 'opened'
      readonly log: WriteAheadLog
      readonly groups: readonly RecoveredGroup[]
      /** As the identity has it now. */
      readonly genesis: readonly GroupGenesisConfig[]
      readonly masters: MastersPlace
    }
  /** `log` is open where only the genesis failed. */
  | { readonly kind: 'failed'; readonly log: WriteAheadLog | null; readonly error: NodeError }

/** `done` comes once; not at all where the log dies during the genesis: `onFatal` says so. */
export function openNodeLog(
  ports: NodePorts,
  config: NodeConfig,
  liveEntries: LiveEntries,
  onFatal: (message: string) => void,
  done: (result: OpenNodeLogResult) => void,
): void {
  const options = {
    directory: `${config.dataDirectory}/wal`,
    ...WAL_DEFAULTS,
    segmentBytes: config.limits.segmentBytes,
    logId: ports.random.u32(),
    mutations: config.mutations?.wal,
  }
  openWriteAheadLog(ports.disk, ports.clock, ports.logger, options, liveEntries, onFatal, (result) => {
    if (result.kind !== 'opened')
      return done({ kind: 'failed', log: null, error: openError(result, config.dataDirectory) })
    makeGenesis(ports, config, result.log, result.groups, done)
  })
}

/** Genesis replicas whose record is not in the log yet, and never was: their records are durable before the identity says that they are made. */
function makeGenesis(
  ports: NodePorts,
  config: NodeConfig,
  log: WriteAheadLog,
  recovered: readonly RecoveredGroup[],
  done: (result: OpenNodeLogResult) => void,
): void {
  const { masters, groups: begun, over } = mastersOf(config, recovered)
  if (over !== null) forget(ports, config, log, over)
  const kept = recovered.filter((group) => group !== over)
  const sorted = sortOut(config, begun, kept)
  if (sorted.error !== null) return done({ kind: 'failed', log, error: sorted.error })
  const { stays, goes, missing } = sorted
  for (const one of goes) forget(ports, config, log, one)
  for (const { group, replicaId, hardState } of missing) log.append({ group, replicaId, hardState })
  const all = [...kept.filter((one) => !goes.includes(one)), ...missing]
  const has = new Set<number>(all.map(({ group }) => group))
  const groups = stays.map((genesis) => ({ ...genesis, made: has.has(genesis.groupId) }))
  const opened = { kind: 'opened', log, groups: all, genesis: groups, masters } as const
  const isSame =
    begun === config.groups &&
    goes.length === 0 &&
    groups.length === begun.length &&
    groups.every(({ made }, i) => made === config.groups[i].made)
  if (isSame && over === null) return done(opened)
  const change = masters.epoch === 0 && config.masters === undefined ? { groups } : { groups, masters }
  log.flush(() => {
    ports.saveIdentity(change, (error) => {
      if (error === null) return done(opened)
      const mend = 'check that the directory can be written'
      done({ kind: 'failed', log, error: { code: 'data-directory', message: error, mend } })
    })
  })
}

interface Sorted {
  readonly error: NodeError | null
  readonly stays: readonly GroupGenesisConfig[]
  /** In the log, and to be forgotten. */
  readonly goes: readonly RecoveredGroup[]
  /** First members whose record was never made. */
  readonly missing: readonly RecoveredGroup[]
}

/** What the identity and the log say together, entry by entry. */
function sortOut(config: NodeConfig, begun: readonly GroupGenesisConfig[], kept: readonly RecoveredGroup[]): Sorted {
  const logged = new Map(kept.map((one) => [Number(one.group), one]))
  const stays: GroupGenesisConfig[] = []
  const goes: RecoveredGroup[] = []
  const missing: RecoveredGroup[] = []
  let error: NodeError | null = null
  for (const genesis of begun) {
    const { groupId, made, going, ownReplica, replicas } = genesis
    const here = logged.get(groupId)
    logged.delete(groupId)
    // One that was coming has never taken part: the masters' tree says anew what this node is to have, and under which id.
    if (going === true || (ownReplica !== undefined && !made)) {
      if (here !== undefined) goes.push(here)
      continue
    }
    stays.push(genesis)
    if (here !== undefined) continue
    if (made) error ??= wiped(config, asGroupId(groupId))
    const own = replicas.find(({ nodeId }) => nodeId === config.nodeId)
    if (own !== undefined) missing.push(newReplica(asGroupId(groupId), asReplicaId(own.replicaId)))
  }
  for (const group of logged.keys()) error ??= unplaced(config, asGroupId(group))
  return { error, stays, goes, missing }
}

interface MastersHere {
  readonly masters: MastersPlace
  /** How groups began: without the masters' own where what the identity says of that is over. */
  readonly groups: readonly GroupGenesisConfig[]
  /** This node's replica of old masters. */
  readonly over: RecoveredGroup | null
}

/**
 * Who the masters are, by the identity and by the log together (recovery/): the higher cluster epoch is right. A replica of the masters' group that is of a lower one is
 * over, and so is what the identity says of how that group began. A log with a higher one than the identity has this node's own beginning of it: the identity was to follow.
 */
function mastersOf(config: NodeConfig, recovered: readonly RecoveredGroup[]): MastersHere {
  const own = recovered.find(({ group }) => group === MASTERS_GROUP)
  const began = config.groups.find(({ groupId }) => groupId === MASTERS_GROUP)
  const masters = mastersPlaceOf(config)
  const others = config.groups.filter(({ groupId }) => groupId !== MASTERS_GROUP)
  const inLog = own === undefined ? masters.epoch : epochOfReplica(own.replicaId)
  if (own !== undefined && inLog > masters.epoch) {
    // The tree stands in the same write as the record, unless that was too large for one: without it nothing has begun.
    if (own.entries.length === 0 && own.compaction.index === 0) return { masters, groups: others, over: own }
    const alone = aloneGenesis(own.group, own.replicaId, asNodeId(config.nodeId))
    return { masters: { epoch: inLog, nodes: [config.nodeId] }, groups: [...others, alone], over: null }
  }
  const groups = began !== undefined && epochOf(began) < masters.epoch ? others : config.groups
  return { masters, groups, over: own !== undefined && inLog < masters.epoch ? own : null }
}

/** As the identity has it. */
function mastersPlaceOf({ masters, groups }: NodeConfig): MastersPlace {
  if (masters !== undefined) return masters
  const began = groups.find(({ groupId }) => groupId === MASTERS_GROUP)
  return { epoch: epochOf(began), nodes: began?.replicas.map(({ nodeId }) => nodeId) ?? [] }
}

function epochOf(genesis: GroupGenesisConfig | undefined): number {
  const epochs = genesis?.replicas.map(({ replicaId }) => epochOfReplica(asReplicaId(replicaId))) ?? []
  return Math.max(0, ...epochs)
}

function forget(ports: NodePorts, config: NodeConfig, log: WriteAheadLog, { group, replicaId }: RecoveredGroup): void {
  log.forget(group)
  log.flush(() => {
    ports.disk.removeTree(replicaPath(config, group, replicaId), (error) => {
      if (error !== null) ports.logger.warn('the old replica stays on disk', { group, replicaId, error: error.message })
    })
  })
}

/** A group that begins with this one replica. */
export function aloneGenesis(group: GroupId, replicaId: ReplicaId, nodeId: NodeId): GroupGenesisConfig {
  return { groupId: group, replicas: [{ replicaId, nodeId }], slots: [], weight: 0, made: true }
}

function wiped({ dataDirectory }: NodeConfig, group: GroupId): NodeError {
  const message = `${dataDirectory} has lost the log of group ${group}, in which this node has voted`
  const mend = 'a wiped replica must not vote again: replace this node by a new one (`quorate admin replace`)'
  return { code: 'wiped', message, mend }
}

/** One of the two is an older copy, and which of them nobody can tell: to go on could forget votes and acknowledged writes. */
function unplaced({ dataDirectory }: NodeConfig, group: GroupId): NodeError {
  const message = `${dataDirectory} holds a log of group ${group}, of which its identity.json knows nothing`
  const mend = 'was an older identity.json put there? replace this node by a new one (`quorate admin replace`)'
  return { code: 'corrupt', message, mend }
}

/** A replica that has neither voted nor heard of anything. */
export function newReplica(group: GroupId, replicaId: ReplicaId): RecoveredGroup {
  return {
    group,
    replicaId,
    hardState: { term: asTerm(0), votedFor: asReplicaId(0), commit: asLogIndex(0) },
    compaction: { index: asLogIndex(0), term: asTerm(0) },
    baseDirectory: 0,
    entries: [],
  }
}

function openError(result: { readonly kind: string; readonly message: string }, directory: string): NodeError {
  const message = `${directory}: ${result.message}`
  if (result.kind === 'corrupt') {
    const mend =
      'no replica of this node may serve or vote: replace the node by a new one with a new id and an empty directory'
    return { code: 'corrupt', message, mend }
  }
  if (result.kind === 'newer-format') {
    return { code: 'newer-format', message, mend: 'run the Quorate version that wrote it, or a later one' }
  }
  return { code: 'data-directory', message, mend: 'check the disk and the permissions' }
}
