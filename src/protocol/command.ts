/**
 * What a command entry's payload holds, and what a passed-on request carries.
 *
 *   payload  := header | command
 *   header   := u8 kind | u8 reserved(0) | u16 slot | u32 slot epoch | u64 stamp ms
 *               | u64 session | u64 sequence | u64 lowest unanswered | u64 retry until ms          (48 bytes)
 *   command  := u16 opcode | u32 argument count | (u32 length | bytes)*
 *
 * The slot epoch is the reconfig by which the sender believes the group to own the slot; another one is refused in apply, so that of what was
 * sent before a slot went, or before it came, nothing runs behind what was refused.
 * The stamp is the proposing leader's clock, clamped, written in place by the leader (`stampPayload`); 0 means that it
 * does not stamp. Session 0 is the group's own leader (ticks, purges): no exactly-once record is kept for it.
 * EXEC nests: its first argument is the list of watched versions, each further one a whole command:
 *
 *   watches  := u32 count | (u32 length | key | u64 generation | u64 modification index)*
 */
import { asLogIndex, asSlotId, type LogIndex, type SlotId } from '../base/brand.ts'
import { ByteSlab } from '../base/byte-slab.ts'
import { BytesReader, BytesWriter, DecodeError } from '../base/bytes.ts'
import { COMMANDS_BY_OPCODE } from './command-table.ts'

export const PAYLOAD_HEADER_BYTES = 48
const SLOT_EPOCH_OFFSET = 4
const STAMP_OFFSET = 8

/** A client's write, under a session. */
export const PAYLOAD_WRITE = 1
/** Moves logTime along, and nothing else. No command bytes follow. */
export const PAYLOAD_TICK = 2
/** Housekeeping by the leader: the command bytes are one of kv/'s own (purge expired keys, drop a dead generation). */
export const PAYLOAD_HOUSEKEEPING = 3

/** A write to the metadata tree, in the masters' group; see metadata-command.ts. */
export const PAYLOAD_METADATA = 4
/** A step of moving slots to another group; see move-command.ts. */
export const PAYLOAD_MOVE = 5

export type PayloadKind =
  | typeof PAYLOAD_WRITE
  | typeof PAYLOAD_TICK
  | typeof PAYLOAD_HOUSEKEEPING
  | typeof PAYLOAD_METADATA
  | typeof PAYLOAD_MOVE

export interface PayloadHeader {
  readonly kind: PayloadKind
  readonly slot: SlotId
  /** 0 unless given: the slot has been the group's from the beginning. */
  readonly slotEpoch?: number
  readonly stampMs: number
  readonly session: number
  readonly sequence: number
  readonly lowestUnanswered: number
  readonly retryUntilMs: number
}

/** Payloads are kept by the log, oldest first out: cut from slabs they go together. */
const payloadSlab = new ByteSlab()

/** No DataView and no buffer of its own: this runs once for each write. */
export function encodePayload(header: PayloadHeader, command: Uint8Array): Uint8Array {
  const bytes = payloadSlab.take(PAYLOAD_HEADER_BYTES + command.length)
  bytes[0] = header.kind
  bytes[2] = header.slot & 0xff
  bytes[3] = header.slot >>> 8
  putU32(bytes, SLOT_EPOCH_OFFSET, header.slotEpoch ?? 0)
  putU64(bytes, STAMP_OFFSET, header.stampMs)
  putU64(bytes, 16, header.session)
  putU64(bytes, 24, header.sequence)
  putU64(bytes, 32, header.lowestUnanswered)
  putU64(bytes, 40, header.retryUntilMs)
  bytes.set(command, PAYLOAD_HEADER_BYTES)
  return bytes
}

/** The leader's stamp, written where the payload lies. */
export function stampPayload(payload: Uint8Array, stampMs: number): void {
  putU64(payload, STAMP_OFFSET, stampMs)
}

export function payloadSlot(payload: Uint8Array): SlotId {
  return asSlotId(payload[2] | (payload[3] << 8))
}

