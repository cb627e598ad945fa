/**
 * Frames between nodes. A connection carries nothing else:
 *
 *   frame    := u32 length of what follows the CRC | u32 CRC32C of what follows it
 *               | u8 frame version | u8 kind | u16 reserved(0) | payload
 *   HELLO    := 8 bytes magic | u16 protocol version | u8 lane | u8 reserved(0) | u32 from node | u32 to node
 *               | 16 bytes cluster id | u64 incarnation | u32 length, authentication
 *   MESSAGES := u64 sender's wall clock ms | (u32 length | bytes)*
 *   PING     := u64 sender's wall clock ms
 *   PONG     := nothing
 *   REFUSAL  := u8 code | u8 frame version spoken | u16 protocol version spoken | latin1 text
 *
 * The first frame each way is HELLO (or REFUSAL, then the end). The frame header and the head of HELLO up to the
 * protocol version never change, so that any two versions can tell each other why they do not talk.
 * A foreign or broken frame costs its connection and nothing else: the decoder says so and is not used again.
 */

import { assert } from '../base/assert.ts'
import { asNodeId, type NodeId } from '../base/brand.ts'
import { BytesReader, BytesWriter, DecodeError, equalBytes, latin1Bytes, latin1Text } from '../base/bytes.ts'
import { crc32c } from '../base/crc32c.ts'

export const FRAME_VERSION = 1
/** What the messages inside mean; rises when a message changes its layout. */
export const PROTOCOL_VERSION = 1

/** Length and CRC, which `length` does not count. */
const PREFIX_BYTES = 8
export const FRAME_HEADER_BYTES = 12
/** A whole frame, header included. */
export const MAX_FRAME_BYTES = 16 * 1024 * 1024
/** The largest value (8 MiB), a transaction's 1 MiB around it, and room for what carries them. */
export const MAX_MESSAGE_BYTES = 10 * 1024 * 1024
/** Until HELLO has been checked a stranger gets no more room than this. */
export const MAX_HELLO_FRAME_BYTES = 4096
export const MAX_AUTHENTICATION_BYTES = 1024

export const FRAME_HELLO = 1
export const FRAME_MESSAGES = 2
export const FRAME_PING = 3
export const FRAME_PONG = 4
export const FRAME_REFUSAL = 5

export const CLUSTER_ID_BYTES = 16
const HELLO_MAGIC = latin1Bytes('QUORPEER')
const HELLO_FIXED_BYTES = HELLO_MAGIC.length + 4 + 8 + CLUSTER_ID_BYTES + 8 + 4

/** What a message takes in a MESSAGES frame beside its bytes. */
export const MESSAGE_OVERHEAD_BYTES = 4
/** What a MESSAGES frame takes beside its messages. */
export const MESSAGES_OVERHEAD_BYTES = FRAME_HEADER_BYTES + 8

export interface Hello {
  readonly protocolVersion: number
  readonly lane: number
  readonly from: NodeId
  readonly to: NodeId
  readonly clusterId: Uint8Array
  /** Tells one process of a node from the next; not ordered. */
  readonly incarnation: number
  readonly authentication: Uint8Array
}

export type RefusalCode = 'version' | 'cluster' | 'authentication' | 'node' | 'lane' | 'protocol'

const REFUSAL_CODES: readonly RefusalCode[] = ['version', 'cluster', 'authentication', 'node', 'lane', 'protocol']

export interface Refusal {
  readonly code: RefusalCode
  readonly text: string
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

function getU32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}

/** Writes the header of the frame whose payload already lies in bytes[at + FRAME_HEADER_BYTES, end). */
function sealFrame(bytes: Uint8Array, at: number, end: number, kind: number): void {
  assert(end - at <= MAX_FRAME_BYTES, 'frame: larger than MAX_FRAME_BYTES')
  putU32(bytes, at, end - at - PREFIX_BYTES)
  bytes[at + 8] = FRAME_VERSION
  bytes[at + 9] = kind
  bytes[at + 10] = 0
  bytes[at + 11] = 0
  putU32(bytes, at + 4, crc32c(bytes, at + PREFIX_BYTES, end))
}

function frameOf(kind: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + payload.length)
  bytes.set(payload, FRAME_HEADER_BYTES)
  sealFrame(bytes, 0, bytes.length, kind)
  return bytes
}

export const PONG_FRAME: Uint8Array = frameOf(FRAME_PONG, new Uint8Array(0))

export function encodePingFrame(wallMs: number): Uint8Array {
  const writer = new BytesWriter(8)
  writer.u64(wallMs)
  return frameOf(FRAME_PING, writer.finish())
}

