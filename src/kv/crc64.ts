/** CRC-64 "Jones" (polynomial ad93d23594c935a9, reflected, no inversion), as it ends Redis's DUMP payloads. In halves of 32 bits: BigInt is too slow. */

/** Eight bytes, the lowest first. */
export function crc64(bytes: Uint8Array, from: number, to: number): Uint8Array {
  let high = 0
  let low = 0
  for (let i = from; i < to; i++) {
    const at = (low ^ bytes[i]) & 0xff
    low = ((low >>> 8) | (high << 24)) ^ LOW[at]
    high = (high >>> 8) ^ HIGH[at]
  }
  const out = new Uint8Array(8)
  for (let i = 0; i < 4; i++) {
    out[i] = low >>> (8 * i)
    out[i + 4] = high >>> (8 * i)
  }
  return out
}

const REFLECTED_POLYNOMIAL = BigInt.asUintN(64, reflect(0xad93d23594c935a9n))
const LOW = new Int32Array(256)
const HIGH = new Int32Array(256)
for (let byte = 0; byte < 256; byte++) {
  let value = BigInt(byte)
  for (let bit = 0; bit < 8; bit++) value = (value & 1n) === 1n ? (value >> 1n) ^ REFLECTED_POLYNOMIAL : value >> 1n
  LOW[byte] = Number(BigInt.asIntN(32, value))
  HIGH[byte] = Number(BigInt.asIntN(32, value >> 32n))
}

function reflect(value: bigint): bigint {
  let out = 0n
  for (let bit = 0n; bit < 64n; bit++) if ((value >> bit) & 1n) out |= 1n << (63n - bit)
  return out
}
