/**
 * The node's write-ahead log, shared by its groups (format: format.ts, records.ts, docs/wal-format.md).
 *
 * Promise: when `flush` calls back, everything appended before it is on the disk; after any crash, recovery gives each group exactly
 * that, and possibly a prefix of what was appended later. One batch at a time is written and synced; what is
 * appended meanwhile gathers into the next. A failed write or sync ends the log: `onFatal` once, and no callback after.
 */
import { assert } from '../base/assert.ts'
import type { GroupId } from '../base/brand.ts'
import type { BytesWriter } from '../base/bytes.ts'
import { BoundedDeque } from '../base/deque.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import type { Disk } from '../ports/disk.ts'
import type { GroupWrite, LiveEntries, NodeLog, RecoveredGroup } from '../ports/log.ts'
import type { Logger } from '../ports/logger.ts'
import { BATCH_DATA, BATCH_HEADER_BYTES, BATCH_MARK, BATCH_OPENING, type BatchKind, batchBytes } from './format.ts'
import { type GatheredBatch, Gathering, maxBatchBytesOf } from './gathering.ts'
import type { LiveGroups } from './live-groups.ts'
import type { WalMutations } from './mutations.ts'
import { openLogFiles } from './opening.ts'
import { OPENED_BY_ROLL } from './records.ts'
import type { SegmentAppender } from './segment-appender.ts'
import type { SegmentPool } from './segment-pool.ts'

export interface WalOptions {
  readonly directory: string
  /** Whole blocks of 4 KiB. An entry may take up half of it. */
  readonly segmentBytes: number
  /** A batch's payload; a single larger record goes alone. At most a quarter of a segment counts. */
  readonly maxBatchBytes: number
  /** Appended and not yet on disk. Above it `hasRoom` is false; `append` refuses to go past twice of it. */
  readonly maxPendingBytes: number
  /** Free segments kept ready, for hard state and deletes on a full disk. */
  readonly spareSegments: number
  /** With more segments than this in use, live ranges of the oldest are copied forward so that it can go. */
  readonly copyForwardSegments: number
  /** When idle, a mark that proves the last batch follows within this time. */
  readonly markAfterIdleMs: number
  /** Random, up to 2^53: names a fresh log, so that another log's segments are never taken for its own. */
  readonly logId: number
  readonly mutations?: WalMutations
}

export const WAL_DEFAULTS = {
  segmentBytes: 64 * 1024 * 1024,
  maxBatchBytes: 1024 * 1024,
  maxPendingBytes: 64 * 1024 * 1024,
  spareSegments: 2,
  copyForwardSegments: 8,
  markAfterIdleMs: 100,
} as const

export type WalOpenResult =
  | { readonly kind: 'opened'; readonly log: WriteAheadLog; readonly groups: readonly RecoveredGroup[] }
  /** Acknowledged data may be gone, votes too: every replica on the node must be rebuilt under a new id. */
  | { readonly kind: 'corrupt'; readonly message: string }
  | { readonly kind: 'newer-format'; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string }

/** A directory that is missing or empty is a fresh log; its parent must exist. `done` comes once, as an event of its own. */
export function openWriteAheadLog(
  disk: Disk,
  clock: Clock,
  logger: Logger,
  options: WalOptions,
  liveEntries: LiveEntries,
  onFatal: (message: string) => void,
  done: (result: WalOpenResult) => void,
): void {
  // Until the log is open, a failure is the result of opening it.
  let log: WriteAheadLog | null = null
  let ended = false
  const fail = (message: string): void => {
    if (ended) return
    ended = true
    if (log === null) done({ kind: 'failed', message })
    else log.die(message, onFatal)
  }
  openLogFiles(disk, clock, logger, options, fail, (result) => {
    if (ended) return
    if (result.kind !== 'opened') {
      ended = true
      done(result)
      return
    }
    log = new WriteAheadLog(clock, logger, options, liveEntries, result.parts)
    done({ kind: 'opened', log, groups: result.groups })
  })
}

/** What opening leaves behind, and the log goes on with. */
export interface LogParts {
  readonly pool: SegmentPool
  readonly appender: SegmentAppender
  readonly groups: LiveGroups
  /** Older than the active one, oldest first. */
  readonly segments: { readonly incarnation: number; readonly segmentBytes: number }[]
}

interface Flush {
  readonly batchNumber: number
  readonly done: () => void
}

const MAX_FLUSHES = 1 << 20
/** What copying may owe to what users wrote, at most. */
const COPY_CREDIT_SEGMENTS = 4

export class WriteAheadLog implements NodeLog {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #options: WalOptions
  readonly #liveEntries: LiveEntries
  readonly #pool: SegmentPool
  readonly #appender: SegmentAppender
  readonly #groups: LiveGroups
  readonly #gathering: Gathering
  readonly #flushes = new BoundedDeque<Flush>(MAX_FLUSHES)
  /** In use, oldest first; the active one is the appender's. */
  readonly #segments: { readonly incarnation: number; readonly segmentBytes: number }[]
  #busy = false
  #inFlight: GatheredBatch | null = null
  #completedNumber = 0
  /** The active segment's opening is proven: a batch after it is synced. Only then may older segments go. */
  #openingProven = false
  /** Something went that may have freed a segment. */
  #freeDue = true
  #copyRefused = false
  #copiedLast = false
  #copyCreditBytes: number
  #markDue = true
  #timer: Timer | null = null
  #idleSinceMs: number
  #flushDeferred = false
  #closing: (() => void) | null = null
  #closed = false
  #stopped = false

