/**
 * The first thing that a node does: opens its log, and makes its genesis replicas where the log does not know them. A genesis voter's record is
 * durable before it may vote; then, once, the genesis is marked as made, so that an empty log afterwards means a wiped disk.
 */
import { asGroupId, asLogIndex, asReplicaId, asTerm, type GroupId, type ReplicaId } from '../base/brand.ts'
import type { LiveEntries, RecoveredGroup } from '../ports/log.ts'
import { openWriteAheadLog, WAL_DEFAULTS, type WriteAheadLog } from '../wal/write-ahead-log.ts'
import type { NodeConfig, NodeError, NodePorts } from './node-config.ts'

export type OpenNodeLogResult =
  | { readonly kind: 'opened'; readonly log: WriteAheadLog; readonly groups: readonly RecoveredGroup[] }
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

function makeGenesis(
  ports: NodePorts,
  config: NodeConfig,
  log: WriteAheadLog,
  recovered: readonly RecoveredGroup[],
  done: (result: OpenNodeLogResult) => void,
): void {
  const known = new Set(recovered.map((group) => group.group))
  const missing: RecoveredGroup[] = []
  for (const genesis of config.groups) {
    const own = genesis.replicas.find((replica) => replica.nodeId === config.nodeId)
    const group = asGroupId(genesis.groupId)
    if (own !== undefined && !known.has(group)) missing.push(newReplica(group, asReplicaId(own.replicaId)))
  }
  if (config.genesis === 'made') {
    if (missing.length === 0) return done({ kind: 'opened', log, groups: recovered })
    const message = `${config.dataDirectory} has lost the log of group ${missing[0].group}, in which this node has voted`
    const mend = 'a wiped replica must not vote again: replace this node by a new one with a new id'
    return done({ kind: 'failed', log, error: { code: 'wiped', message, mend } })
  }
  for (const { group, replicaId, hardState } of missing) log.append({ group, replicaId, hardState })
  log.flush(() => {
    ports.markGenesisMade((error) => {
      if (error === null) return done({ kind: 'opened', log, groups: [...recovered, ...missing] })
      const mend = 'check that the directory can be written'
      done({ kind: 'failed', log, error: { code: 'data-directory', message: error, mend } })
    })
  })
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