export function encodeHelloFrame(hello: Hello): Uint8Array {
  assert(hello.clusterId.length === CLUSTER_ID_BYTES, 'HELLO: the cluster id has 16 bytes')
  assert(hello.authentication.length <= MAX_AUTHENTICATION_BYTES, 'HELLO: authentication is too long')
  const writer = new BytesWriter(HELLO_FIXED_BYTES + hello.authentication.length)
  writer.raw(HELLO_MAGIC)
  writer.u16(hello.protocolVersion)
  writer.u8(hello.lane)
  writer.u8(0)
  writer.u32(hello.from)
  writer.u32(hello.to)
  writer.raw(hello.clusterId)
  writer.u64(hello.incarnation)
  writer.blob(hello.authentication)
  return frameOf(FRAME_HELLO, writer.finish())
}

/** Of another protocol version only magic and version are read; the rest is zero. Throws DecodeError. */
export function decodeHello(payload: Uint8Array): Hello {
  const reader = new BytesReader(payload)
  if (!equalBytes(reader.raw(HELLO_MAGIC.length), HELLO_MAGIC)) throw new DecodeError('HELLO: wrong magic')
  const protocolVersion = reader.u16()
  if (protocolVersion !== PROTOCOL_VERSION) {
    const clusterId = new Uint8Array(CLUSTER_ID_BYTES)
    const nobody = asNodeId(0)
    return { protocolVersion, lane: 0, from: nobody, to: nobody, clusterId, incarnation: 0, authentication: clusterId }
  }
  const lane = reader.u8()
  reader.u8()
  const from = asNodeId(reader.u32())
  const to = asNodeId(reader.u32())
  const clusterId = reader.raw(CLUSTER_ID_BYTES)
  const incarnation = reader.u64()
  const authentication = reader.blob()
  reader.expectEnd()
  return { protocolVersion, lane, from, to, clusterId, incarnation, authentication }
}

export function encodeRefusalFrame(refusal: Refusal): Uint8Array {
  const text = latin1Bytes(refusal.text.slice(0, 512))
  const writer = new BytesWriter(4 + text.length)
  writer.u8(REFUSAL_CODES.indexOf(refusal.code) + 1)
  writer.u8(FRAME_VERSION)
  writer.u16(PROTOCOL_VERSION)
  writer.raw(text)
  return frameOf(FRAME_REFUSAL, writer.finish())
}

/** Throws DecodeError. */
export function decodeRefusal(payload: Uint8Array): Refusal {
  const reader = new BytesReader(payload)
  const code = REFUSAL_CODES[reader.u8() - 1]
  if (code === undefined) throw new DecodeError('REFUSAL: unknown code')
  reader.u8()
  reader.u16()
  return { code, text: latin1Text(reader.raw(reader.remaining)) }
}

/**
 * Writes the MESSAGES frame of messages[from, to) at bytes[at] and returns its end. The caller has counted the room:
 * MESSAGES_OVERHEAD_BYTES, and MESSAGE_OVERHEAD_BYTES with each message.
 */
export function writeMessagesFrame(
  bytes: Uint8Array,
  at: number,
  messages: readonly Uint8Array[],
  from: number,
  to: number,
  wallMs: number,
): number {
  putU32(bytes, at + FRAME_HEADER_BYTES, wallMs >>> 0)
  putU32(bytes, at + FRAME_HEADER_BYTES + 4, Math.floor(wallMs / 0x1_0000_0000))
  let end = at + MESSAGES_OVERHEAD_BYTES
  for (let i = from; i < to; i++) {
    const message = messages[i]
    putU32(bytes, end, message.length)
    bytes.set(message, end + MESSAGE_OVERHEAD_BYTES)
    end += MESSAGE_OVERHEAD_BYTES + message.length
  }
  sealFrame(bytes, at, end, FRAME_MESSAGES)
  return end
}

/** The clock of a MESSAGES or PING payload. Throws DecodeError. */
export function decodeFrameClock(payload: Uint8Array): number {
  return new BytesReader(payload).u64()
}

/**
 * Visits the messages of a MESSAGES payload as views of it, in order, until `visit` returns false. Everything is
 * checked before the first visit. Throws DecodeError.
 */
export function visitMessages(payload: Uint8Array, visit: (message: Uint8Array) => boolean): void {
  let at = 8
  while (at < payload.length) {
    if (payload.length - at < MESSAGE_OVERHEAD_BYTES) throw new DecodeError(`MESSAGES: torn length at ${at}`)
    const length = getU32(payload, at)
    if (length > MAX_MESSAGE_BYTES) throw new DecodeError(`MESSAGES: message of ${length} bytes at ${at}`)
    at += MESSAGE_OVERHEAD_BYTES + length
  }
  if (at !== payload.length) throw new DecodeError(`MESSAGES: ends at ${at} of ${payload.length}`)
  for (at = 8; at < payload.length; ) {
    const start = at + MESSAGE_OVERHEAD_BYTES
    at = start + getU32(payload, at)
    if (!visit(payload.subarray(start, at))) return
  }
}

