/** What a node is told at its start. The entry points read it from the data directory; the simulator makes it. */

import type { KvMutations } from '../kv/mutations.ts'
import type { BaseFileStore } from '../ports/base-file.ts'
import type { Clock } from '../ports/clock.ts'
import type { Disk } from '../ports/disk.ts'
import type { Logger } from '../ports/logger.ts'
import type { Network } from '../ports/network.ts'
import type { ProcessUsage } from '../ports/process-usage.ts'
import type { Random } from '../ports/random.ts'
import type { RaftMutations } from '../raft/mutations.ts'
import { type CompactionLimits, DEFAULT_COMPACTION_LIMITS } from '../replication/raft/compaction-policy.ts'
import type { WalMutations } from '../wal/mutations.ts'

export interface GroupGenesisConfig {
  readonly groupId: number
  readonly replicas: ReadonlyArray<{ readonly replicaId: number; readonly nodeId: number }>
  /** First and last slot of each range, both included. */
  readonly slots: ReadonlyArray<readonly [number, number]>
  readonly weight: number
}

export interface NodeTimings {
  readonly tickMs: number
  readonly heartbeatMs: number
  readonly electionMsMin: number
  readonly electionMsMax: number
  readonly requestDeadlineMs: number
  /** How often a leader looks for expired keys and dead generations to remove. */
  readonly housekeepingMs: number
}

export const DEFAULT_TIMINGS: NodeTimings = {
  tickMs: 20,
  heartbeatMs: 100,
  electionMsMin: 600,
  electionMsMax: 1_200,
  requestDeadlineMs: 5_000,
  housekeepingMs: 100,
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
}

export interface NodeConfig {
  readonly dataDirectory: string
  readonly host: string
  readonly nodeId: number
  /** 32 hex digits. */
  readonly clusterId: string
  readonly slotCount: number
  readonly respAddress: string
  readonly peerAddress: string
  /** The other nodes. */
  readonly peers: ReadonlyArray<{ readonly nodeId: number; readonly peerAddress: string }>
  readonly groups: readonly GroupGenesisConfig[]
  /** 16 hex digits: the key of the hash that orders keys within a slot. */
  readonly hashKey: string
  /** Counts the node's starts; durable before the start. */
  readonly incarnation: number
  /** `made`: this node's replica records stand in the log, so an empty log means that the disk was wiped. */
  readonly genesis: 'new' | 'made'
  readonly timings: NodeTimings
  readonly limits: NodeLimits
  readonly mutations?: NodeMutations
}

/** Known bugs that the simulator puts back in. Never set in production. */
export interface NodeMutations {
  readonly raft?: Partial<RaftMutations>
  readonly wal?: WalMutations
  readonly kv?: KvMutations
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
  /** Turns the genesis from `new` to `made`, durably. */
  markGenesisMade(done: (error: string | null) => void): void
  /** A broken promise of the disk or of the code: the process must end. Called once. */
  onFatal(message: string): void
}

/** What a start can fail with, for people. */
export interface NodeError {
  readonly code: string
  readonly message: string
  readonly mend: string
}
