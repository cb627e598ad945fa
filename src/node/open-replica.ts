/** Opens one replica: its directory, its base file with the state machine over it, and the consensus core as the log left it. */
import { asNodeId, asReplicaId, type GroupId, type ReplicaId } from '../base/brand.ts'
import { DecodeError } from '../base/bytes.ts'
import type { KeyEventSink } from '../kv/key-events.ts'
import { KvStateMachine } from '../kv/kv-state-machine.ts'
import { MASTERS_GROUP } from '../master/tree-layout.ts'
import type { NodeLog, RecoveredGroup } from '../ports/log.ts'
import type { StateMachine } from '../ports/state-machine.ts'
import type { Membership } from '../protocol/membership.ts'
import { NO_MUTATIONS } from '../raft/mutations.ts'
import { RaftCore } from '../raft/raft-core.ts'
import type { RaftConfig } from '../raft/ready.ts'
import { RaftReplica, type ReplicaHost, type ReplicaState } from '../replication/raft/raft-replica.ts'
import { ReplicaStore, type SlabPool } from '../store/store.ts'
import { MAX_KEY_BYTES_MAX, maxEntryBytesOf } from './check-limits.ts'
import { hexBytes } from './hex-bytes.ts'
import type { GroupGenesisConfig, NodeConfig, NodeError, NodePorts, NodeTimings } from './node-config.ts'
import { recoverReplica } from './recover-replica.ts'

const ELECTION_TICKS_FLOOR = 2
/** Applied without a pause: a few milliseconds' worth of small entries. */
const APPLY_BYTES_MAX = 512 * 1024

export interface ReplicaOpening {
  readonly ports: NodePorts
  readonly config: NodeConfig
  /** One for all stores of the node. */
  readonly slabs: SlabPool
  readonly log: NodeLog
  genesisOf(group: GroupId): GroupGenesisConfig | undefined
  keyEventsOf(group: GroupId): KeyEventSink
  /** Of the masters' group. */
  mastersMachine(): StateMachine
  hostOf(group: GroupId, replicaId: ReplicaId): ReplicaHost
}

/** A replica id is never used again, so neither is its directory. */
export function replicaPath(config: NodeConfig, group: GroupId, replicaId: ReplicaId): string {
  return `${config.dataDirectory}/group-${group}-replica-${replicaId}`
}

export function openReplica(
  opening: ReplicaOpening,
  recovered: RecoveredGroup,
  done: (error: NodeError | null, replica: RaftReplica | null) => void,
): void {
  const { ports, config } = opening
  const { group, replicaId, baseDirectory } = recovered
  ports.disk.makeDirectory(replicaPath(config, group, replicaId), (error) => {
    if (error !== null) return done(unopened(error.message), null)
    openState(opening, group, replicaId, baseDirectory, (failure, state) => {
      if (state === null) return done(failure ?? unopened(`group ${group}: its base file does not open`), null)
      makeReplica(opening, recovered, state, done)
    })
  })
}

function makeReplica(
  opening: ReplicaOpening,
  recovered: RecoveredGroup,
  state: ReplicaState,
  done: (error: NodeError | null, replica: RaftReplica | null) => void,
): void {
  const { ports, config, log } = opening
  const { group, replicaId, baseDirectory } = recovered
  const maxPending = config.limits.maxUnansweredRequests * 2
  const genesisMembership = membershipOf(opening.genesisOf(group))
  const restored = recoverReplica(recovered, state.store.meta, genesisMembership)
  if (restored.kind === 'corrupt') return state.store.close(() => done(corrupt(restored.message), null))
  if (restored.compactTo !== null) log.append({ group, compaction: restored.compactTo })
  const mutations = { ...NO_MUTATIONS, ...config.mutations?.raft }
  const core = new RaftCore(group, raftConfigOf(config, group, replicaId), restored.state, ports.random, mutations)
  const options = {
    group,
    replicaId,
    path: replicaPath(config, group, replicaId),
    baseDirectory,
    genesisMembership,
    limits: config.limits.compaction,
    maxPendingProposals: maxPending,
    maxPendingReads: maxPending,
  }
  done(null, new RaftReplica(options, opening.hostOf(group, replicaId), core, state))
}

