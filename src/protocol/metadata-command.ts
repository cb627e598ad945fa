/**
 * What the metadata tree is asked: writes behind the payload header of an entry (command.ts, kind 4), reads by themselves.
 *
 *   command   := u8 opcode | fields
 *     1 open      u32 timeout ms | 16 bytes nonce             the same nonce again gives the same session
 *     2 close                                                 the header's session
 *     3 expire    u64 session | u64 term | u8 reason          proposed by the leader; void in an entry of another term
 *     4 multi     u32 count | operation*                      by the header's session; 0: the group's own leader
 *    16 get       u64 session | text path                     session 0: whoever asks
 *    17 exists    u64 session | text path
 *    18 children  u64 session | text path
 *
 *   operation := u8 kind | fields
 *     1 create    u8 flags (1 ephemeral, 2 sequential) | text path | u32 length, data
 *     2 set       u64 expected | text path | u32 length, data
 *     3 delete    u64 expected | text path
 *     4 check     u64 expected | text path
 *   expected  := version + 1; 0: any version
 *   text      := metadata-text.ts
 *
 * The same operations have one encoding, and what does not decode throws DecodeError.
 */
import { assert, unreachable } from '../base/assert.ts'
import { asTerm, type Term } from '../base/brand.ts'
import { BytesReader, BytesWriter, DecodeError } from '../base/bytes.ts'
import { ANY_VERSION, type MetadataOperation, type MetadataPath } from './metadata-operation.ts'
import { readText, writeText } from './metadata-text.ts'

export const SESSION_NONCE_BYTES = 16

/** In the order of their numbers on the wire. */
const EXPIRE_REASONS = ['timeout', 'operator'] as const
/** `timeout`: its holder was not heard of. `operator`: somebody said so. */
export type ExpireReason = (typeof EXPIRE_REASONS)[number]

export type MetadataWrite =
  | { readonly kind: 'open'; readonly timeoutMs: number; readonly nonce: Uint8Array }
  | { readonly kind: 'close' }
  | { readonly kind: 'expire'; readonly session: number; readonly term: Term; readonly reason: ExpireReason }
  | { readonly kind: 'multi'; readonly operations: readonly MetadataOperation[] }

export interface MetadataRead {
  readonly kind: 'get' | 'exists' | 'children'
  readonly session: number
  readonly path: MetadataPath
}

const OPEN = 1
const CLOSE = 2
const EXPIRE = 3
const MULTI = 4
const READ_KINDS = new Map<MetadataRead['kind'], number>([
  ['get', 16],
  ['exists', 17],
  ['children', 18],
])

const CREATE = 1
const SET = 2
const DELETE = 3
const CHECK = 4
const FLAG_EPHEMERAL = 1
const FLAG_SEQUENTIAL = 2
/** Kind, flags, and a path of no bytes with its data: what a count is held against before anything is built. */
const SMALLEST_OPERATION_BYTES = 10

export function encodeMetadataWrite(command: MetadataWrite): Uint8Array {
  const writer = new BytesWriter(128)
  switch (command.kind) {
    case 'open':
      assert(command.nonce.length === SESSION_NONCE_BYTES, 'metadata command: a nonce has 16 bytes')
      writer.u8(OPEN)
      writer.u32(command.timeoutMs)
      writer.raw(command.nonce)
      break
    case 'close':
      writer.u8(CLOSE)
      break
    case 'expire':
      writer.u8(EXPIRE)
      writer.u64(command.session)
      writer.u64(command.term)
      writer.u8(EXPIRE_REASONS.indexOf(command.reason))
      break
    case 'multi':
      writer.u8(MULTI)
      writer.u32(command.operations.length)
      for (const operation of command.operations) writeOperation(writer, operation)
      break
    default:
      unreachable(command)
  }
  return writer.copy()
}

