/**
 * Writes batches into the active segment, one at a time: a batch is written only after the sync of the one before, so
 * each batch proves all earlier ones. A write or sync that fails ends the log: after a failed sync nobody knows what the disk
 * has, and asking again would be answered with a lie (PostgreSQL's fsync findings, 2018).
 */
import { assert } from '../base/assert.ts'
import type { BytesWriter } from '../base/bytes.ts'
import type { DiskError } from '../ports/disk.ts'
import {
  BATCH_HEADER_BYTES,
  type BatchKind,
  BLOCK_BYTES,
  batchBytes,
  logSalt,
  type SegmentEnd,
  sealBatch,
} from './format.ts'
import type { WalMutations } from './mutations.ts'
import type { PreparedSegment } from './segment-pool.ts'

export class SegmentAppender {
  readonly segmentBytes: number
  readonly #salt: number
  readonly #mutations: WalMutations
  readonly #onFatal: (message: string) => void
  #segment: PreparedSegment | null = null
  #offset = 0
  #sequence: number
  #chain: number
  #done: (() => void) | null = null
  #stopped = false

  /** Goes on after `end`, wherever that was: the first batch follows `openSegment`. */
  constructor(
    segmentBytes: number,
    logId: number,
    end: SegmentEnd | null,
    mutations: WalMutations,
    onFatal: (message: string) => void,
  ) {
    this.segmentBytes = segmentBytes
    this.#salt = logSalt(logId)
    this.#sequence = end?.sequence ?? 0
    this.#chain = end?.chain ?? 0
    this.#mutations = mutations
    this.#onFatal = onFatal
  }

  get busy(): boolean {
    return this.#done !== null
  }

  /** The active segment's incarnation; 0 before the first. */
  get incarnation(): number {
    return this.#segment?.incarnation ?? 0
  }

  get end(): SegmentEnd {
    assert(!this.busy, 'SegmentAppender: the end is not known during a write')
    return { incarnation: this.incarnation, offset: this.#offset, sequence: this.#sequence, chain: this.#chain }
  }

  /** Whether a batch that holds this many payload bytes has room in the active segment. */
  fits(payloadBytes: number): boolean {
    return this.#segment !== null && this.#offset + batchBytes(payloadBytes) <= this.segmentBytes
  }

  /** Goes over to a prepared segment; the former one's file is closed. */
  openSegment(segment: PreparedSegment): void {
    assert(!this.busy, 'SegmentAppender: a roll during a write')
    // Everything in it is synced; whether its descriptor closes well changes nothing.
    this.#segment?.file.close(() => {})
    this.#segment = segment
    this.#offset = BLOCK_BYTES
  }

  /** `writer` holds BATCH_HEADER_BYTES of room, then the payload; it must rest until `done`, which comes after the sync. */
  write(kind: BatchKind, writer: BytesWriter, newestIncarnation: number, done: () => void): void {
    const segment = this.#segment
    assert(this.#done === null && !this.#stopped, 'SegmentAppender: one batch at a time')
    assert(segment !== null && this.fits(writer.length - BATCH_HEADER_BYTES), 'SegmentAppender: no room for the batch')
    const sequence = this.#sequence + 1
    this.#chain = sealBatch(writer, this.#salt, {
      incarnation: segment.incarnation,
      sequence,
      syncedSequence: this.#sequence,
      newestIncarnation,
      chain: this.#chain,
      kind,
    })
    this.#sequence = sequence
    this.#done = done
    const bytes = writer.finish()
    const offset = this.#offset
    this.#offset += bytes.length
    segment.file.write(offset, bytes, this.#onWritten)
  }

  /** No callback comes any more. */
  stop(): void {
    this.#stopped = true
  }

  /** Closes the file; nothing may be under way. */
  close(done: () => void): void {
    assert(!this.busy, 'SegmentAppender: closed during a write')
    this.#stopped = true
    const segment = this.#segment
    if (segment === null) done()
    else segment.file.close(() => done())
  }

  readonly #onWritten = (error: DiskError | null): void => {
    if (this.#stopped) return
    if (error !== null) this.#fail(error)
    else if (this.#mutations.skipSync) this.#onSynced(null)
    else this.#segment?.file.sync(this.#onSynced)
  }

  readonly #onSynced = (error: DiskError | null): void => {
    if (this.#stopped) return
    const done = this.#done
    assert(done !== null, 'SegmentAppender: a sync ended that nobody began')
    if (error !== null) {
      this.#fail(error)
      return
    }
    this.#done = null
    done()
  }

  #fail(error: DiskError): void {
    this.#stopped = true
    this.#onFatal(error.message)
  }
}
