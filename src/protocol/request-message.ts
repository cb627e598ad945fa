/**
 * Requests that a node passes on to the node that leads their group, and the answers.
 *
 *   request  := u8 1 | u32 group | u64 epoch | u64 request id | u8 kind | u8 flags | u16 slot | u32 slot epoch | body to the end
 *   response := u8 2 | u32 group | u64 epoch | u64 request id | u8 outcome | u32 leader's node id | reply to the end
 *
 * `epoch` numbers the sender's streams of requests to one group: order is promised within one. Once the receiver has refused a
 * request of an epoch it refuses all later ones of it, so that nothing overtakes what was refused.
 */
import { asGroupId, asNodeId, asSlotId, type GroupId, type NodeId, type SlotId } from '../base/brand.ts'
import { type BytesReader, BytesWriter, DecodeError } from '../base/bytes.ts'

/** The body is a payload with its session header: see command.ts. */
export const REQUEST_WRITE = 1
/** The body is a command. */
export const REQUEST_READ = 2
export type RequestKind = typeof REQUEST_WRITE | typeof REQUEST_READ

/** The read waits for all writes that came before it in its epoch. */
export const REQUEST_FLAG_AFTER_WRITES = 1

/** The state machine's answer. */
export const OUTCOME_REPLY = 1
/** Not run and never will be: not the leader, or too busy. */
export const OUTCOME_REFUSED = 2
/** A write that may have run, or may still. */
export const OUTCOME_UNKNOWN = 3
export type RequestOutcome = typeof OUTCOME_REPLY | typeof OUTCOME_REFUSED | typeof OUTCOME_UNKNOWN

export interface PassedRequest {
  readonly type: 'request'
  readonly group: GroupId
  readonly epoch: number
  readonly id: number
  readonly kind: RequestKind
  readonly flags: number
  readonly slot: SlotId
  /** Of a read; a write's stands in its payload: see command.ts. */
  readonly slotEpoch: number
  readonly body: Uint8Array
}

export interface PassedResponse {
  readonly type: 'response'
  readonly group: GroupId
  readonly epoch: number
  readonly id: number
  readonly outcome: RequestOutcome
  /** Who leads, as far as the refusing node knows; 0: unknown. */
  readonly leader: NodeId
  readonly reply: Uint8Array
}

export function encodeRequest(request: Omit<PassedRequest, 'type'>): Uint8Array {
  const writer = new BytesWriter(29 + request.body.length)
  writer.u8(1)
  writer.u32(request.group)
  writer.u64(request.epoch)
  writer.u64(request.id)
  writer.u8(request.kind)
  writer.u8(request.flags)
  writer.u16(request.slot)
  writer.u32(request.slotEpoch)
  writer.raw(request.body)
  return writer.finish()
}

export function encodeResponse(response: Omit<PassedResponse, 'type'>): Uint8Array {
  const writer = new BytesWriter(RESPONSE_HEADER_BYTES + response.reply.length)
  writer.u8(2)
  writer.u32(response.group)
  writer.u64(response.epoch)
  writer.u64(response.id)
  writer.u8(response.outcome)
  writer.u32(response.leader)
  writer.raw(response.reply)
  return writer.finish()
}

/** What a response takes beside its reply. */
export const RESPONSE_HEADER_BYTES = 26

/** Throws DecodeError. Bodies are views. */
export function decodeRequestMessage(reader: BytesReader): PassedRequest | PassedResponse {
  const type = reader.u8()
  const group = asGroupId(reader.u32())
  const epoch = reader.u64()
  const id = reader.u64()
  if (type === 1) {
    const kind = reader.u8()
    if (kind !== REQUEST_WRITE && kind !== REQUEST_READ) throw new DecodeError(`request: unknown kind ${kind}`)
    const flags = reader.u8()
    const slot = asSlotId(reader.u16())
    const slotEpoch = reader.u32()
    return { type: 'request', group, epoch, id, kind, flags, slot, slotEpoch, body: reader.raw(reader.remaining) }
  }
  if (type === 2) {
    const outcome = reader.u8()
    if (outcome !== OUTCOME_REPLY && outcome !== OUTCOME_REFUSED && outcome !== OUTCOME_UNKNOWN) {
      throw new DecodeError(`response: unknown outcome ${outcome}`)
    }
    const leader = asNodeId(reader.u32())
    return { type: 'response', group, epoch, id, outcome, leader, reply: reader.raw(reader.remaining) }
  }
  throw new DecodeError(`request message: unknown type ${type}`)
}
