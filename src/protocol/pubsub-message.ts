/**
 * Published messages on their way from the publisher's node to the others, what comes back, and key events; they share a lane with passed-on
 * requests (request-message.ts), whose types are 1 and 2.
 *
 *   publish   := u8 3 | u64 id | u32 channel length | channel | message to the end
 *   delivered := u8 4 | u64 id | u32 receivers
 *   interest  := u8 5 | u8 1: the sender wants to hear of key events of groups of which it has no replica, 0: no more
 *   sharded   := u8 7, else as publish: the channel is a shard channel
 *   key event := u8 6 | u32 length | kind and name, with a blank between | key to the end
 */
import { type BytesReader, BytesWriter, DecodeError, latin1Bytes, latin1Text } from '../base/bytes.ts'

export const PUBLISH_TYPE = 3
const DELIVERED_TYPE = 4
const INTEREST_TYPE = 5
const KEY_EVENT_TYPE = 6
const SHARDED_TYPE = 7
/** What a message takes beside channel and message. */
export const PUBLISH_HEADER_BYTES = 13

export type PubSubMessage =
  | {
      readonly type: 'publish'
      readonly id: number
      readonly channel: Uint8Array
      readonly message: Uint8Array
      readonly sharded: boolean
    }
  | { readonly type: 'delivered'; readonly id: number; readonly receivers: number }
  | { readonly type: 'interest'; readonly wanted: boolean }
  | { readonly type: 'keyEvent'; readonly kind: string; readonly name: string; readonly key: Uint8Array }

export function encodePublish(id: number, channel: Uint8Array, message: Uint8Array, sharded: boolean): Uint8Array {
  const writer = new BytesWriter(PUBLISH_HEADER_BYTES + channel.length + message.length)
  writer.u8(sharded ? SHARDED_TYPE : PUBLISH_TYPE)
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

export function encodeInterest(wanted: boolean): Uint8Array {
  return Uint8Array.of(INTEREST_TYPE, wanted ? 1 : 0)
}

export function encodeKeyEvent(kind: string, name: string, key: Uint8Array): Uint8Array {
  const what = latin1Bytes(`${kind} ${name}`)
  const writer = new BytesWriter(5 + what.length + key.length)
  writer.u8(KEY_EVENT_TYPE)
  writer.blob(what)
  writer.raw(key)
  return writer.finish()
}

/** Throws DecodeError. Channel, message and key are views. */
export function decodePubSubMessage(reader: BytesReader): PubSubMessage {
  const type = reader.u8()
  if (type === INTEREST_TYPE) return { type: 'interest', wanted: reader.u8() === 1 }
  if (type === KEY_EVENT_TYPE) {
    const [kind, name] = latin1Text(reader.blob()).split(' ')
    if (name === undefined) throw new DecodeError('key event: no name')
    return { type: 'keyEvent', kind, name, key: reader.raw(reader.remaining) }
  }
  const id = reader.u64()
  if (type === PUBLISH_TYPE || type === SHARDED_TYPE) {
    const channel = reader.blob()
    const message = reader.raw(reader.remaining)
    return { type: 'publish', id, channel, message, sharded: type === SHARDED_TYPE }
  }
  if (type !== DELIVERED_TYPE) throw new DecodeError(`pub/sub message: unknown type ${type}`)
  const receivers = reader.u32()
  reader.expectEnd()
  return { type: 'delivered', id, receivers }
}
