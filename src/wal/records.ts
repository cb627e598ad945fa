/**
 * The records inside a batch's payload.
 *
 *   record     := u32 body length | u8 kind | u32 group | body
 *
 *   1 replica     u32 replica id                                         creates the group on this node
 *   2 hard state  u64 term | u32 voted for | u64 commit
 *   3 truncation  u64 from                                               entries from here on are gone
 *   4 base switch u32 directory | u64 index | u64 term | u8 keeps the log's suffix
 *   5 compaction  u64 index | u64 term
 *   6 entries     run (protocol/entry.ts)                                replaces what the log had from the first index on
 *   7 copy        run                                                    the same entries again, from an older segment; truncates nothing
 *   8 forget                                                             the group has left this node
 *   9 group       u32 replica id | hard state | u64 compaction index | u64 compaction term | u32 base directory
 *                 | u64 last index | u64 last term                       in openings only
 *  10 opening     u8 how | u8 last part | u32 group count | end          first record of each opening batch; group 0
 *  11 cut         end                                                    group 0
 *
 *   end        := u64 incarnation | u64 offset | u64 sequence | u32 chain
 *
 * A base switch says itself whether the entries behind its point survive (term(index) matched when it was written):
 * the entry that would tell may lie in a segment that has gone since.
 */
import { assert } from '../base/assert.ts'
import {
  asGroupId,
  asLogIndex,
  asReplicaId,
  asTerm,
  type GroupId,
  type LogIndex,
  type ReplicaId,
} from '../base/brand.ts'
import { BytesReader, type BytesWriter, DecodeError } from '../base/bytes.ts'
import type { CompactionPoint, HardState } from '../ports/log.ts'
import { decodeEntries, type Entry, encodedEntryBytes, encodeEntries } from '../protocol/entry.ts'
import type { SegmentEnd } from './format.ts'

const REPLICA = 1
const HARD_STATE = 2
const TRUNCATION = 3
const BASE_SWITCH = 4
const COMPACTION = 5
const ENTRIES = 6
const COPY = 7
const FORGET = 8
const GROUP = 9
const OPENING = 10
const CUT = 11

const RECORD_HEADER_BYTES = 9
const RUN_HEADER_BYTES = 12
/** An entries record around its entries. */
export const ENTRIES_RECORD_OVERHEAD_BYTES = RECORD_HEADER_BYTES + RUN_HEADER_BYTES
/** More than any other record takes. */
export const SMALL_RECORD_MAX_BYTES = 96

/** The log's very first segment; a roll from a full one; recovery, valid only once a cut ends it. */
export const OPENED_FRESH = 1
export const OPENED_BY_ROLL = 2
export const OPENED_BY_RECOVERY = 3
export type OpenedHow = typeof OPENED_FRESH | typeof OPENED_BY_ROLL | typeof OPENED_BY_RECOVERY

/** What an opening says of one group. */
export interface GroupSummary {
  readonly group: GroupId
  readonly replicaId: ReplicaId
  readonly hardState: HardState
  readonly compaction: CompactionPoint
  readonly baseDirectory: number
  readonly last: CompactionPoint
}

export type WalRecord =
  | { readonly kind: 'replica'; readonly group: GroupId; readonly replicaId: ReplicaId }
  | { readonly kind: 'hardState'; readonly group: GroupId; readonly hardState: HardState }
  | { readonly kind: 'truncation'; readonly group: GroupId; readonly from: LogIndex }
  | {
      readonly kind: 'baseSwitch'
      readonly group: GroupId
      readonly directory: number
      readonly point: CompactionPoint
      readonly keepsSuffix: boolean
    }
  | { readonly kind: 'compaction'; readonly group: GroupId; readonly point: CompactionPoint }
  | { readonly kind: 'entries' | 'copy'; readonly group: GroupId; readonly entries: readonly Entry[] }
  | { readonly kind: 'forget'; readonly group: GroupId }
  | { readonly kind: 'group'; readonly summary: GroupSummary }
  | {
      readonly kind: 'opening'
      readonly how: OpenedHow
      readonly lastPart: boolean
      readonly groupCount: number
      readonly predecessor: SegmentEnd
    }
  | { readonly kind: 'cut'; readonly predecessor: SegmentEnd }

