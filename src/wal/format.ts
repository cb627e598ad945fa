/**
 * The write-ahead log's files, format version 1. All numbers are little-endian; docs/wal-format.md tells the whole story.
 *
 *   segment-<incarnation, 16 digits>.wal    a segment in use, or prepared as the next one
 *   spare-<number>.wal                      zero-written or recycled, its contents mean nothing
 *   new-<number>.wal                        being zero-written; removed at the next start
 *
 *   segment := header block (4 KiB) | batch* | whatever was there before
 *
 *   header block                              batch (starts on a 4 KiB block)
 *    0  8  magic "QRTWAL\r\n"                  0  4  magic "WALB"
 *    8  4  format version                      4  4  CRC-32C from the log's salt over [8, 64 + payload length)
 *   12  4  block bytes (4096)                  8  8  incarnation of the segment
 *   16  8  incarnation                        16  8  sequence number, rising by one through the whole log
 *   24  8  segment bytes                      24  8  last sequence number known synced
 *   32  8  log id                             32  8  newest incarnation that the directory durably names
 *   40 20  zero                               40  4  payload length
 *   60  4  CRC-32C of [0, 60)                 44  4  chain: the CRC of the batch before (0: the first of all)
 *                                             48  1  kind
 *                                             49 15  zero
 *                                             64     payload: records (records.ts); then zeros to the next block
 *
 * The header's layout up to its CRC is the same in every version, so that an older program can tell a newer format
 * from damage. The CRC starts from a salt that the log id gives, so that no client can put a valid batch into a value.
 */
import { assert } from '../base/assert.ts'
import { BytesReader, BytesWriter } from '../base/bytes.ts'
import { crc32c } from '../base/crc32c.ts'

export const FORMAT_VERSION = 1
export const BLOCK_BYTES = 4096
export const BATCH_HEADER_BYTES = 64

const SEGMENT_MAGIC = [0x51, 0x52, 0x54, 0x57, 0x41, 0x4c, 0x0d, 0x0a]
const SEGMENT_CRC_OFFSET = 60
const BATCH_MAGIC = 0x424c4157

/** Records that users appended, and copies of live ranges. */
export const BATCH_DATA = 1
/** Empty: its header says what is synced. */
export const BATCH_MARK = 2
/** A part of a segment's opening: where the predecessor ends, and every group's state. */
export const BATCH_OPENING = 3
/** Ends the opening of a segment that recovery wrote. */
export const BATCH_CUT = 4
export type BatchKind = typeof BATCH_DATA | typeof BATCH_MARK | typeof BATCH_OPENING | typeof BATCH_CUT

export interface SegmentHeader {
  readonly version: number
  readonly incarnation: number
  readonly segmentBytes: number
  readonly logId: number
}

export interface BatchHeader {
  readonly crc: number
  readonly incarnation: number
  readonly sequence: number
  readonly syncedSequence: number
  readonly newestIncarnation: number
  readonly payloadBytes: number
  readonly chain: number
  readonly kind: BatchKind
}

/** Where a segment's proven batches end: the offset after the last, its sequence number and its CRC. */
export interface SegmentEnd {
  readonly incarnation: number
  readonly offset: number
  readonly sequence: number
  readonly chain: number
}

export const roundUpToBlock = (bytes: number): number => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES

/** What a batch takes in its segment. */
export const batchBytes = (payloadBytes: number): number => roundUpToBlock(BATCH_HEADER_BYTES + payloadBytes)

export const segmentName = (incarnation: number): string => `segment-${String(incarnation).padStart(16, '0')}.wal`
export const spareName = (number: number): string => `spare-${number}.wal`
export const unfinishedName = (number: number): string => `new-${number}.wal`

export type WalFileName =
  | { readonly kind: 'segment'; readonly incarnation: number }
  | { readonly kind: 'spare'; readonly number: number }
  | { readonly kind: 'unfinished'; readonly number: number }

/** Null: not a file of the log. */
export function parseFileName(name: string): WalFileName | null {
  const match = /^(?:segment-(\d{16})|spare-(\d{1,15})|new-(\d{1,15}))\.wal$/.exec(name)
  if (match === null) return null
  if (match[1] !== undefined) return { kind: 'segment', incarnation: Number(match[1]) }
  if (match[2] !== undefined) return { kind: 'spare', number: Number(match[2]) }
  return { kind: 'unfinished', number: Number(match[3]) }
}