  constructor(clock: Clock, logger: Logger, options: WalOptions, liveEntries: LiveEntries, parts: LogParts) {
    this.#clock = clock
    this.#logger = logger
    this.#options = options
    this.#liveEntries = liveEntries
    this.#pool = parts.pool
    this.#appender = parts.appender
    this.#groups = parts.groups
    this.#segments = parts.segments
    this.#gathering = new Gathering(maxBatchBytesOf(options), Math.floor(options.segmentBytes / 2))
    this.#copyCreditBytes = options.segmentBytes
    this.#idleSinceMs = clock.monotonicMs()
    this.#armTimer(options.markAfterIdleMs)
  }

  get busy(): boolean {
    return this.#busy
  }

  /** Bytes appended and not yet on disk. */
  get pendingBytes(): number {
    return this.#gathering.waitingBytes + (this.#inFlight?.writer.length ?? 0)
  }

  /** False: take in nothing more until the disk has caught up. */
  get hasRoom(): boolean {
    return this.pendingBytes < this.#options.maxPendingBytes
  }

  /** Segments ready for use. */
  get freeSegments(): number {
    return this.#pool.freeSegments
  }

  /** No more segments can be made and the spares are being used up: leaders must refuse writes that grow. */
  get lowOnSpace(): boolean {
    return this.#pool.lowOnSpace
  }

  /** Segments that hold something, the active one included. */
  get segmentsInUse(): number {
    return this.#segments.length + 1
  }

  /** Groups whose entries keep the oldest segment: a checkpoint of theirs would free it. */
  pinningGroups(): readonly GroupId[] {
    return this.#segments.length === 0 ? [] : this.#groups.pinning(this.#segments[0].incarnation)
  }

