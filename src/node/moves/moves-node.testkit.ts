/** What the world of moves (moves-world.testkit.ts) is made of: its nodes, and what it begins with. */
import { assert } from '../../base/assert.ts'
import { asLogIndex, asNodeId, asReplicaId, asTerm, type GroupId, type NodeId } from '../../base/brand.ts'
import { KvStateMachine } from '../../kv/kv-state-machine.ts'
import type { RecoveredGroup } from '../../ports/log.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'
import type { WriteGate } from '../../replication/raft/write-gate.ts'
import type { Scheduler } from '../../simulation/scheduler.ts'
import { SimBaseFileStore } from '../../simulation/sim-base-file.ts'
import { SimClock } from '../../simulation/sim-clock.ts'
import { SimDisk } from '../../simulation/sim-disk.ts'
import type { WriteAheadLog } from '../../wal/write-ahead-log.ts'
import type { PeerCalls } from '../calls/peer-calls.ts'
import type { Engine } from '../engine.ts'
import type { GroupMoves } from './group-moves.ts'

export const SLOTS = 16

/** One of the three with replicas, or the master's. */
export class MovesNode {
  readonly nodeId: NodeId
  clock: SimClock
  readonly disk: SimDisk
  readonly files: SimBaseFileStore
  readonly replicas = new Map<GroupId, RaftReplica>()
  moves: GroupMoves | null = null
  calls: PeerCalls | null = null
  engine: Engine | null = null
  acceptsGrowth = true

  constructor(id: number, scheduler: Scheduler) {
    this.nodeId = asNodeId(id)
    this.clock = new SimClock(scheduler, { label: `n${id}`, timerLatenessMaxMs: 0.2 })
    this.disk = new SimDisk(scheduler, scheduler.random.fork())
    this.files = new SimBaseFileStore(scheduler, { commitMsMin: 1, commitMsMax: 5 })
  }

  get isUp(): boolean {
    return this.engine !== null
  }
}

export function kvOf(replica: RaftReplica): KvStateMachine {
  assert(replica.machine instanceof KvStateMachine, 'a data group')
  return replica.machine
}

/** Counts what the gates of replicas do. */
export class WatchedGates {
  /** Replies that waited for the destination, and writes that waited before they were proposed. */
  held = 0
  parked = 0
  /** Replicas whose writes have a gate to pass. */
  readonly gated = new Set<RaftReplica>()
  readonly #watched = new WeakMap<WriteGate, WriteGate>()

  watch(replica: RaftReplica): RaftReplica {
    const setWriteGate = replica.setWriteGate.bind(replica)
    replica.setWriteGate = (gate) => {
      if (gate === null) this.gated.delete(replica)
      else this.gated.add(replica)
      setWriteGate(gate === null ? null : this.#of(gate))
    }
    return replica
  }

  #of(gate: WriteGate): WriteGate {
    const known = this.#watched.get(gate)
    if (known !== undefined) return known
    const watched: WriteGate = {
      admits: (slot, bytes) => gate.admits(slot, bytes),
      parked: (slot, bytes, ordinal) => {
        this.parked++
        gate.parked(slot, bytes, ordinal)
      },
      holdsReply: (slot, index, bytes) => {
        const holds = gate.holdsReply(slot, index, bytes)
        if (holds) this.held++
        return holds
      },
    }
    this.#watched.set(gate, watched)
    return watched
  }
}

export function genesis(node: MovesNode, group: GroupId, log: WriteAheadLog): RecoveredGroup {
  const replicaId = asReplicaId(node.nodeId)
  const hardState = { term: asTerm(0), votedFor: asReplicaId(0), commit: asLogIndex(0) }
  log.append({ group, replicaId, hardState })
  return {
    group,
    replicaId,
    hardState,
    compaction: { index: asLogIndex(0), term: asTerm(0) },
    baseDirectory: 0,
    entries: [],
  }
}

export const RAFT = {
  heartbeatTicks: 3,
  electionTicksMin: 10,
  electionTicksMax: 20,
  maxInflightMessages: 64,
  maxInflightBytes: 1 << 20,
  maxMessageBytes: 64 * 1024,
  maxEntryBytes: 32 * 1024,
  maxUncommittedBytes: 1 << 20,
  maxApplyBytes: 64 * 1024,
  maxPendingReads: 1_000,
}
