/**
 * Exactly once: per (slot, session) the results of its writes from the lowest unanswered sequence on, so that an entry that
 * stands in the log twice runs once (thesis 6.3; the design's "Exactly once").
 *
 * The promise rests on three rules that belong together:
 *  - a result at or above the floor is never dropped: the 257th write is refused instead;
 *  - below the floor nothing runs: `SequenceTooOld`;
 *  - a record, and with it the floor, goes only when log time has passed the highest retry-until that it has seen; and where
 *    there is no result, an entry whose retry-until log time has passed does not run. So a late copy of a write that has run
 *    meets its result, the floor, or its own retry-until.
 *
 * Everything here is replicated state. Records stand in a ring; each applied entry looks at the next two under the hand and
 * drops what is idle, so that garbage is bounded, the work per entry is too, and every replica drops the same record at the
 * same index. The ring's order and hand are part of the checkpoint for that reason.
 *
 *   sessions := u32 record count | u32 hand | record*
 *   record   := u16 slot (not where a slot's records are moved) | u64 session | u64 floor | u64 highest retry-until ms | u16 result count | (u64 sequence | reply)*
 *   reply    := u8 tag (0 bytes follow, 1 +OK, 2 done, 3 null, 4 :0, 5 :1) | (u32 length | bytes  where the tag is 0)
 */
import { assert, present } from '../base/assert.ts'
import { asLogIndex, asSlotId, type LogIndex, type SlotId } from '../base/brand.ts'
import { BytesReader, BytesWriter, DecodeError, equalBytes } from '../base/bytes.ts'
import { integerReply, NULL_REPLY, OK_REPLY } from '../protocol/resp-reply.ts'
import type { SessionLimits } from './kv-options.ts'
import { type KvMutations, NO_MUTATIONS } from './mutations.ts'
import {
  BUSY_BYTES_REPLY,
  BUSY_RESULTS_REPLY,
  DONE_REPLY,
  RETRY_EXPIRED_REPLY,
  SEQUENCE_TOO_OLD_REPLY,
} from './refusals.ts'

/** What a record and a result count for beside the reply's bytes: about what they take in memory. */
export const RECORD_BYTES = 160
export const RESULT_BYTES = 24
/** Each entry adds at most one record, so looking at two keeps up. */
const RING_STEPS_PER_ENTRY = 2

const COMMON_REPLIES: readonly Uint8Array[] = [OK_REPLY, DONE_REPLY, NULL_REPLY, integerReply(0), integerReply(1)]

interface SessionRecord {
  /** Of the entry that changed it last; after a restart of the one that was applied last. Beside the replicated state: for moves. */
  changedAt: LogIndex
  readonly slot: SlotId
  readonly session: number
  /** The highest "lowest unanswered" seen: what is below has been answered or given up. */
  floor: number
  highestRetryUntilMs: number
  /** Ascending; `replies` beside it. */
  sequences: number[]
  replies: Uint8Array[]
}

/** What the header of a write says of its session. */
export interface SessionFields {
  readonly slot: SlotId
  readonly session: number
  readonly sequence: number
  readonly lowestUnanswered: number
  readonly retryUntilMs: number
}

export class SessionTable {
  readonly #limits: SessionLimits
  readonly #bySlot: (Map<number, SessionRecord> | undefined)[]
  readonly #ring: SessionRecord[] = []
  #hand = 0
  #bytes = 0
  #index = asLogIndex(0)

  readonly #mutations: KvMutations

  constructor(slotCount: number, limits: SessionLimits, mutations: KvMutations = NO_MUTATIONS) {
    assert(limits.maxResults >= 1 && limits.maxResults < 0x10000, 'session limits: results per record')
    this.#limits = limits
    this.#mutations = mutations
    this.#bySlot = new Array(slotCount)
  }

  /** Counted bytes of all records. */
  get bytes(): number {
    return this.#bytes
  }

  get recordCount(): number {
    return this.#ring.length
  }

  /** The entry that is being applied. */
  begin(index: LogIndex): void {
    this.#index = index
  }

