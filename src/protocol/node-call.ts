/**
 * Questions between nodes and their answers (ports/node-calls.ts), on the requests lane.
 *
 *   call    := u8 65 | u64 call id | u8 method | body to the end
 *   answer  := u8 66 | u64 call id | u8 taken (0: nobody serves it) | reply to the end
 */
import { type BytesReader, BytesWriter, DecodeError } from '../base/bytes.ts'

/** First byte of the messages between the leaders of two groups (migration-message.ts follows). */
export const MIGRATION_TYPE = 64
export const CALL_TYPE = 65
export const ANSWER_TYPE = 66
/** What a call or an answer takes beside its body. */
export const NODE_CALL_HEADER_BYTES = 10

export type NodeCallMessage =
  | { readonly type: 'call'; readonly id: number; readonly method: number; readonly body: Uint8Array }
  | { readonly type: 'answer'; readonly id: number; readonly taken: boolean; readonly body: Uint8Array }

export function encodeNodeCall(message: NodeCallMessage): Uint8Array {
  const writer = new BytesWriter(NODE_CALL_HEADER_BYTES + message.body.length)
  writer.u8(message.type === 'call' ? CALL_TYPE : ANSWER_TYPE)
  writer.u64(message.id)
  writer.u8(message.type === 'call' ? message.method : message.taken ? 1 : 0)
  writer.raw(message.body)
  return writer.finish()
}

/** Throws DecodeError. Bodies are views. */
export function decodeNodeCall(reader: BytesReader): NodeCallMessage {
  const type = reader.u8()
  const id = reader.u64()
  const third = reader.u8()
  if (type === CALL_TYPE) return { type: 'call', id, method: third, body: reader.raw(reader.remaining) }
  if (type !== ANSWER_TYPE || third > 1) throw new DecodeError(`node call: unknown type ${type}, ${third}`)
  return { type: 'answer', id, taken: third === 1, body: reader.raw(reader.remaining) }
}