/** Writes the record header; returns where its length stands, for `endRecord`. */
function beginRecord(writer: BytesWriter, kind: number, group: number): number {
  const at = writer.length
  writer.u32(0)
  writer.u8(kind)
  writer.u32(group)
  return at
}

function endRecord(writer: BytesWriter, at: number): void {
  writer.setU32(at, writer.length - at - RECORD_HEADER_BYTES)
}

export function writeReplica(writer: BytesWriter, group: GroupId, replicaId: ReplicaId): void {
  const at = beginRecord(writer, REPLICA, group)
  writer.u32(replicaId)
  endRecord(writer, at)
}

export function writeHardState(writer: BytesWriter, group: GroupId, hardState: HardState): void {
  const at = beginRecord(writer, HARD_STATE, group)
  hardStateBody(writer, hardState)
  endRecord(writer, at)
}

export function writeTruncation(writer: BytesWriter, group: GroupId, from: LogIndex): void {
  const at = beginRecord(writer, TRUNCATION, group)
  writer.u64(from)
  endRecord(writer, at)
}

/** Returns where the keeps-suffix byte stands: it is decided, and written, when the batch goes out. */
export function writeBaseSwitch(
  writer: BytesWriter,
  group: GroupId,
  directory: number,
  point: CompactionPoint,
): number {
  const at = beginRecord(writer, BASE_SWITCH, group)
  writer.u32(directory)
  writer.u64(point.index)
  writer.u64(point.term)
  const flagAt = writer.reserve(1)
  writer.bytes[flagAt] = 0
  endRecord(writer, at)
  return flagAt
}

export function writeCompaction(writer: BytesWriter, group: GroupId, point: CompactionPoint): void {
  const at = beginRecord(writer, COMPACTION, group)
  writer.u64(point.index)
  writer.u64(point.term)
  endRecord(writer, at)
}

export function writeEntries(
  writer: BytesWriter,
  kind: 'entries' | 'copy',
  group: GroupId,
  entries: readonly Entry[],
  from: number,
  to: number,
): void {
  assert(to > from, 'writeEntries: an empty run')
  assert(entries[to - 1].index === entries[from].index + (to - 1 - from), 'writeEntries: indexes are not neighbours')
  const at = beginRecord(writer, kind === 'copy' ? COPY : ENTRIES, group)
  encodeEntries(writer, entries, from, to)
  endRecord(writer, at)
}

/** How many of `entries[from, ...)` go into one record of at most `maxBytes`: at least one. Returns the position after the last. */
export function entriesThatFit(entries: readonly Entry[], from: number, maxBytes: number): number {
  let bytes = ENTRIES_RECORD_OVERHEAD_BYTES
  let to = from
  while (to < entries.length) {
    bytes += encodedEntryBytes(entries[to])
    if (bytes > maxBytes && to > from) break
    to++
  }
  return to
}

export function writeForget(writer: BytesWriter, group: GroupId): void {
  endRecord(writer, beginRecord(writer, FORGET, group))
}

export function writeGroup(writer: BytesWriter, summary: GroupSummary): void {
  const at = beginRecord(writer, GROUP, summary.group)
  writer.u32(summary.replicaId)
  hardStateBody(writer, summary.hardState)
  writer.u64(summary.compaction.index)
  writer.u64(summary.compaction.term)
  writer.u32(summary.baseDirectory)
  writer.u64(summary.last.index)
  writer.u64(summary.last.term)
  endRecord(writer, at)
}

