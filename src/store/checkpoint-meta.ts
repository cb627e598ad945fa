/**
 * What a checkpoint says of itself, written in the transaction that writes its keys:
 *
 *   meta := u32 magic "QCPM" | u16 version | u64 applied index | u64 its term | blob membership | blob state | u32 CRC-32C
 *
 * and in the base file, together with a fingerprint of the hash key, since another key would look for every key in the wrong place:
 *
 *   base meta := u64 fingerprint (48 bits) | meta
 */
import { assert } from '../base/assert.ts'
import { asLogIndex, asTerm, type LogIndex, type Term } from '../base/brand.ts'
import { BytesReader, BytesWriter, DecodeError, latin1Bytes } from '../base/bytes.ts'
import { crc32c } from '../base/crc32c.ts'
import type { KeyHash } from '../base/half-siphash.ts'
import { decodeMembership, encodeMembership, type Membership } from '../protocol/membership.ts'

const MAGIC = 0x4d504351
const VERSION = 1

export interface CheckpointMeta {
  /** The last entry whose effect the checkpoint holds. */
  readonly applied: LogIndex
  readonly term: Term
  readonly membership: Membership
  /** The state machine's own (StateMachine.checkpointState). */
  readonly state: Uint8Array
}

export function encodeCheckpointMeta(meta: CheckpointMeta): Uint8Array {
  const writer = new BytesWriter(64 + meta.state.length)
  writer.u32(MAGIC)
  writer.u16(VERSION)
  writer.u64(meta.applied)
  writer.u64(meta.term)
  writer.blob(encodeMembership(meta.membership))
  writer.blob(meta.state)
  writer.u32(crc32c(writer.finish()))
  return writer.copy()
}

/** Throws DecodeError. The state is a view of `bytes`. */
export function decodeCheckpointMeta(bytes: Uint8Array): CheckpointMeta {
  if (bytes.length < 4) throw new DecodeError('checkpoint meta: too short')
  const end = bytes.length - 4
  if (new BytesReader(bytes, end).u32() !== crc32c(bytes, 0, end))
    throw new DecodeError('checkpoint meta: bad checksum')
  const reader = new BytesReader(bytes, 0, end)
  if (reader.u32() !== MAGIC) throw new DecodeError('checkpoint meta: not a checkpoint')
  const version = reader.u16()
  if (version !== VERSION) throw new DecodeError(`checkpoint meta: version ${version}, this program knows ${VERSION}`)
  const meta: CheckpointMeta = {
    applied: asLogIndex(reader.u64()),
    term: asTerm(reader.u64()),
    membership: decodeMembership(reader.blob()),
    state: reader.blob(),
  }
  reader.expectEnd()
  return meta
}

const FINGERPRINT_TEXT = latin1Bytes('quorate hash key')

export function encodeBaseMeta(meta: CheckpointMeta, hash: KeyHash): Uint8Array {
  const writer = new BytesWriter(128 + meta.state.length)
  writer.u64(hash(FINGERPRINT_TEXT, 0, FINGERPRINT_TEXT.length))
  writer.raw(encodeCheckpointMeta(meta))
  assert(writer.length > 8, 'base meta: nothing encoded')
  return writer.copy()
}

/** Throws DecodeError. */
export function decodeBaseMeta(bytes: Uint8Array, hash: KeyHash): CheckpointMeta {
  const fingerprint = new BytesReader(bytes).u64()
  const meta = decodeCheckpointMeta(bytes.slice(8))
  if (fingerprint !== hash(FINGERPRINT_TEXT, 0, FINGERPRINT_TEXT.length)) {
    throw new DecodeError('the base file was written under another hash key')
  }
  return meta
}
