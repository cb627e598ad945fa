/**
 * Published messages on their way from the publisher's node to the others, and what comes back; they share a lane with passed-on
 * requests (request-message.ts), whose types are 1 and 2.
 *
 *   publish   := u8 3 | u64 id | u32 channel length | channel | message to the end
 *   delivered := u8 4 | u64 id | u32 receivers
 */
import { type BytesReader, BytesWriter, DecodeError } from '../base/bytes.ts'

export const PUBLISH_TYPE = 3
const DELIVERED_TYPE = 4
/** What a message takes beside channel and message. */
export const PUBLISH_HEADER_BYTES = 13

export type PubSubMessage =
  | { readonly type: 'publish'; readonly id: number; readonly channel: Uint8Array; readonly message: Uint8Array }
  | { readonly type: 'delivered'; readonly id: number; readonly receivers: number }

export function encodePublish(id: number, channel: Uint8Array, message: Uint8Array): Uint8Array {
  const writer = new BytesWriter(PUBLISH_HEADER_BYTES + channel.length + message.length)
  writer.u8(PUBLISH_TYPE)
  writer.u64(id)
  writer.blob(channel)
  writer.raw(message)
  return writer.finish()
}

export function encodeDelivered(id: number, receivers: number): Uint8Array {
  const writer = new BytesWriter(13)
  writer.u8(DELIVERED_TYPE)
  writer.u64(id)
  writer.u32(receivers)
  return writer.finish()
}

/** Throws DecodeError. Channel and message are views. */
export function decodePubSubMessage(reader: BytesReader): PubSubMessage {
  const type = reader.u8()
  const id = reader.u64()
  if (type === PUBLISH_TYPE) {
    const channel = reader.blob()
    return { type: 'publish', id, channel, message: reader.raw(reader.remaining) }
  }
  if (type !== DELIVERED_TYPE) throw new DecodeError(`pub/sub message: unknown type ${type}`)
  const receivers = reader.u32()
  reader.expectEnd()
  return { type: 'delivered', id, receivers }
}