function writeOperation(writer: BytesWriter, operation: MetadataOperation): void {
  switch (operation.kind) {
    case 'create':
      writer.u8(CREATE)
      writer.u8(
        (operation.options.ephemeral ? FLAG_EPHEMERAL : 0) | (operation.options.sequential ? FLAG_SEQUENTIAL : 0),
      )
      writeText(writer, operation.path)
      writer.blob(operation.data)
      break
    case 'set':
      writer.u8(SET)
      writer.u64(operation.version + 1)
      writeText(writer, operation.path)
      writer.blob(operation.data)
      break
    case 'delete':
    case 'check':
      writer.u8(operation.kind === 'delete' ? DELETE : CHECK)
      writer.u64(operation.version + 1)
      writeText(writer, operation.path)
      break
    default:
      unreachable(operation)
  }
}

/** Data and nonces are views. Throws DecodeError. */
export function decodeMetadataWrite(bytes: Uint8Array, from = 0): MetadataWrite {
  const reader = new BytesReader(bytes, from)
  const command = readWrite(reader)
  reader.expectEnd()
  return command
}

function readWrite(reader: BytesReader): MetadataWrite {
  const opcode = reader.u8()
  switch (opcode) {
    case OPEN:
      return { kind: 'open', timeoutMs: reader.u32(), nonce: reader.raw(SESSION_NONCE_BYTES) }
    case CLOSE:
      return { kind: 'close' }
    case EXPIRE: {
      const session = reader.u64()
      const term = asTerm(reader.u64())
      const reason = reader.u8()
      if (reason >= EXPIRE_REASONS.length) throw new DecodeError(`metadata command: unknown reason ${reason}`)
      return { kind: 'expire', session, term, reason: EXPIRE_REASONS[reason] }
    }
    case MULTI: {
      const count = reader.u32()
      if (count * SMALLEST_OPERATION_BYTES > reader.remaining) {
        throw new DecodeError(`metadata command: ${count} operations do not fit`)
      }
      const operations: MetadataOperation[] = []
      for (let i = 0; i < count; i++) operations.push(readOperation(reader))
      return { kind: 'multi', operations }
    }
    default:
      throw new DecodeError(`metadata command: unknown opcode ${opcode}`)
  }
}

function readOperation(reader: BytesReader): MetadataOperation {
  const kind = reader.u8()
  switch (kind) {
    case CREATE: {
      const flags = reader.u8()
      if (flags > (FLAG_EPHEMERAL | FLAG_SEQUENTIAL)) throw new DecodeError(`metadata create: unknown flags ${flags}`)
      const options = { ephemeral: (flags & FLAG_EPHEMERAL) !== 0, sequential: (flags & FLAG_SEQUENTIAL) !== 0 }
      return { kind: 'create', path: readText(reader), data: reader.blob(), options }
    }
    case SET:
      return { kind: 'set', version: readExpected(reader), path: readText(reader), data: reader.blob() }
    case DELETE:
      return { kind: 'delete', version: readExpected(reader), path: readText(reader) }
    case CHECK:
      return { kind: 'check', version: readExpected(reader), path: readText(reader) }
    default:
      throw new DecodeError(`metadata operation: unknown kind ${kind}`)
  }
}

function readExpected(reader: BytesReader): number {
  const expected = reader.u64()
  return expected === 0 ? ANY_VERSION : expected - 1
}

export function encodeMetadataRead(read: MetadataRead): Uint8Array {
  const writer = new BytesWriter(64)
  const opcode = READ_KINDS.get(read.kind)
  assert(opcode !== undefined, `metadata read: unknown kind ${read.kind}`)
  writer.u8(opcode)
  writer.u64(read.session)
  writeText(writer, read.path)
  return writer.copy()
}

/** Throws DecodeError. */
export function decodeMetadataRead(bytes: Uint8Array): MetadataRead {
  const reader = new BytesReader(bytes)
  const opcode = reader.u8()
  for (const [kind, number] of READ_KINDS) {
    if (number !== opcode) continue
    const read: MetadataRead = { kind, session: reader.u64(), path: readText(reader) }
    reader.expectEnd()
    return read
  }
  throw new DecodeError(`metadata read: unknown opcode ${opcode}`)
}