/** Whether the payload may make the data larger (Redis's `denyoom`), so that a full disk refuses it. EXEC may. */
export function payloadGrows(payload: Uint8Array): boolean {
  if (payload.length < PAYLOAD_HEADER_BYTES + 2 || payload[0] !== PAYLOAD_WRITE) return false
  const opcode = payload[PAYLOAD_HEADER_BYTES] | (payload[PAYLOAD_HEADER_BYTES + 1] << 8)
  const spec = COMMANDS_BY_OPCODE.get(opcode)
  return spec !== undefined && (spec.name === 'exec' || spec.flags.includes('denyoom'))
}

/** Throws DecodeError. The command is `payload.subarray(PAYLOAD_HEADER_BYTES)`. */
export function decodePayloadHeader(payload: Uint8Array): PayloadHeader {
  const reader = new BytesReader(payload)
  const kind = reader.u8()
  if (!isPayloadKind(kind)) throw new DecodeError(`command payload: unknown kind ${kind}`)
  reader.u8()
  const slot = asSlotId(reader.u16())
  const slotEpoch = reader.u32()
  return {
    kind,
    slot,
    slotEpoch,
    stampMs: reader.u64(),
    session: reader.u64(),
    sequence: reader.u64(),
    lowestUnanswered: reader.u64(),
    retryUntilMs: reader.u64(),
  }
}

function isPayloadKind(kind: number): kind is PayloadKind {
  return kind >= PAYLOAD_WRITE && kind <= PAYLOAD_MOVE
}

function putU64(bytes: Uint8Array, at: number, value: number): void {
  putU32(bytes, at, value >>> 0)
  putU32(bytes, at + 4, Math.floor(value / 0x1_0000_0000))
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value & 0xff
  bytes[at + 1] = (value >>> 8) & 0xff
  bytes[at + 2] = (value >>> 16) & 0xff
  bytes[at + 3] = value >>> 24
}

export interface Command {
  readonly opcode: number
  readonly args: readonly Uint8Array[]
}

export function encodeCommand(opcode: number, args: readonly Uint8Array[]): Uint8Array {
  let total = 6
  for (const arg of args) total += 4 + arg.length
  const bytes = new Uint8Array(total)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, opcode, true)
  view.setUint32(2, args.length, true)
  let at = 6
  for (const arg of args) {
    view.setUint32(at, arg.length, true)
    bytes.set(arg, at + 4)
    at += 4 + arg.length
  }
  return bytes
}

/** Arguments are views. Throws DecodeError. */
export function decodeCommand(bytes: Uint8Array, from = 0): Command {
  const reader = new BytesReader(bytes, from)
  const opcode = reader.u16()
  const count = reader.u32()
  if (count * 4 > reader.remaining) throw new DecodeError(`command: ${count} arguments do not fit`)
  const args: Uint8Array[] = []
  for (let i = 0; i < count; i++) args.push(reader.blob())
  reader.expectEnd()
  return { opcode, args }
}

/** What WATCH remembers: the version that the key had. An absent key's is its slot's last delete. */
export interface WatchedVersion {
  readonly key: Uint8Array
  readonly generation: number
  readonly index: LogIndex
}

export function encodeWatches(watches: readonly WatchedVersion[]): Uint8Array {
  const writer = new BytesWriter(64)
  writer.u32(watches.length)
  for (const watch of watches) {
    writer.blob(watch.key)
    writer.u64(watch.generation)
    writer.u64(watch.index)
  }
  return writer.copy()
}

/** Throws DecodeError. */
export function decodeWatches(bytes: Uint8Array): WatchedVersion[] {
  const reader = new BytesReader(bytes)
  const count = reader.u32()
  if (count * 20 > reader.remaining) throw new DecodeError(`watches: ${count} do not fit`)
  const watches: WatchedVersion[] = []
  for (let i = 0; i < count; i++) {
    watches.push({ key: reader.blob(), generation: reader.u64(), index: asLogIndex(reader.u64()) })
  }
  reader.expectEnd()
  return watches
}
