/**
 * What a metadata session's holder and the masters tell each other. A holder is attached to one master, which answers its reads and keeps its
 * watches; what the leader alone can do (alive, sync, write) that master passes on once, and the answer comes back the same way:
 *
 *   holder -> attached master -> leader          requests; `hops` says whether it was passed on
 *   holder <- attached master <- leader          responses; whoever is not `node` passes them on to it
 *
 *   message  := u8 type | u8 hops | u32 node | u32 client | u64 attachment | u64 request | fields
 *
 *   requests                                                            answered by
 *     96 attach   u64 session (0: none yet) | u32 timeout ms            attached
 *     97 alive    u64 session                                           heard
 *     98 read     u64 min index | u32 count | (u32 length, read)*       replies        read of metadata-command.ts
 *     99 sync                                                           synced
 *    100 write    u32 count | (u32 length, payload)*                    wrote, for each    payload of command.ts
 *    101 watch    u32 count | (u32 id | u8 kind | text path)* | u32 count | (u32 id)*   watching     first those that begin, then those that end
 *    102 ack                                                            nothing: `request` is that of the `fired`
 *   any of them:                                                        refused, detached, over
 *
 *   responses := u64 log time ms | fields
 *    112 attached   u64 applied
 *    113 heard                                           a majority confirmed the leader after it came
 *    114 replies    u64 as of | u32 count | (u32 length, reply)*    to the first reads of the request, at least one
 *    115 synced     u64 as of
 *    116 wrote      u64 sequence | u8 outcome | u32 length, reply
 *    117 watching
 *    118 fired      u64 as of | u32 count | (u32 id)*    unasked; `request` numbers them within the attachment
 *    119 refused                                         not now: no leader, behind, or busy; nothing was done
 *    120 detached                                        this attachment is not known here
 *    121 over       u64 session                          it has ended, in applied state
 *
 * `client` tells the sessions of one node apart, `attachment` rises with each attaching, `request` with each request of the client.
 */
import { unreachable } from '../base/assert.ts'
import { asNodeId, type NodeId } from '../base/brand.ts'
import { BytesReader, BytesWriter, DecodeError } from '../base/bytes.ts'
import type { MetadataPath } from './metadata-operation.ts'
import { readText, writeText } from './metadata-text.ts'
import { OUTCOME_REFUSED, OUTCOME_REPLY, OUTCOME_UNKNOWN, type RequestOutcome } from './request-message.ts'

export interface MetadataEnvelope {
  /** 0: from the holder; 1: passed on by its master. */
  readonly hops: number
  /** Where the session's holder is. */
  readonly node: NodeId
  readonly client: number
  readonly attachment: number
  readonly request: number
}

const WATCH_KINDS = ['node', 'children', 'tree'] as const
export type WatchKind = (typeof WATCH_KINDS)[number]

export interface WatchAsked {
  readonly id: number
  readonly kind: WatchKind
  readonly path: MetadataPath
}

export type MetadataRequestBody =
  | { readonly type: 'attach'; readonly session: number; readonly timeoutMs: number }
  | { readonly type: 'alive'; readonly session: number }
  | { readonly type: 'read'; readonly minIndex: number; readonly reads: readonly Uint8Array[] }
  | { readonly type: 'sync' }
  | { readonly type: 'write'; readonly payloads: readonly Uint8Array[] }
  | { readonly type: 'watch'; readonly added: readonly WatchAsked[]; readonly removed: readonly number[] }
  | { readonly type: 'ack' }

export type MetadataResponseBody =
  | { readonly type: 'attached'; readonly applied: number }
  | { readonly type: 'heard' }
  | { readonly type: 'replies'; readonly asOf: number; readonly replies: readonly Uint8Array[] }
  | { readonly type: 'synced'; readonly asOf: number }
  | { readonly type: 'wrote'; readonly sequence: number; readonly outcome: RequestOutcome; readonly reply: Uint8Array }
  | { readonly type: 'watching' }
  | { readonly type: 'fired'; readonly asOf: number; readonly ids: readonly number[] }
  | { readonly type: 'refused' }
  | { readonly type: 'detached' }
  | { readonly type: 'over'; readonly session: number }

