/**
 * From a key to its hash slot, as Redis Cluster computes it: CRC16 (XMODEM) of the key, or of the part between the
 * first `{` and the first `}` after it where that part is not empty, mod 16384. A cluster with fewer slots takes the
 * high bits, so its slot is a run of neighbouring Redis slots (1024 slots: 16 Redis slots each).
 * Source: Redis Cluster specification, "Key distribution model".
 */
import { asSlotId, type SlotId } from './brand.ts'

export const REDIS_SLOT_COUNT = 16384

const CRC16_TABLE = new Uint16Array(256)
for (let byte = 0; byte < 256; byte++) {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  CRC16_TABLE[byte] = crc
}

export function crc16(bytes: Uint8Array, from = 0, to: number = bytes.length): number {
  let crc = 0
  for (let i = from; i < to; i++) crc = ((crc << 8) & 0xffff) ^ CRC16_TABLE[(crc >>> 8) ^ bytes[i]]
  return crc
}

const OPEN = 0x7b
const CLOSE = 0x7d

/** The slot, in 0..16383, that Redis Cluster gives this key. */
export function redisSlot(bytes: Uint8Array, from = 0, to: number = bytes.length): number {
  for (let open = from; open < to; open++) {
    if (bytes[open] !== OPEN) continue
    for (let close = open + 1; close < to; close++) {
      if (bytes[close] !== CLOSE) continue
      return close === open + 1 ? crc16(bytes, from, to) & 0x3fff : crc16(bytes, open + 1, close) & 0x3fff
    }
    break
  }
  return crc16(bytes, from, to) & 0x3fff
}

/** `slotCount` is a power of two, 1..16384. */
export function slotOf(bytes: Uint8Array, slotCount: number, from = 0, to: number = bytes.length): SlotId {
  return asSlotId(Math.floor((redisSlot(bytes, from, to) * slotCount) / REDIS_SLOT_COUNT))
}
