/**
 * The fields of a command payload, read where they lie: apply runs once for every write, and a decoded header object
 * with its views was a tenth of its time. The format is drawn in protocol/command.ts; a test compares the two readers.
 */
import { DecodeError } from '../base/bytes.ts'
import { type Command, PAYLOAD_HEADER_BYTES } from '../protocol/command.ts'

export const KIND_OFFSET = 0
export const SLOT_OFFSET = 2
export const SLOT_EPOCH_OFFSET = 4
export const STAMP_OFFSET = 8
export const SESSION_OFFSET = 16
export const SEQUENCE_OFFSET = 24
export const LOWEST_UNANSWERED_OFFSET = 32
export const RETRY_UNTIL_OFFSET = 40

export function u16At(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8)
}

export function u32At(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}

/** Not checked to be a safe integer: the caller does, where it matters. */
export function u64At(bytes: Uint8Array, at: number): number {
  return u32At(bytes, at) + u32At(bytes, at + 4) * 0x1_0000_0000
}

/** The command behind a payload's header, or `from` any other offset. Arguments are views. Throws DecodeError. */
export function commandAt(bytes: Uint8Array, from: number = PAYLOAD_HEADER_BYTES): Command {
  const end = bytes.length
  if (end - from < 6) throw new DecodeError('command: shorter than its head')
  const opcode = u16At(bytes, from)
  const count = u32At(bytes, from + 2)
  let at = from + 6
  if (count * 4 > end - at) throw new DecodeError(`command: ${count} arguments do not fit`)
  const args: Uint8Array[] = new Array(count)
  for (let i = 0; i < count; i++) {
    if (end - at < 4) throw new DecodeError('command: cut off')
    const length = u32At(bytes, at)
    at += 4
    if (length > end - at) throw new DecodeError('command: cut off')
    args[i] = bytes.subarray(at, at + length)
    at += length
  }
  if (at !== end) throw new DecodeError(`command: ${end - at} bytes left over`)
  return { opcode, args }
}
