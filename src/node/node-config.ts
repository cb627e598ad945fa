/** What a node is told at its start. The entry points read it from the data directory; the simulator makes it. */

import type { KvMutations } from '../kv/mutations.ts'
import type { MasterMutations } from '../master/mutations.ts'
import type { EmbeddedMutations } from '../metadata/embedded/mutations.ts'
import type { MigrationMutations } from '../migration/migration-driver.ts'
import type { BaseFileStore } from '../ports/base-file.ts'
import type { Clock } from '../ports/clock.ts'
import type { NodeRole } from '../ports/cluster-view.ts'
import type { Disk } from '../ports/disk.ts'
import type { Logger } from '../ports/logger.ts'
import type { Network } from '../ports/network.ts'
import type { ProcessUsage } from '../ports/process-usage.ts'
import type { Random } from '../ports/random.ts'
import type { RaftMutations } from '../raft/mutations.ts'
import { type CompactionLimits, DEFAULT_COMPACTION_LIMITS } from '../replication/raft/compaction-policy.ts'
import type { WalMutations } from '../wal/mutations.ts'

/** How a group began. Later its own log knows who belongs to it and what it owns. */
export interface GroupGenesisConfig {
  /** 0: the masters' own group, which owns no slots. */
  readonly groupId: number
  readonly replicas: ReadonlyArray<{ readonly replicaId: number; readonly nodeId: number }>
  /** First and last slot of each range, both included. */
  readonly slots: ReadonlyArray<readonly [number, number]>
  readonly weight: number
  /** The record of this node's own replica stands in the log: without it there the disk was wiped. False where it has none. */
  readonly made: boolean
  /** Of this node's own replica, where it came after the cluster's beginning: its id is not of `replicas`, or this node came to it later. */
  readonly ownReplica?: number
  /** It is on its way out. */
  readonly going?: true
}

export interface KnownNode {
  readonly nodeId: number
  /** host:port each: for other nodes; the first RESP port; the one with Redis Cluster's semantics. */
  readonly peer: string
  readonly resp: string
  readonly cluster: string
  readonly roles: readonly NodeRole[]
}

/** Whom this node takes for the masters. */
export interface MastersPlace {
  /** The highest cluster epoch that this node has heard of (master/cluster-epoch.ts): masters of a lower one are over for good. */
  readonly epoch: number
  /** The nodes that had a replica of the masters' group when this one last heard of them. */
  readonly nodes: readonly number[]
}

/** What of a node's identity changes while it runs. */
export interface IdentityChange {
  readonly masters?: MastersPlace
  readonly nodes?: readonly KnownNode[]
  readonly groups?: readonly GroupGenesisConfig[]
}

export interface NodeTimings {
  readonly tickMs: number
  readonly heartbeatMs: number
  readonly electionMsMin: number
  readonly electionMsMax: number
  /** A data group in which nothing happened for so long rests; 0 or absent: never. */
  readonly restAfterMs?: number
  readonly requestDeadlineMs: number
  /** How often a leader looks for expired keys and dead generations to remove. */
  readonly housekeepingMs: number
  /** After so long without a word from its holder a session with the masters' tree may end: an active master that dies is followed by the next. */
  readonly masterSessionMs: number
}

export const DEFAULT_TIMINGS: NodeTimings = {
  tickMs: 20,
  heartbeatMs: 100,
  electionMsMin: 600,
  electionMsMax: 1_200,
  requestDeadlineMs: 5_000,
  housekeepingMs: 100,
  masterSessionMs: 4_000,
}

export interface NodeLimits {
  readonly maxKeyBytes: number
  readonly maxValueBytes: number
  readonly maxClients: number
  /** Requests that wait on this node, over all its doors and groups. */
  readonly maxUnansweredRequests: number
  /** Their commands' bytes, of the requests that came in at this node. */
  readonly maxUnansweredBytes: number
  readonly maxUncommittedBytes: number
  /** Payload bytes of one append message, and of all that are under way to one follower. */
  readonly maxMessageBytes: number
  readonly maxInflightBytes: number
  readonly segmentBytes: number
  /** One write to the log; a single larger record goes alone. */
  readonly logBatchBytes: number
  readonly compaction: CompactionLimits
  /** What each move takes at most into a group that this node leads; 0: no limit. */
  readonly migrationBytesPerSecond: number
}

export const DEFAULT_LIMITS: NodeLimits = {
  maxKeyBytes: 1024,
  maxValueBytes: 8 * 1024 * 1024,
  maxClients: 10_000,
  maxUnansweredRequests: 100_000,
  maxUnansweredBytes: 256 * 1024 * 1024,
  maxUncommittedBytes: 64 * 1024 * 1024,
  maxMessageBytes: 1024 * 1024,
  maxInflightBytes: 8 * 1024 * 1024,
  segmentBytes: 64 * 1024 * 1024,
  logBatchBytes: 1024 * 1024,
  compaction: DEFAULT_COMPACTION_LIMITS,
  migrationBytesPerSecond: 0,
}

export interface NodeConfig {
  readonly dataDirectory: string
  readonly host: string
  readonly nodeId: number
  /** 32 hex digits. */
  readonly clusterId: string
  readonly slotCount: number
  readonly respAddress: string
  readonly clusterAddress: string
  readonly peerAddress: string
  readonly roles: readonly NodeRole[]
  /** 32 hex digits that every node of the cluster holds: nodes show it to each other, and who joins shows it as its token. */
  readonly secret: string
  /** All that were known when this node last ran, this one among them. */
  readonly nodes: readonly KnownNode[]
  readonly groups: readonly GroupGenesisConfig[]
  /** Absent: as the masters' group began, in epoch 0. */
  readonly masters?: MastersPlace
  /** 16 hex digits: the key of the hash that orders keys within a slot. */
  readonly hashKey: string
  /** Counts the node's starts; durable before the start. */
  readonly incarnation: number
  readonly timings: NodeTimings
  readonly limits: NodeLimits
  readonly mutations?: NodeMutations
}

/** Known bugs that the simulator puts back in. Never set in production. */
export interface NodeMutations {
  readonly raft?: Partial<RaftMutations>
  readonly wal?: WalMutations
  readonly kv?: KvMutations
  readonly migration?: MigrationMutations
  readonly master?: MasterMutations
  readonly metadata?: Partial<EmbeddedMutations>
  /** The state machine reads the wall clock of its node. */
  readonly expiryByLocalClock?: boolean
}

export interface NodePorts {
  readonly clock: Clock
  readonly disk: Disk
  readonly network: Network
  readonly baseFiles: BaseFileStore
  readonly random: Random
  readonly logger: Logger
  readonly usage: ProcessUsage
  /** Replaces these parts of the node's identity, durably; in the order of the calls. */
  saveIdentity(change: IdentityChange, done: (error: string | null) => void): void
  /** A broken promise of the disk or of the code: the process must end. Called once. */
  onFatal(message: string): void
}

/** What a start can fail with, for people. */
export interface NodeError {
  readonly code: string
  readonly message: string
  readonly mend: string
}