/** One whole block. */
export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const writer = new BytesWriter(BLOCK_BYTES)
  for (const byte of SEGMENT_MAGIC) writer.u8(byte)
  writer.u32(header.version)
  writer.u32(BLOCK_BYTES)
  writer.u64(header.incarnation)
  writer.u64(header.segmentBytes)
  writer.u64(header.logId)
  writer.reserve(SEGMENT_CRC_OFFSET - writer.length)
  writer.u32(crc32c(writer.bytes, 0, SEGMENT_CRC_OFFSET))
  writer.reserve(BLOCK_BYTES - writer.length)
  return writer.finish()
}

/** A newer version's header carries its number and nothing else that this program may rely on. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | null {
  if (bytes.length < SEGMENT_CRC_OFFSET + 4) return null
  for (let i = 0; i < SEGMENT_MAGIC.length; i++) if (bytes[i] !== SEGMENT_MAGIC[i]) return null
  const reader = new BytesReader(bytes, SEGMENT_MAGIC.length)
  const version = reader.u32()
  if (new BytesReader(bytes, SEGMENT_CRC_OFFSET).u32() !== crc32c(bytes, 0, SEGMENT_CRC_OFFSET)) return null
  if (version > FORMAT_VERSION) return { version, incarnation: 0, segmentBytes: 0, logId: 0 }
  if (version !== FORMAT_VERSION || reader.u32() !== BLOCK_BYTES) return null
  const header = { version, incarnation: reader.u64(), segmentBytes: reader.u64(), logId: reader.u64() }
  return header.segmentBytes % BLOCK_BYTES === 0 && header.segmentBytes >= 2 * BLOCK_BYTES ? header : null
}

/** What every batch CRC of a log starts from. */
export function logSalt(logId: number): number {
  const writer = new BytesWriter(8)
  writer.u64(logId)
  return crc32c(writer.bytes, 0, 8)
}

/**
 * Fills in the header before a payload that starts at BATCH_HEADER_BYTES of the writer, and pads with zeros to whole blocks.
 * Returns the CRC, which is the next batch's chain value. The buffer is re-used, so the padding must be cleared.
 */
export function sealBatch(
  writer: BytesWriter,
  salt: number,
  header: Omit<BatchHeader, 'crc' | 'payloadBytes'>,
): number {
  const end = writer.length
  assert(end >= BATCH_HEADER_BYTES, 'sealBatch: no room was kept for the header')
  assert(header.syncedSequence < header.sequence, 'sealBatch: a batch cannot prove itself')
  writer.reserve(roundUpToBlock(end) - end)
  writer.bytes.fill(0, end, writer.length)
  const bytes = writer.bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, BATCH_HEADER_BYTES)
  view.setUint32(0, BATCH_MAGIC, true)
  putU64(view, 8, header.incarnation)
  putU64(view, 16, header.sequence)
  putU64(view, 24, header.syncedSequence)
  putU64(view, 32, header.newestIncarnation)
  view.setUint32(40, end - BATCH_HEADER_BYTES, true)
  view.setUint32(44, header.chain, true)
  bytes.fill(0, 48, BATCH_HEADER_BYTES)
  bytes[48] = header.kind
  const crc = crc32c(bytes, 8, end, salt)
  view.setUint32(4, crc, true)
  return crc
}

function putU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true)
}

function getU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000
}

/** Reads the 64 bytes at `at`; null where they cannot be a batch header of a segment that has `roomBytes` left there. */
export function decodeBatchHeader(bytes: Uint8Array, at: number, roomBytes: number): BatchHeader | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, BATCH_HEADER_BYTES)
  if (view.getUint32(0, true) !== BATCH_MAGIC) return null
  const kind = bytes[at + 48]
  const header = {
    crc: view.getUint32(4, true),
    incarnation: getU64(view, 8),
    sequence: getU64(view, 16),
    syncedSequence: getU64(view, 24),
    newestIncarnation: getU64(view, 32),
    payloadBytes: view.getUint32(40, true),
    chain: view.getUint32(44, true),
    kind: kind as BatchKind,
  }
  if (kind < BATCH_DATA || kind > BATCH_CUT || batchBytes(header.payloadBytes) > roomBytes) return null
  if (!Number.isSafeInteger(header.sequence) || header.syncedSequence >= header.sequence) return null
  return header
}

/** `bytes` holds header and payload from `at` on. */
export function batchCrcMatches(bytes: Uint8Array, at: number, header: BatchHeader, salt: number): boolean {
  return crc32c(bytes, at + 8, at + BATCH_HEADER_BYTES + header.payloadBytes, salt) === header.crc
}