/** Bytes of the whole frame that starts at `at`; null where its length is not there yet. Nothing is checked. */
export function frameBytesAt(bytes: Uint8Array, at: number): number | null {
  return bytes.length - at < 4 ? null : PREFIX_BYTES + getU32(bytes, at)
}

export interface FrameError {
  readonly code: 'oversize' | 'corrupt' | 'version'
  readonly message: string
}

/**
 * Cuts a byte stream into checked frames. Payloads are copies that belong to the visitor (one array a frame: the
 * messages of one frame share it). What waits for the rest of a frame never takes more than twice what has arrived.
 */
export class FrameDecoder {
  maxFrameBytes: number
  #partial: Uint8Array | null = null
  #partialBytes = 0

  constructor(maxFrameBytes: number) {
    assert(maxFrameBytes >= FRAME_HEADER_BYTES && maxFrameBytes <= MAX_FRAME_BYTES, 'FrameDecoder: bad maxFrameBytes')
    this.maxFrameBytes = maxFrameBytes
  }

  /** Bytes kept for a frame that is not whole yet. */
  get pendingBytes(): number {
    return this.#partialBytes
  }

  /** After an error, or once `visit` returned false, the decoder must not be used again. */
  push(chunk: Uint8Array, visit: (kind: number, payload: Uint8Array) => boolean): FrameError | null {
    let at = 0
    while (at < chunk.length) {
      if (this.#partial !== null || chunk.length - at < PREFIX_BYTES) {
        at = this.#gather(chunk, at)
        const gathered = this.#partial
        if (gathered === null || this.#partialBytes < PREFIX_BYTES) return null
        const frameBytes = PREFIX_BYTES + getU32(gathered, 0)
        const error = this.#checkLength(frameBytes)
        if (error !== null) return error
        if (this.#partialBytes < frameBytes) {
          if (at === chunk.length) return null
          continue
        }
        this.#partial = null
        this.#partialBytes = 0
        const broken = checkFrame(gathered, 0, frameBytes)
        if (broken !== null) return broken
        if (!visit(gathered[9], gathered.subarray(FRAME_HEADER_BYTES, frameBytes))) return null
        continue
      }
      const frameBytes = PREFIX_BYTES + getU32(chunk, at)
      const error = this.#checkLength(frameBytes)
      if (error !== null) return error
      if (chunk.length - at < frameBytes) {
        at = this.#gather(chunk, at)
        continue
      }
      const broken = checkFrame(chunk, at, frameBytes)
      if (broken !== null) return broken
      const payload = chunk.slice(at + FRAME_HEADER_BYTES, at + frameBytes)
      const kind = chunk[at + 9]
      at += frameBytes
      if (!visit(kind, payload)) return null
    }
    return null
  }

  /** Takes what belongs to the frame that is being gathered: first its prefix, then the rest. Returns where it stopped. */
  #gather(chunk: Uint8Array, at: number): number {
    let partial = this.#partial ?? new Uint8Array(PREFIX_BYTES)
    const have = this.#partialBytes
    const wanted = have < PREFIX_BYTES ? PREFIX_BYTES : PREFIX_BYTES + getU32(partial, 0)
    const taken = Math.min(wanted - have, chunk.length - at)
    if (have + taken > partial.length) {
      // Never more than twice what is there: a header's claim alone costs nobody 16 MiB.
      const grown = new Uint8Array(Math.min(wanted, Math.max(have + taken, partial.length * 2)))
      grown.set(partial.subarray(0, have))
      partial = grown
    }
    partial.set(chunk.subarray(at, at + taken), have)
    this.#partial = partial
    this.#partialBytes = have + taken
    return at + taken
  }

  #checkLength(frameBytes: number): FrameError | null {
    if (frameBytes < FRAME_HEADER_BYTES) return { code: 'corrupt', message: `frame of ${frameBytes} bytes` }
    if (frameBytes <= this.maxFrameBytes) return null
    return { code: 'oversize', message: `frame of ${frameBytes} bytes, at most ${this.maxFrameBytes} are taken` }
  }
}

function checkFrame(bytes: Uint8Array, at: number, frameBytes: number): FrameError | null {
  if (getU32(bytes, at + 4) !== crc32c(bytes, at + PREFIX_BYTES, at + frameBytes)) {
    return { code: 'corrupt', message: 'frame checksum does not match' }
  }
  const version = bytes[at + 8]
  if (version === FRAME_VERSION) return null
  return { code: 'version', message: `frame version ${version}, this node speaks ${FRAME_VERSION}` }
}
