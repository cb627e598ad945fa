/**
 * Batches that gather while another one is on its way to the disk: encoded as they are appended, split where one would
 * get too large. Buffers are used again.
 */
import { assert } from '../base/assert.ts'
import type { GroupId } from '../base/brand.ts'
import { BytesWriter } from '../base/bytes.ts'
import type { GroupWrite } from '../ports/log.ts'
import { encodedEntryBytes } from '../protocol/entry.ts'
import { BATCH_HEADER_BYTES } from './format.ts'
import {
  ENTRIES_RECORD_OVERHEAD_BYTES,
  entriesThatFit,
  SMALL_RECORD_MAX_BYTES,
  writeBaseSwitch,
  writeCompaction,
  writeEntries,
  writeForget,
  writeHardState,
  writeReplica,
  writeTruncation,
} from './records.ts'

/** What a batch will change, told to the groups' tracks when the batch goes out: only then is its segment known. */
export type GatheredChange =
  | { readonly kind: 'state'; readonly write: GroupWrite; readonly suffixFlagAt: number }
  | {
      readonly kind: 'entries'
      readonly write: GroupWrite
      readonly from: number
      readonly to: number
      readonly bytes: number
    }
  | { readonly kind: 'forget'; readonly group: GroupId }

export interface GatheredBatch {
  /** Rising by one from 1. */
  readonly number: number
  readonly writer: BytesWriter
  readonly changes: GatheredChange[]
}

const KEPT_BUFFERS = 3

/** A batch takes at most a quarter of a segment, so that an opening and a tail always find room beside it. */
export function maxBatchBytesOf(options: { readonly maxBatchBytes: number; readonly segmentBytes: number }): number {
  return Math.min(options.maxBatchBytes, Math.floor(options.segmentBytes / 4))
}

export class Gathering {
  readonly #maxBatchBytes: number
  readonly #maxEntryBytes: number
  readonly #waiting: GatheredBatch[] = []
  readonly #buffers: BytesWriter[] = []
  #waitingBytes = 0
  #lastNumber = 0

  /** `maxBatchBytes` bounds a batch's payload; a single larger entry, of at most `maxEntryBytes`, goes alone. */
  constructor(maxBatchBytes: number, maxEntryBytes: number) {
    assert(maxBatchBytes >= 1024, 'Gathering: batches of less than 1 KiB')
    this.#maxBatchBytes = maxBatchBytes
    this.#maxEntryBytes = maxEntryBytes
  }

  get waitingBytes(): number {
    return this.#waitingBytes
  }

  get waitingBatches(): number {
    return this.#waiting.length
  }

  /** The batch that holds what was appended last. */
  get lastNumber(): number {
    return this.#lastNumber
  }

  peek(): GatheredBatch | undefined {
    return this.#waiting[0]
  }

  /** Takes the oldest batch out; give its buffer back with `release`. */
  shift(): GatheredBatch | undefined {
    const batch = this.#waiting.shift()
    if (batch !== undefined) this.#waitingBytes -= batch.writer.length
    return batch
  }

  release(writer: BytesWriter): void {
    if (this.#buffers.length < KEPT_BUFFERS && writer.bytes.length <= 4 * this.#maxBatchBytes)
      this.#buffers.push(writer)
  }

  /** An empty payload behind room for the header. */
  buffer(): BytesWriter {
    const writer = this.#buffers.pop() ?? new BytesWriter(16 * 1024)
    writer.reset()
    writer.reserve(BATCH_HEADER_BYTES)
    return writer
  }

  append(write: GroupWrite): void {
    const { group, entries } = write
    if (hasState(write)) this.#appendState(write)
    if (entries === undefined) return
    for (let from = 0; from < entries.length; ) {
      const firstBytes = encodedEntryBytes(entries[from])
      assert(firstBytes <= this.#maxEntryBytes, 'Gathering: an entry larger than half a segment')
      const { writer, changes } = this.#open(ENTRIES_RECORD_OVERHEAD_BYTES + firstBytes)
      const start = writer.length
      const to = entriesThatFit(entries, from, this.#maxBatchBytes + BATCH_HEADER_BYTES - start)
      writeEntries(writer, 'entries', group, entries, from, to)
      const bytes = writer.length - start
      this.#waitingBytes += bytes
      changes.push({ kind: 'entries', write, from, to, bytes })
      from = to
    }
  }

  forget(group: GroupId): void {
    // With room for the state records of the replica that takes its place: appended next, they are in the same batch, so no crash
    // leaves the group forgotten and not made anew.
    const batch = this.#open(6 * SMALL_RECORD_MAX_BYTES)
    const start = batch.writer.length
    writeForget(batch.writer, group)
    this.#waitingBytes += batch.writer.length - start
    batch.changes.push({ kind: 'forget', group })
  }

  #appendState(write: GroupWrite): void {
    const batch = this.#open(5 * SMALL_RECORD_MAX_BYTES)
    const { writer } = batch
    const { group, replicaId, hardState, truncateFrom, base, compaction } = write
    const start = writer.length
    let suffixFlagAt = -1
    if (replicaId !== undefined) writeReplica(writer, group, replicaId)
    if (hardState !== undefined) writeHardState(writer, group, hardState)
    if (truncateFrom !== undefined) writeTruncation(writer, group, truncateFrom)
    if (base !== undefined) suffixFlagAt = writeBaseSwitch(writer, group, base.directory, base.point)
    if (compaction !== undefined) writeCompaction(writer, group, compaction)
    this.#waitingBytes += writer.length - start
    batch.changes.push({ kind: 'state', write, suffixFlagAt })
  }

  /** The last waiting batch where it has room for this many bytes more, else a new one (however many they are). */
  #open(bytes: number): GatheredBatch {
    const last = this.#waiting.at(-1)
    if (last !== undefined && last.writer.length - BATCH_HEADER_BYTES + bytes <= this.#maxBatchBytes) return last
    return this.#openNew()
  }

  #openNew(): GatheredBatch {
    const batch = { number: ++this.#lastNumber, writer: this.buffer(), changes: [] }
    this.#waiting.push(batch)
    this.#waitingBytes += BATCH_HEADER_BYTES
    return batch
  }
}

function hasState(write: GroupWrite): boolean {
  return (
    write.replicaId !== undefined ||
    write.hardState !== undefined ||
    write.truncateFrom !== undefined ||
    write.base !== undefined ||
    write.compaction !== undefined
  )
}