export function writeOpening(
  writer: BytesWriter,
  how: OpenedHow,
  lastPart: boolean,
  groupCount: number,
  predecessor: SegmentEnd,
): void {
  const at = beginRecord(writer, OPENING, 0)
  writer.u8(how)
  writer.u8(lastPart ? 1 : 0)
  writer.u32(groupCount)
  endBody(writer, predecessor)
  endRecord(writer, at)
}

export function writeCut(writer: BytesWriter, predecessor: SegmentEnd): void {
  const at = beginRecord(writer, CUT, 0)
  endBody(writer, predecessor)
  endRecord(writer, at)
}

function hardStateBody(writer: BytesWriter, hardState: HardState): void {
  writer.u64(hardState.term)
  writer.u32(hardState.votedFor)
  writer.u64(hardState.commit)
}

function endBody(writer: BytesWriter, end: SegmentEnd): void {
  writer.u64(end.incarnation)
  writer.u64(end.offset)
  writer.u64(end.sequence)
  writer.u32(end.chain)
}

function readHardState(reader: BytesReader): HardState {
  return { term: asTerm(reader.u64()), votedFor: asReplicaId(reader.u32()), commit: asLogIndex(reader.u64()) }
}

function readPoint(reader: BytesReader): CompactionPoint {
  return { index: asLogIndex(reader.u64()), term: asTerm(reader.u64()) }
}

function readEnd(reader: BytesReader): SegmentEnd {
  return { incarnation: reader.u64(), offset: reader.u64(), sequence: reader.u64(), chain: reader.u32() }
}

/** Entries' payloads are views. Throws DecodeError. */
export function decodeRecords(payload: Uint8Array, visit: (record: WalRecord) => void): void {
  const reader = new BytesReader(payload)
  while (reader.remaining > 0) {
    const length = reader.u32()
    const kind = reader.u8()
    const group = asGroupId(reader.u32())
    const start = reader.offset
    reader.raw(length)
    const body = new BytesReader(payload, start, start + length)
    visit(decodeBody(body, kind, group))
    body.expectEnd()
  }
}

function decodeBody(body: BytesReader, kind: number, group: GroupId): WalRecord {
  switch (kind) {
    case REPLICA:
      return { kind: 'replica', group, replicaId: asReplicaId(body.u32()) }
    case HARD_STATE:
      return { kind: 'hardState', group, hardState: readHardState(body) }
    case TRUNCATION:
      return { kind: 'truncation', group, from: asLogIndex(body.u64()) }
    case BASE_SWITCH:
      return { kind: 'baseSwitch', group, directory: body.u32(), point: readPoint(body), keepsSuffix: body.u8() === 1 }
    case COMPACTION:
      return { kind: 'compaction', group, point: readPoint(body) }
    case ENTRIES:
      return { kind: 'entries', group, entries: decodeEntries(body) }
    case COPY:
      return { kind: 'copy', group, entries: decodeEntries(body) }
    case FORGET:
      return { kind: 'forget', group }
    case GROUP:
      return { kind: 'group', summary: readGroup(body, group) }
    case OPENING:
      return readOpening(body)
    case CUT:
      return { kind: 'cut', predecessor: readEnd(body) }
    default:
      throw new DecodeError(`log record: unknown kind ${kind}`)
  }
}

function readGroup(body: BytesReader, group: GroupId): GroupSummary {
  return {
    group,
    replicaId: asReplicaId(body.u32()),
    hardState: readHardState(body),
    compaction: readPoint(body),
    baseDirectory: body.u32(),
    last: readPoint(body),
  }
}

function readOpening(body: BytesReader): WalRecord {
  const how = body.u8()
  if (how !== OPENED_FRESH && how !== OPENED_BY_ROLL && how !== OPENED_BY_RECOVERY) {
    throw new DecodeError(`log opening: unknown kind ${how}`)
  }
  return { kind: 'opening', how, lastPart: body.u8() === 1, groupCount: body.u32(), predecessor: readEnd(body) }
}
