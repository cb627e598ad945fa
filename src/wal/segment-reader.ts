/**
 * Reads one segment's batches in order, through a window, and looks behind a bad one for good ones. Read-only.
 */
import { assert } from '../base/assert.ts'
import { EMPTY_BYTES } from '../base/bytes.ts'
import type { DiskError, DiskFile } from '../ports/disk.ts'
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  BLOCK_BYTES,
  batchBytes,
  batchCrcMatches,
  decodeBatchHeader,
  logSalt,
  type SegmentEnd,
  type SegmentHeader,
} from './format.ts'
import { NO_WAL_MUTATIONS, type WalMutations } from './mutations.ts'

const WINDOW_BYTES = 1024 * 1024

/** A good batch, as read. */
export interface ReadBatch {
  readonly header: BatchHeader
  readonly offset: number
  /** The offset after it. */
  readonly end: number
  /** A view; stays valid. */
  readonly payload: Uint8Array
}

/** How a scan ended: at a bad batch (or the end of the segment), at the end asked for, by the visitor's wish, by a read error. */
export type ScanEnd =
  | { readonly kind: 'bad' | 'reached' | 'stopped'; readonly end: SegmentEnd }
  | { readonly kind: 'error'; readonly error: DiskError }

export class SegmentReader {
  readonly file: DiskFile
  readonly incarnation: number
  readonly segmentBytes: number
  readonly #salt: number
  readonly #mutations: WalMutations
  #window: Uint8Array = EMPTY_BYTES
  #windowAt = 0

  constructor(file: DiskFile, header: SegmentHeader, mutations: WalMutations = NO_WAL_MUTATIONS) {
    this.file = file
    this.incarnation = header.incarnation
    this.segmentBytes = header.segmentBytes
    this.#salt = logSalt(header.logId)
    this.#mutations = mutations
  }

  /** Where an empty segment's batches would end. */
  get start(): SegmentEnd {
    return { incarnation: this.incarnation, offset: BLOCK_BYTES, sequence: 0, chain: 0 }
  }

  /**
   * Visits batches that follow one another, from `from` on (sequence 0: whatever comes first), until `untilOffset`, a bad
   * one, or the visitor's false. The end given back is behind the last batch for which the visitor said true.
   */
  scan(
    from: SegmentEnd,
    untilOffset: number,
    visit: (batch: ReadBatch) => boolean,
    done: (outcome: ScanEnd) => void,
  ): void {
    let end = from
    // A loop over what the window holds, so that a segment of small batches does not nest callbacks.
    const run = (): void => {
      for (;;) {
        if (end.offset >= untilOffset) return done({ kind: 'reached', end })
        const found = this.#batchAt(end.offset)
        if (typeof found === 'number') {
          this.#load(end.offset, found, (error) => (error === null ? run() : done({ kind: 'error', error })))
          return
        }
        if (found === null || !this.#follows(found.header, end)) return done({ kind: 'bad', end })
        if (!visit(found)) return done({ kind: 'stopped', end })
        end = {
          incarnation: this.incarnation,
          offset: found.end,
          sequence: found.header.sequence,
          chain: found.header.crc,
        }
      }
    }
    run()
  }

  /** Looks for any good batch of this incarnation at or behind `offset`; gives its header or null. */
  findGoodBatch(offset: number, done: (error: DiskError | null, found: BatchHeader | null) => void): void {
    let at = offset
    const run = (): void => {
      for (; at < this.segmentBytes; at += BLOCK_BYTES) {
        const found = this.#batchAt(at)
        if (typeof found === 'number') {
          this.#load(at, found, (error) => (error === null ? run() : done(error, null)))
          return
        }
        if (found !== null && found.header.incarnation === this.incarnation) return done(null, found.header)
      }
      done(null, null)
    }
    run()
  }

  #follows(header: BatchHeader, end: SegmentEnd): boolean {
    if (this.#mutations.acceptStaleSegments) return true
    if (header.incarnation !== this.incarnation) return false
    return end.sequence === 0 || (header.sequence === end.sequence + 1 && header.chain === end.chain)
  }

  /** The batch whose header stands at the offset, null where there is none, or how many bytes must be loaded to tell. */
  #batchAt(offset: number): ReadBatch | null | number {
    const room = this.segmentBytes - offset
    if (room < BLOCK_BYTES) return null
    if (!this.#holds(offset, BLOCK_BYTES)) return Math.min(WINDOW_BYTES, room)
    const header = decodeBatchHeader(this.#window, offset - this.#windowAt, room)
    if (header === null) return null
    const bytes = batchBytes(header.payloadBytes)
    if (!this.#holds(offset, bytes)) return Math.min(Math.max(WINDOW_BYTES, bytes), room)
    const at = offset - this.#windowAt
    if (!batchCrcMatches(this.#window, at, header, this.#salt)) return null
    const payload = this.#window.subarray(at + BATCH_HEADER_BYTES, at + BATCH_HEADER_BYTES + header.payloadBytes)
    return { header, offset, end: offset + bytes, payload }
  }

  #holds(offset: number, lengthBytes: number): boolean {
    return offset >= this.#windowAt && offset + lengthBytes <= this.#windowAt + this.#window.length
  }

  #load(offset: number, lengthBytes: number, done: (error: DiskError | null) => void): void {
    this.file.read(offset, lengthBytes, (error, bytes) => {
      if (error === null && bytes.length < lengthBytes) {
        const message = `${this.file.path}: read: ${bytes.length} of ${lengthBytes} bytes at ${offset}`
        return done({ code: 'io', message })
      }
      assert(error !== null || bytes.length === lengthBytes, 'SegmentReader: a read gave too much')
      if (error === null) {
        this.#window = bytes
        this.#windowAt = offset
      }
      done(error)
    })
  }
}