export type MetadataRequest = MetadataEnvelope & MetadataRequestBody
export type MetadataResponse = MetadataEnvelope & MetadataResponseBody & { readonly logTimeMs: number }
export type MetadataMessage =
  | { readonly kind: 'request'; readonly message: MetadataRequest }
  | { readonly kind: 'response'; readonly message: MetadataResponse }

/** No other message between nodes begins with this byte or a higher one up to METADATA_TYPE_MAX. */
export const METADATA_TYPE_MIN = 96
export const METADATA_TYPE_MAX = 127
const RESPONSE_TYPE_MIN = 112

const REQUEST_TYPES = ['attach', 'alive', 'read', 'sync', 'write', 'watch', 'ack'] as const
const RESPONSE_TYPES = [
  'attached',
  'heard',
  'replies',
  'synced',
  'wrote',
  'watching',
  'fired',
  'refused',
  'detached',
  'over',
] as const
const HOPS_OFFSET = 1
const HOPS_MAX = 1
/** Id, kind, and the length of the path. */
const SMALLEST_WATCH_BYTES = 9

export function encodeMetadataRequest(message: MetadataRequest): Uint8Array {
  const writer = new BytesWriter(128)
  writer.u8(METADATA_TYPE_MIN + REQUEST_TYPES.indexOf(message.type))
  writeEnvelope(writer, message)
  switch (message.type) {
    case 'attach':
      writer.u64(message.session)
      writer.u32(message.timeoutMs)
      break
    case 'alive':
      writer.u64(message.session)
      break
    case 'read':
      writer.u64(message.minIndex)
      writeBlobs(writer, message.reads)
      break
    case 'write':
      writeBlobs(writer, message.payloads)
      break
    case 'watch':
      writer.u32(message.added.length)
      for (const { id, kind, path } of message.added) {
        writer.u32(id)
        writer.u8(WATCH_KINDS.indexOf(kind))
        writeText(writer, path)
      }
      writeIds(writer, message.removed)
      break
    case 'sync':
    case 'ack':
      break
    default:
      unreachable(message)
  }
  return writer.finish()
}

export function encodeMetadataResponse(message: MetadataResponse): Uint8Array {
  const writer = new BytesWriter(128)
  writer.u8(RESPONSE_TYPE_MIN + RESPONSE_TYPES.indexOf(message.type))
  writeEnvelope(writer, message)
  writer.u64(message.logTimeMs)
  switch (message.type) {
    case 'attached':
      writer.u64(message.applied)
      break
    case 'replies':
      writer.u64(message.asOf)
      writeBlobs(writer, message.replies)
      break
    case 'synced':
      writer.u64(message.asOf)
      break
    case 'wrote':
      writer.u64(message.sequence)
      writer.u8(message.outcome)
      writer.blob(message.reply)
      break
    case 'fired':
      writer.u64(message.asOf)
      writeIds(writer, message.ids)
      break
    case 'over':
      writer.u64(message.session)
      break
    case 'heard':
    case 'watching':
    case 'refused':
    case 'detached':
      break
    default:
      unreachable(message)
  }
  return writer.finish()
}

/** The same message, passed on. */
export function passedOn(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice()
  copy[HOPS_OFFSET] = HOPS_MAX
  return copy
}

/** Reads, payloads and replies are views. Throws DecodeError. */
export function decodeMetadataMessage(bytes: Uint8Array): MetadataMessage {
  const reader = new BytesReader(bytes)
  const type = reader.u8()
  const hops = reader.u8()
  if (hops > HOPS_MAX) throw new DecodeError(`metadata message: passed on ${hops} times`)
  const ends = { hops, node: asNodeId(reader.u32()), client: reader.u32() }
  const envelope = { ...ends, attachment: reader.u64(), request: reader.u64() }
  if (type >= RESPONSE_TYPE_MIN) {
    const logTimeMs = reader.u64()
    const body = readResponse(reader, typeOf(RESPONSE_TYPES, type - RESPONSE_TYPE_MIN))
    reader.expectEnd()
    return { kind: 'response', message: { ...envelope, logTimeMs, ...body } }
  }
  const body = readRequest(reader, typeOf(REQUEST_TYPES, type - METADATA_TYPE_MIN))
  reader.expectEnd()
  return { kind: 'request', message: { ...envelope, ...body } }
}

