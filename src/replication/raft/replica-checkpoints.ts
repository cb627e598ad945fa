/**
 * Takes one replica's checkpoints when they are due and then lets the log before them go. A disk without room is
 * asked again later, at a bounded rate; any other failure ends the process, for the state on disk is then unknown.
 */
import { present } from '../../base/assert.ts'
import type { GroupId, LogIndex } from '../../base/brand.ts'
import type { Clock, Timer } from '../../ports/clock.ts'
import type { DiskError } from '../../ports/disk.ts'
import type { CompactionPoint, NodeLog } from '../../ports/log.ts'
import type { Logger } from '../../ports/logger.ts'
import type { RaftCore } from '../../raft/raft-core.ts'
import type { CheckpointMeta, ReplicaStore } from '../../store/store.ts'
import { type CompactionLimits, checkpointDue, compactionTarget } from './compaction-policy.ts'

const RETRY_AFTER_MS_MIN = 1_000
const RETRY_AFTER_MS_MAX = 30_000

export interface ReplicaCheckpointsPorts {
  readonly group: GroupId
  readonly limits: CompactionLimits
  readonly clock: Clock
  readonly logger: Logger
  readonly log: NodeLog
  readonly core: RaftCore
  store(): ReplicaStore
  /** An image is being taken over: the store goes, and with it what its checkpoint wants. */
  switching(): boolean
  /** Of the state as it is now. */
  meta(): CheckpointMeta
  /** See ReplicaImages. */
  pinnedAfter(): number
  wake(): void
  fatal(message: string): void
}

export class ReplicaCheckpoints {
  readonly #ports: ReplicaCheckpointsPorts
  #checkpointed: LogIndex
  /** Bytes of log that stayed behind the last checkpoint: no reason for another. */
  #keptLogBytes = 0
  #failures = 0
  #retryTimer: Timer | null = null
  #closed = false

  constructor(ports: ReplicaCheckpointsPorts, checkpointed: LogIndex) {
    this.#ports = ports
    this.#checkpointed = checkpointed
  }

  /** The last one failed for want of room: what grows must be refused, for the memtable cannot be emptied. */
  get outOfSpace(): boolean {
    return this.#failures > 0
  }

  whenDue(applied: LogIndex): void {
    const { limits, core } = this.#ports
    if (this.#retryTimer !== null || this.#busy) return
    const due = checkpointDue(limits, {
      memtableBytes: this.#ports.store().memtableBytes,
      logBytes: core.logBytes() - this.#keptLogBytes,
      entriesSinceCheckpoint: applied - this.#checkpointed,
    })
    if (due || this.#failures > 0) this.begin(applied)
  }

  /** Writes a checkpoint of what has been applied, then lets the log before it go. */
  begin(applied: LogIndex): void {
    if (this.#busy || (applied === this.#checkpointed && this.#failures === 0)) return
    const store = this.#ports.store()
    store.checkpoint(this.#ports.meta(), (error) => {
      if (this.#closed || store !== this.#ports.store()) return
      // Also after an error: an earlier one that had failed may be written now (store.ts `checkpoint`).
      const written = store.meta?.applied ?? this.#checkpointed
      const advanced = written > this.#checkpointed
      this.#checkpointed = written
      if (error === null) this.#failures = 0
      else if (error.code !== 'no-space') {
        return this.#ports.fatal(`group ${this.#ports.group}: checkpoint at ${applied} failed: ${error.message}`)
      } else if (!advanced) return this.#retryLater(error)
      if (!this.#ports.switching()) this.#compactLog()
      this.#ports.wake()
    })
  }

  get #busy(): boolean {
    return this.#closed || this.#ports.switching() || this.#ports.store().checkpointing
  }

  #retryLater(error: DiskError): void {
    const delayMs = Math.min(RETRY_AFTER_MS_MIN * 2 ** Math.min(this.#failures, 10), RETRY_AFTER_MS_MAX)
    this.#failures++
    const { logger, group, clock } = this.#ports
    logger.warn('no room for a checkpoint: writes that grow are refused', { group, error: error.message, delayMs })
    this.#retryTimer = clock.setTimer(delayMs, () => {
      this.#retryTimer = null
      this.#ports.wake()
    })
  }

  #compactLog(): void {
    const { core, limits, log, group } = this.#ports
    const leads = core.role === 'leader'
    let neededAfter = Number.POSITIVE_INFINITY
    if (leads) for (const peer of core.progress()) neededAfter = Math.min(neededAfter, peer.matchIndex)
    const pinnedAfter = leads ? this.#ports.pinnedAfter() : Number.POSITIVE_INFINITY
    const state = { checkpointed: this.#checkpointed, logBytes: core.logBytes(), neededAfter, pinnedAfter }
    const index = compactionTarget(limits, state)
    if (index >= core.firstIndex) {
      const term = present(core.termAt(index), 'compaction: no term at the target')
      const point: CompactionPoint = { index, term }
      log.append({ group, compaction: point })
      core.compact(point)
    }
    this.#keptLogBytes = core.logBytes()
  }

  /** The replica goes on from an image, on another store. */
  installed(index: LogIndex): void {
    this.#checkpointed = index
    this.#keptLogBytes = this.#ports.core.logBytes()
    this.#failures = 0
    this.#retryTimer?.cancel()
    this.#retryTimer = null
  }

  close(): void {
    this.#closed = true
    this.#retryTimer?.cancel()
  }
}