  append(write: GroupWrite): void {
    assert(!this.#stopped && this.#closing === null, 'WriteAheadLog: append after the end')
    assert(this.pendingBytes < 2 * this.#options.maxPendingBytes, 'WriteAheadLog: append without room (see hasRoom)')
    this.#gathering.append(write)
    if (this.#timer === null) this.#armTimer(this.#options.markAfterIdleMs)
  }

  forget(group: GroupId): void {
    assert(!this.#stopped && this.#closing === null, 'WriteAheadLog: forget after the end')
    this.#gathering.forget(group)
    if (this.#timer === null) this.#armTimer(this.#options.markAfterIdleMs)
  }

  flush(done: () => void): void {
    if (this.#stopped) return
    const queued = this.#flushes.push({ batchNumber: this.#gathering.lastNumber, done })
    assert(queued, 'WriteAheadLog: too many flushes wait')
    if (this.#gathering.waitingBatches > 0) this.#startNext()
    else if (!this.#busy && !this.#flushDeferred) this.#deferFlushes()
  }

  close(done: () => void): void {
    assert(this.#closing === null, 'WriteAheadLog: closed twice')
    if (this.#stopped) return
    this.#closing = done
    this.#startNext()
  }

  /** A write, a sync or a segment failed. Nothing is called back any more. */
  die(message: string, onFatal: (message: string) => void): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#timer?.cancel()
    this.#appender.stop()
    this.#pool.halt()
    this.#logger.error('the log has failed', { error: message })
    onFatal(message)
  }

  /** Nothing is on its way: the callbacks that wait for nothing come as an event of their own. */
  #deferFlushes(): void {
    this.#flushDeferred = true
    this.#clock.defer(() => {
      this.#flushDeferred = false
      if (!this.#stopped) this.#callBack()
    })
  }

  #callBack(): void {
    for (;;) {
      const flush = this.#flushes.peek()
      if (flush === undefined || flush.batchNumber > this.#completedNumber || this.#stopped) return
      this.#flushes.shift()
      flush.done()
    }
  }

  /** Starts the next batch unless one is on its way: what gathered, a copy out of an old segment, or the closing mark. */
  #startNext(): void {
    if (this.#busy || this.#stopped || this.#closed) return
    // Copies go between other batches, never two in a row while others wait.
    if (!(this.#copiedLast && this.#gathering.waitingBatches > 0) && this.#startCopy()) return
    this.#copiedLast = false
    const batch = this.#gathering.shift()
    if (batch !== undefined) {
      this.#copyRefused = false
      const creditMax = COPY_CREDIT_SEGMENTS * this.#options.segmentBytes
      this.#copyCreditBytes = Math.min(creditMax, this.#copyCreditBytes + batchBytes(batch.writer.length))
      this.#inFlight = batch
      this.#write(BATCH_DATA, batch.writer, () => this.#groups.apply(batch, this.#appender.incarnation))
    } else if (this.#closing !== null) {
      if (this.#markDue) this.#writeMark()
      else this.#finishClose(this.#closing)
    }
  }

  /** Rolls where the segment is full. `apply` runs once the batch's segment is known, before it is sealed. */
  #write(kind: BatchKind, writer: BytesWriter, apply: () => void): void {
    this.#busy = true
    const payloadBytes = writer.length - BATCH_HEADER_BYTES
    const put = (): void => {
      apply()
      this.#appender.write(kind, writer, this.#pool.newestIncarnation, () => this.#onDurable(kind, writer))
    }
    if (this.#appender.fits(payloadBytes)) put()
    else this.#roll(put)
  }

  /** The next segment opens with every group's state as of the last batch, and names where that one ended. */
  #roll(then: () => void): void {
    const appender = this.#appender
    const end = appender.end
    this.#pool.take((segment) => {
      if (this.#stopped) return
      this.#segments.push({ incarnation: end.incarnation, segmentBytes: appender.segmentBytes })
      appender.openSegment(segment)
      this.#openingProven = false
      this.#freeDue = true
      const buffer = (): BytesWriter => this.#gathering.buffer()
      const batches = this.#groups.openingBatches(OPENED_BY_ROLL, end, maxBatchBytesOf(this.#options), buffer)
      const writeFrom = (position: number): void => {
        if (position === batches.length) {
          then()
          return
        }
        appender.write(BATCH_OPENING, batches[position], this.#pool.newestIncarnation, () => writeFrom(position + 1))
      }
      writeFrom(0)
    })
  }

  #onDurable(kind: BatchKind, writer: BytesWriter): void {
    const batch = this.#inFlight
    this.#busy = false
    this.#inFlight = null
    this.#openingProven = true
    this.#markDue = kind !== BATCH_MARK
    this.#gathering.release(writer)
    if (batch !== null) {
      this.#completedNumber = batch.number
      this.#freeDue ||= batch.changes.some((change) => change.kind !== 'entries')
    }
    this.#freeSegments()
    // The disk goes on before the callbacks run; what they append goes into the batch after.
    this.#startNext()
    this.#callBack()
    if (!this.#busy) this.#becomeIdle()
  }

  /** Everything written is durable now, so what the groups no longer need in the oldest segments may go, in order. */
  #freeSegments(): void {
    if (!this.#freeDue || !this.#openingProven) return
    this.#freeDue = false
    for (;;) {
      const oldest = this.#segments[0]
      if (oldest === undefined || this.#groups.liveBytes(oldest.incarnation) >= 0) return
      this.#segments.shift()
      this.#pool.recycle(oldest.incarnation, oldest.segmentBytes)
    }
  }

  /**
   * A slow group must not keep segments for ever: its live entries are copied to the end of the log. Only where that
   * gains at least as much as it costs: the oldest segment, or all of them together, are at most half alive; and no more than
   * what users have written, so that it never goes on by itself.
   */
  #startCopy(): boolean {
    const oldest = this.#segments[0]
    if (oldest === undefined || this.segmentsInUse <= this.#options.copyForwardSegments) return false
    if (this.#copyRefused || this.#copyCreditBytes <= 0) return false
    const live = this.#groups.liveBytes(oldest.incarnation)
    if (live < 0) return false
    const allBytes = this.segmentsInUse * oldest.segmentBytes
    if (live > oldest.segmentBytes / 2 && this.#groups.allLiveBytes() > allBytes / 2) return false
    const writer = this.#gathering.buffer()
    const maxBytes = maxBatchBytesOf(this.#options)
    const copied = this.#groups.copyForward(oldest.incarnation, this.#liveEntries, maxBytes, writer)
    // The owner has moved on, and its records are on their way: asked again after the next batch.
    this.#copyRefused = copied.length === 0
    if (copied.length === 0) {
      this.#gathering.release(writer)
      return false
    }
    this.#copiedLast = true
    this.#freeDue = true
    this.#copyCreditBytes -= batchBytes(writer.length)
    this.#write(BATCH_DATA, writer, () => {
      for (const range of copied) this.#groups.relocate(range, this.#appender.incarnation)
    })
    return true
  }

  #writeMark(): void {
    this.#write(BATCH_MARK, this.#gathering.buffer(), () => {})
  }

  #becomeIdle(): void {
    this.#idleSinceMs = this.#clock.monotonicMs()
    if (this.#markDue && this.#timer === null && !this.#stopped && !this.#closed) {
      this.#armTimer(this.#options.markAfterIdleMs)
    }
  }

  /** One timer that looks again, rather than one per batch. */
  #armTimer(delayMs: number): void {
    this.#timer = this.#clock.setTimer(delayMs, () => {
      this.#timer = null
      if (this.#stopped || this.#closed || this.#busy) return
      // Appended and never flushed: it goes out all the same.
      if (this.#gathering.waitingBatches > 0) {
        this.#startNext()
        return
      }
      if (!this.#markDue) return
      const restMs = this.#idleSinceMs + this.#options.markAfterIdleMs - this.#clock.monotonicMs()
      if (restMs > 0) this.#armTimer(restMs)
      else this.#writeMark()
    })
  }

  #finishClose(done: () => void): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#pool.stop(() => this.#appender.close(done))
  }
}