/** The base file of that directory, and the state machine as its last checkpoint left it. */
export function openState(
  opening: ReplicaOpening,
  group: GroupId,
  replicaId: ReplicaId,
  directory: number,
  done: (error: NodeError | null, state: ReplicaState | null) => void,
): void {
  const { ports, config, slabs } = opening
  const path = replicaPath(config, group, replicaId)
  // Not the door's own limit: the log may hold longer keys, from a time when it was higher.
  const options = { hashKey: hexBytes(config.hashKey), group, slabs, maxKeyBytes: MAX_KEY_BYTES_MAX }
  ReplicaStore.open(ports.baseFiles, path, directory, options, (error, store) => {
    if (error !== null || store === null) {
      const message = `${path}: ${error?.message ?? 'the base file does not open'}`
      // The log names this directory: without it, what it held is gone.
      const gone = error?.code === 'corrupt' || (error?.code === 'not-found' && directory > 0)
      return done(gone ? corrupt(message) : unopened(message), null)
    }
    const machine = group === MASTERS_GROUP ? opening.mastersMachine() : dataMachine(opening, group, store)
    try {
      machine.restore(store.meta?.state ?? null)
    } catch (failure) {
      if (!(failure instanceof DecodeError)) throw failure
      const message = `group ${group}: the checkpoint's state does not decode: ${failure.message}`
      return store.close(() => done(corrupt(message), null))
    }
    done(null, { store, machine })
  })
}

function dataMachine(opening: ReplicaOpening, group: GroupId, store: ReplicaStore): KvStateMachine {
  const { config, ports } = opening
  return new KvStateMachine(store, {
    slotCount: config.slotCount,
    ownedSlots: opening.genesisOf(group)?.slots ?? [],
    maxKeyBytes: config.limits.maxKeyBytes,
    maxValueBytes: config.limits.maxValueBytes,
    events: opening.keyEventsOf(group),
    mutations: config.mutations?.expiryByLocalClock
      ? { ...config.mutations.kv, expiryByLocalClock: () => ports.clock.wallMs() }
      : config.mutations?.kv,
  })
}

/** Of every group on the node. */
export function heartbeatAndElectionTicks({ timings }: NodeConfig): {
  heartbeatTicks: number
  electionTicksMin: number
} {
  const heartbeatTicks = ticksOf(timings, timings.heartbeatMs)
  const electionTicksMin = Math.max(ELECTION_TICKS_FLOOR, heartbeatTicks + 1, ticksOf(timings, timings.electionMsMin))
  return { heartbeatTicks, electionTicksMin }
}

function ticksOf({ tickMs }: NodeTimings, ms: number): number {
  return Math.max(1, Math.round(ms / tickMs))
}

/** The masters' group never rests: the holders of sessions rely on its leader's knowing soon that it is cut off. */
function restAfterTicksOf({ timings }: NodeConfig, group: GroupId): number {
  const { restAfterMs = 0 } = timings
  return group === MASTERS_GROUP || restAfterMs === 0 ? 0 : ticksOf(timings, restAfterMs)
}

function raftConfigOf(config: NodeConfig, group: GroupId, replicaId: ReplicaId): RaftConfig {
  const { timings, limits } = config
  const { heartbeatTicks, electionTicksMin } = heartbeatAndElectionTicks(config)
  return {
    replicaId,
    heartbeatTicks,
    electionTicksMin,
    electionTicksMax: Math.max(electionTicksMin + 1, ticksOf(timings, timings.electionMsMax)),
    restAfterTicks: restAfterTicksOf(config, group),
    maxInflightMessages: 256,
    maxInflightBytes: limits.maxInflightBytes,
    maxMessageBytes: limits.maxMessageBytes,
    maxEntryBytes: maxEntryBytesOf(limits),
    maxUncommittedBytes: limits.maxUncommittedBytes,
    maxApplyBytes: APPLY_BYTES_MAX,
    maxPendingReads: 10_000,
  }
}

function membershipOf(genesis: GroupGenesisConfig | undefined): Membership {
  const members = (genesis?.replicas ?? []).map((replica) => ({
    replicaId: asReplicaId(replica.replicaId),
    nodeId: asNodeId(replica.nodeId),
    role: 'voter' as const,
  }))
  return { members: members.sort((a, b) => a.replicaId - b.replicaId) }
}

function corrupt(message: string): NodeError {
  return { code: 'corrupt', message, mend: 'take this replica out and let it join again as a new one' }
}

/** Nothing says that its data is gone. */
function unopened(message: string): NodeError {
  return { code: 'data-directory', message, mend: 'check the disk and the permissions' }
}
