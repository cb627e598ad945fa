/**
 * Sending an image (InstallSnapshot, thesis 5.1): the sender offers, the receiver accepts before anything is read, chunks
 * of at most 1 MiB follow in order, each acknowledged once it is written, so that the sender has a bounded window in flight.
 *
 *   message := u8 type | u32 group | u32 from replica | u32 to replica | u64 transfer | body
 *   offer   := u64 term | u64 index | u64 last term | u64 size | blob membership
 *   answer  := u8 accepted
 *   chunk   := u64 offset | blob bytes
 *   ack     := u64 next offset
 *   end     := u64 size | u32 CRC32C of the whole
 *   outcome := u8 installed
 */
import {
  asGroupId,
  asLogIndex,
  asReplicaId,
  asTerm,
  type GroupId,
  type LogIndex,
  type ReplicaId,
  type Term,
} from '../base/brand.ts'
import { type BytesReader, BytesWriter, DecodeError } from '../base/bytes.ts'
import { decodeMembership, encodeMembership, type Membership } from './membership.ts'

export const IMAGE_CHUNK_BYTES_MAX = 1 << 20

interface ImageEnvelope {
  readonly group: GroupId
  readonly from: ReplicaId
  readonly to: ReplicaId
  /** The sender's number for this transfer, unique while its process lives. */
  readonly transfer: number
}

export interface ImageOffer extends ImageEnvelope {
  readonly type: 'offer'
  readonly term: Term
  readonly index: LogIndex
  readonly lastTerm: Term
  readonly sizeBytes: number
  readonly membership: Membership
}
export interface ImageAnswer extends ImageEnvelope {
  readonly type: 'answer'
  readonly accepted: boolean
}
export interface ImageChunk extends ImageEnvelope {
  readonly type: 'chunk'
  readonly offset: number
  readonly bytes: Uint8Array
}
export interface ImageAck extends ImageEnvelope {
  readonly type: 'ack'
  readonly nextOffset: number
}
export interface ImageEnd extends ImageEnvelope {
  readonly type: 'end'
  readonly sizeBytes: number
  readonly crc32c: number
}
export interface ImageOutcome extends ImageEnvelope {
  readonly type: 'outcome'
  readonly installed: boolean
}
export type ImageMessage = ImageOffer | ImageAnswer | ImageChunk | ImageAck | ImageEnd | ImageOutcome

const TYPES: readonly ImageMessage['type'][] = ['offer', 'answer', 'chunk', 'ack', 'end', 'outcome']

export function encodeImageMessage(message: ImageMessage): Uint8Array {
  const writer = new BytesWriter(message.type === 'chunk' ? 64 + message.bytes.length : 256)
  writer.u8(TYPES.indexOf(message.type))
  writer.u32(message.group)
  writer.u32(message.from)
  writer.u32(message.to)
  writer.u64(message.transfer)
  switch (message.type) {
    case 'offer':
      writer.u64(message.term)
      writer.u64(message.index)
      writer.u64(message.lastTerm)
      writer.u64(message.sizeBytes)
      writer.blob(encodeMembership(message.membership))
      break
    case 'answer':
      writer.u8(message.accepted ? 1 : 0)
      break
    case 'chunk':
      writer.u64(message.offset)
      writer.blob(message.bytes)
      break
    case 'ack':
      writer.u64(message.nextOffset)
      break
    case 'end':
      writer.u64(message.sizeBytes)
      writer.u32(message.crc32c)
      break
    case 'outcome':
      writer.u8(message.installed ? 1 : 0)
      break
  }
  return writer.finish()
}

/** Throws DecodeError. A chunk's bytes are a view. */
export function decodeImageMessage(reader: BytesReader): ImageMessage {
  const type = TYPES[reader.u8()]
  const group = asGroupId(reader.u32())
  const from = asReplicaId(reader.u32())
  const to = asReplicaId(reader.u32())
  const transfer = reader.u64()
  switch (type) {
    case 'offer': {
      const term = asTerm(reader.u64())
      const index = asLogIndex(reader.u64())
      const lastTerm = asTerm(reader.u64())
      const sizeBytes = reader.u64()
      return {
        type,
        group,
        from,
        to,
        transfer,
        term,
        index,
        lastTerm,
        sizeBytes,
        membership: decodeMembership(reader.blob()),
      }
    }
    case 'answer':
      return { type, group, from, to, transfer, accepted: reader.u8() === 1 }
    case 'chunk':
      return { type, group, from, to, transfer, offset: reader.u64(), bytes: reader.blob() }
    case 'ack':
      return { type, group, from, to, transfer, nextOffset: reader.u64() }
    case 'end':
      return { type, group, from, to, transfer, sizeBytes: reader.u64(), crc32c: reader.u32() }
    case 'outcome':
      return { type, group, from, to, transfer, installed: reader.u8() === 1 }
    default:
      throw new DecodeError('image message: unknown type')
  }
}