  /** The reply to give instead of running the write: its result, or a refusal. Null: run it, then `keep` its reply. */
  admit(fields: SessionFields, logTimeMs: number): Uint8Array | null {
    const { sequence, retryUntilMs } = fields
    const record = this.#bySlot[fields.slot]?.get(fields.session)
    if (record !== undefined) {
      record.changedAt = this.#index
      if (retryUntilMs > record.highestRetryUntilMs) record.highestRetryUntilMs = retryUntilMs
      if (fields.lowestUnanswered > record.floor) this.#raiseFloor(record, fields.lowestUnanswered)
      if (sequence < record.floor && !this.#mutations.sessionFloorForgotten) return SEQUENCE_TOO_OLD_REPLY
      const at = position(record.sequences, sequence)
      if (at < record.sequences.length && record.sequences[at] === sequence) return record.replies[at]
    }
    if (logTimeMs > retryUntilMs) return RETRY_EXPIRED_REPLY
    if (record !== undefined && record.sequences.length >= this.#limits.maxResults) return BUSY_RESULTS_REPLY
    // The reply's size is not known yet, so room for the largest that would be kept.
    const largest = (record === undefined ? RECORD_BYTES : 0) + RESULT_BYTES + this.#limits.maxReplyBytes
    if (this.#bytes + largest > this.#limits.maxTotalBytes) return BUSY_BYTES_REPLY
    return null
  }

  /** The write has run. The reply must not change any more. */
  keep(fields: SessionFields, reply: Uint8Array): void {
    let records = this.#bySlot[fields.slot]
    if (records === undefined) {
      records = new Map()
      this.#bySlot[fields.slot] = records
    }
    let record = records.get(fields.session)
    if (record === undefined) {
      record = {
        changedAt: this.#index,
        slot: fields.slot,
        session: fields.session,
        floor: fields.lowestUnanswered,
        highestRetryUntilMs: fields.retryUntilMs,
        sequences: [],
        replies: [],
      }
      this.#add(records, record)
    }
    const kept = reply.length > this.#limits.maxReplyBytes ? DONE_REPLY : reply
    const at = position(record.sequences, fields.sequence)
    assert(record.sequences[at] !== fields.sequence, 'session: a second result for one sequence')
    if (at === record.sequences.length) {
      record.sequences.push(fields.sequence)
      record.replies.push(kept)
    } else {
      record.sequences.splice(at, 0, fields.sequence)
      record.replies.splice(at, 0, kept)
    }
    assert(record.sequences.length <= this.#limits.maxResults, 'session: more results than admitted')
    this.#bytes += RESULT_BYTES + kept.length
  }

  /** Once for each applied entry, with the log time that the entry brought. */
  dropIdle(logTimeMs: number): void {
    for (let step = 0; step < RING_STEPS_PER_ENTRY && this.#ring.length > 0; step++) {
      if (this.#hand >= this.#ring.length) this.#hand = 0
      const record = this.#ring[this.#hand]
      if (logTimeMs > record.highestRetryUntilMs) this.#remove(record, this.#hand)
      else this.#hand++
    }
  }

  // --- Moves --------------------------------------------------------------------------------------------------

  /**
   * The slot's records with session ids from `from` on, ascending, that were changed above the index, as bytes for `stage`: as many as fit about
   * `maxBytes`. `next`: the id to go on with; null: that was the last.
   */
  exportFrom(
    slot: SlotId,
    from: number,
    above: number,
    maxBytes: number,
  ): { records: Uint8Array; next: number | null } {
    const wanted = [...(this.#bySlot[slot]?.values() ?? [])]
      .filter(({ session, changedAt }) => session >= from && changedAt > above)
      .sort((a, b) => a.session - b.session)
    const writer = new BytesWriter(256)
    for (const record of wanted) {
      if (writer.length > maxBytes) return { records: writer.copy(), next: record.session }
      encodeRecord(writer, record)
    }
    return { records: writer.copy(), next: null }
  }

  /** Takes over records of the slot from its owner, each in place of what was there. Throws DecodeError, having changed nothing. */
  stage(slot: SlotId, bytes: Uint8Array): void {
    const reader = new BytesReader(bytes)
    const staged: SessionRecord[] = []
    while (reader.remaining > 0) staged.push(decodeRecord(reader, slot, this.#index))
    const records = this.#bySlot[slot] ?? new Map<number, SessionRecord>()
    for (const record of staged) {
      const old = records.get(record.session)
      if (old !== undefined) {
        for (const reply of old.replies) this.#bytes -= RESULT_BYTES + reply.length
        Object.assign(old, record)
      } else {
        this.#bySlot[slot] = records
        this.#add(records, record)
      }
      for (const reply of record.replies) this.#bytes += RESULT_BYTES + reply.length
    }
  }

  /** The slots have gone to another group, or never came. */
  dropSlots(slots: ReadonlySet<SlotId>): void {
    for (let at = this.#ring.length - 1; at >= 0; at--) {
      if (slots.has(this.#ring[at].slot)) this.#remove(this.#ring[at], at)
    }
  }

  #add(records: Map<number, SessionRecord>, record: SessionRecord): void {
    records.set(record.session, record)
    this.#ring.push(record)
    this.#bytes += RECORD_BYTES
  }

  #remove(record: SessionRecord, at: number): void {
    const last = present(this.#ring.pop(), 'session ring: empty')
    if (last !== record) this.#ring[at] = last
    const records = present(this.#bySlot[record.slot], 'session ring: a record of no slot')
    records.delete(record.session)
    if (records.size === 0) this.#bySlot[record.slot] = undefined
    this.#bytes -= RECORD_BYTES
    for (const reply of record.replies) this.#bytes -= RESULT_BYTES + reply.length
    assert(this.#bytes >= 0, 'session table: counted below zero')
  }

  #raiseFloor(record: SessionRecord, floor: number): void {
    record.floor = floor
    const count = position(record.sequences, floor)
    if (count === 0) return
    for (let i = 0; i < count; i++) this.#bytes -= RESULT_BYTES + record.replies[i].length
    if (count === record.sequences.length) {
      // The usual case: everything kept so far has been answered.
      record.sequences.length = 0
      record.replies.length = 0
      return
    }
    record.sequences.splice(0, count)
    record.replies.splice(0, count)
  }

  encode(writer: BytesWriter): void {
    writer.u32(this.#ring.length)
    writer.u32(this.#hand)
    for (const record of this.#ring) {
      writer.u16(record.slot)
      encodeRecord(writer, record)
    }
  }

  /** `index`: of the entry that was applied last. Throws DecodeError. */
  static decode(
    reader: BytesReader,
    slotCount: number,
    limits: SessionLimits,
    index: LogIndex,
    mutations: KvMutations = NO_MUTATIONS,
  ): SessionTable {
    const table = new SessionTable(slotCount, limits, mutations)
    const count = reader.u32()
    table.#hand = reader.u32()
    for (let i = 0; i < count; i++) {
      const slot = asSlotId(reader.u16())
      if (slot >= slotCount) throw new DecodeError(`session record: no slot ${slot}`)
      const record = decodeRecord(reader, slot, index)
      const records = table.#bySlot[slot] ?? new Map<number, SessionRecord>()
      if (records.has(record.session)) throw new DecodeError(`session ${record.session}: twice in slot ${slot}`)
      table.#bySlot[slot] = records
      table.#add(records, record)
      for (const reply of record.replies) table.#bytes += RESULT_BYTES + reply.length
    }
    return table
  }
}

function encodeRecord(writer: BytesWriter, record: SessionRecord): void {
  writer.u64(record.session)
  writer.u64(record.floor)
  writer.u64(record.highestRetryUntilMs)
  writer.u16(record.sequences.length)
  for (let i = 0; i < record.sequences.length; i++) {
    writer.u64(record.sequences[i])
    encodeReply(writer, record.replies[i])
  }
}

function decodeRecord(reader: BytesReader, slot: SlotId, changedAt: LogIndex): SessionRecord {
  const record: SessionRecord = {
    changedAt,
    slot,
    session: reader.u64(),
    floor: reader.u64(),
    highestRetryUntilMs: reader.u64(),
    sequences: [],
    replies: [],
  }
  const results = reader.u16()
  for (let i = 0; i < results; i++) {
    record.sequences.push(reader.u64())
    record.replies.push(decodeReply(reader))
  }
  return record
}

/** The first position whose sequence is not below `sequence`. From the end: writes mostly come in order. */
function position(sequences: readonly number[], sequence: number): number {
  let at = sequences.length
  while (at > 0 && sequences[at - 1] >= sequence) at--
  return at
}

function encodeReply(writer: BytesWriter, reply: Uint8Array): void {
  const common = COMMON_REPLIES.findIndex((candidate) => equalBytes(candidate, reply))
  writer.u8(common + 1)
  if (common < 0) writer.blob(reply)
}

function decodeReply(reader: BytesReader): Uint8Array {
  const tag = reader.u8()
  if (tag === 0) return reader.blob().slice()
  if (tag > COMMON_REPLIES.length) throw new DecodeError(`session result: unknown tag ${tag}`)
  return COMMON_REPLIES[tag - 1]
}