function readRequest(reader: BytesReader, type: MetadataRequest['type']): MetadataRequestBody {
  switch (type) {
    case 'attach':
      return { type, session: reader.u64(), timeoutMs: reader.u32() }
    case 'alive':
      return { type, session: reader.u64() }
    case 'read':
      return { type, minIndex: reader.u64(), reads: readBlobs(reader) }
    case 'write':
      return { type, payloads: readBlobs(reader) }
    case 'watch': {
      const count = countOf(reader, SMALLEST_WATCH_BYTES)
      const added: WatchAsked[] = []
      for (let i = 0; i < count; i++) {
        added.push({ id: reader.u32(), kind: typeOf(WATCH_KINDS, reader.u8()), path: readText(reader) })
      }
      return { type, added, removed: readIds(reader) }
    }
    case 'sync':
    case 'ack':
      return { type }
    default:
      return unreachable(type)
  }
}

function readResponse(reader: BytesReader, type: MetadataResponse['type']): MetadataResponseBody {
  switch (type) {
    case 'attached':
      return { type, applied: reader.u64() }
    case 'replies':
      return { type, asOf: reader.u64(), replies: readBlobs(reader) }
    case 'synced':
      return { type, asOf: reader.u64() }
    case 'wrote':
      return { type, sequence: reader.u64(), outcome: readOutcome(reader), reply: reader.blob() }
    case 'fired':
      return { type, asOf: reader.u64(), ids: readIds(reader) }
    case 'over':
      return { type, session: reader.u64() }
    case 'heard':
    case 'watching':
    case 'refused':
    case 'detached':
      return { type }
    default:
      return unreachable(type)
  }
}

function writeEnvelope(writer: BytesWriter, { hops, node, client, attachment, request }: MetadataEnvelope): void {
  writer.u8(hops)
  writer.u32(node)
  writer.u32(client)
  writer.u64(attachment)
  writer.u64(request)
}

function writeBlobs(writer: BytesWriter, blobs: readonly Uint8Array[]): void {
  writer.u32(blobs.length)
  for (const blob of blobs) writer.blob(blob)
}

function readBlobs(reader: BytesReader): Uint8Array[] {
  const count = countOf(reader, 4)
  const blobs: Uint8Array[] = []
  for (let i = 0; i < count; i++) blobs.push(reader.blob())
  return blobs
}

function writeIds(writer: BytesWriter, ids: readonly number[]): void {
  writer.u32(ids.length)
  for (const id of ids) writer.u32(id)
}

function readIds(reader: BytesReader): number[] {
  const count = countOf(reader, 4)
  const ids: number[] = []
  for (let i = 0; i < count; i++) ids.push(reader.u32())
  return ids
}

/** Held against what is there before anything is built. */
function countOf(reader: BytesReader, smallestBytes: number): number {
  const count = reader.u32()
  if (count * smallestBytes > reader.remaining) throw new DecodeError(`metadata message: ${count} items do not fit`)
  return count
}

function readOutcome(reader: BytesReader): RequestOutcome {
  const outcome = reader.u8()
  if (outcome === OUTCOME_REPLY || outcome === OUTCOME_REFUSED || outcome === OUTCOME_UNKNOWN) return outcome
  throw new DecodeError(`metadata message: unknown outcome ${outcome}`)
}

function typeOf<T>(types: readonly T[], number: number): T {
  if (number < 0 || number >= types.length) throw new DecodeError(`metadata message: unknown number ${number}`)
  return types[number]
}
