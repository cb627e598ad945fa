/**
 * The key under which the base file and the memtable hold a value, big-endian so that byte order is the order of
 * (slot, generation, hash, key):
 *
 *   composite key := u16 slot | u64 generation | u48 hash of the key | key
 *
 * and the value with it, little-endian:
 *
 *   record := u64 modification index | u64 expiry in ms (0: never) | value | u32 CRC-32C over composite key and record
 */
import { asLogIndex, type SlotId } from '../base/brand.ts'
import { KEY_HEADER_BYTES, KEY_PREFIX_BYTES, VALUE_CHECKSUM_BYTES } from '../ports/base-file.ts'
import type { Generation, StoredValue } from '../ports/key-space.ts'

export const RECORD_HEADER_BYTES = 16
export const RECORD_OVERHEAD_BYTES = RECORD_HEADER_BYTES + VALUE_CHECKSUM_BYTES

export function writePrefix(target: Uint8Array, slot: SlotId, generation: Generation): void {
  const high = Math.floor(generation / 0x1_0000_0000)
  const low = generation >>> 0
  target[0] = slot >>> 8
  target[1] = slot
  target[2] = high >>> 24
  target[3] = high >>> 16
  target[4] = high >>> 8
  target[5] = high
  target[6] = low >>> 24
  target[7] = low >>> 16
  target[8] = low >>> 8
  target[9] = low
}

export function writeHash(target: Uint8Array, hash: number): void {
  const high = Math.floor(hash / 0x1_0000_0000)
  const low = hash >>> 0
  target[10] = high >>> 8
  target[11] = high
  target[12] = low >>> 24
  target[13] = low >>> 16
  target[14] = low >>> 8
  target[15] = low
}

/** The least key of this slot and generation whose hash is at least `hash`: where a scan starts. */
export function lowestKey(slot: SlotId, generation: Generation, hash: number): Uint8Array {
  const key = new Uint8Array(KEY_HEADER_BYTES)
  writePrefix(key, slot, generation)
  writeHash(key, hash)
  return key
}

/** The end (excluded) of this slot and generation. */
export function endOfGeneration(slot: SlotId, generation: Generation): Uint8Array {
  const key = new Uint8Array(KEY_PREFIX_BYTES)
  writePrefix(key, slot, (generation + 1) as Generation)
  return key
}

/** What a record of `length` bytes at `offset` holds; the value is a view. Plain reads: a DataView a call cost more than all the rest. */
export function storedValue(bytes: Uint8Array, offset: number, length: number): StoredValue {
  return {
    value: bytes.subarray(offset + RECORD_HEADER_BYTES, offset + length - VALUE_CHECKSUM_BYTES),
    modificationIndex: asLogIndex(u64At(bytes, offset)),
    expiresAtMs: u64At(bytes, offset + 8),
  }
}

function u64At(bytes: Uint8Array, at: number): number {
  return u32At(bytes, at) + u32At(bytes, at + 4) * 0x1_0000_0000
}

function u32At(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}
