/** What a replica is given by its node, and what it hands back: the seam between replication and the host of many groups. */
import type { GroupId, NodeId, ReplicaId } from '../../base/brand.ts'
import type { BaseFileStore } from '../../ports/base-file.ts'
import type { Clock } from '../../ports/clock.ts'
import type { NodeLog } from '../../ports/log.ts'
import type { Logger } from '../../ports/logger.ts'
import type { StateMachine } from '../../ports/state-machine.ts'
import type { Membership } from '../../protocol/membership.ts'
import type { RaftMessage } from '../../protocol/raft-message.ts'
import type { RaftStatus } from '../../raft/ready.ts'
import type { ReplicaStore } from '../../store/store.ts'
import type { CompactionLimits } from './compaction-policy.ts'
import type { RaftReplica } from './raft-replica.ts'

export interface ReplicaState {
  readonly store: ReplicaStore
  readonly machine: StateMachine
}

/** What the node gives to each of its replicas. */
export interface ReplicaHost {
  readonly clock: Clock
  readonly logger: Logger
  readonly log: NodeLog
  readonly baseFiles: BaseFileStore
  /** The consensus lane; lost where the peer is away: Raft repeats. */
  sendConsensus(to: NodeId, message: RaftMessage): void
  /** The images lane; false: refused now, `onImagesWritable` follows. */
  sendImage(to: NodeId, bytes: Uint8Array): boolean
  /** Asks for a turn. */
  wake(replica: RaftReplica): void
  statusChanged(replica: RaftReplica, status: RaftStatus): void
  /** How long the leader's node has been silent, of a follower at rest; absent: groups never rest. */
  silentTicks?(replica: RaftReplica): number
  /** Entries were applied while it leads. */
  applied?(replica: RaftReplica): void
  /** The leader's clock for entries, clamped to its quorum's clocks; 0: it must not stamp ahead. */
  stampMs(membership: Membership): number
  openState(group: GroupId, directory: number, done: (error: string | null, state: ReplicaState | null) => void): void
  /** False once the disk holds only what is kept for hard state and deletes: writes that grow are refused. */
  acceptsGrowth(): boolean
  /** Ends the process: going on would risk acknowledged data. */
  fatal(message: string): void
}

export interface ReplicaOptions {
  readonly group: GroupId
  readonly replicaId: ReplicaId
  /** Where this replica's numbered base directories are. */
  readonly path: string
  readonly baseDirectory: number
  readonly genesisMembership: Membership
  readonly limits: CompactionLimits
  readonly maxPendingProposals: number
  readonly maxPendingReads: number
}

/** A Ready that waits for the disk, in the order in which they were taken. */
export interface UnsyncedReady {
  readonly replica: RaftReplica
  readonly number: number
  readonly messages: readonly RaftMessage[]
  readonly switchTo: number | null
}
