/**
 * What the metadata tree answers, to writes and to reads.
 *
 *   reply  := u64 as of | u8 kind | fields
 *     0 error     u8 code | u32 operation + 1 | text message        0: no single operation
 *     1 opened    u64 session | u32 timeout ms
 *     2 ended     u8 by this entry (0: it was over, or this was no reason)
 *     3 results   u32 count | result*
 *     4 node      stat | u32 length, data
 *     5 stat      u8 there | stat where it is
 *     6 children  u32 count | text*
 *   result := u8 kind (1 created: text path | stat; 2 set: stat; 3 deleted; 4 checked)
 *   stat   := u64 creation id | u64 modification id | u64 version | u64 child version | u64 ephemeral owner (0: none)
 *             | u32 data bytes | u32 children                                                     (48 bytes)
 *
 * `as of` is the index of the last command entry that the answering replica had applied (for a write: its own): whoever reads at several replicas never
 * accepts a lower one than it has seen. A repeated write gives its first reply, as-of included.
 */
import { assert, unreachable } from '../base/assert.ts'
import { BytesReader, BytesWriter, DecodeError } from '../base/bytes.ts'
import {
  METADATA_ERROR_CODES,
  type MetadataError,
  type MetadataNode,
  type MetadataResult,
  type NodeStat,
} from './metadata-operation.ts'
import { readText, writeText } from './metadata-text.ts'

export type MetadataReply =
  | { readonly kind: 'error'; readonly error: MetadataError }
  | { readonly kind: 'opened'; readonly session: number; readonly timeoutMs: number }
  | { readonly kind: 'ended'; readonly byThisEntry: boolean }
  | { readonly kind: 'results'; readonly results: readonly MetadataResult[] }
  | { readonly kind: 'node'; readonly node: MetadataNode }
  | { readonly kind: 'stat'; readonly stat: NodeStat | null }
  | { readonly kind: 'children'; readonly names: readonly string[] }

export interface MetadataAnswer {
  readonly asOf: number
  readonly reply: MetadataReply
}

const KINDS = ['error', 'opened', 'ended', 'results', 'node', 'stat', 'children'] as const
const RESULT_KINDS = ['created', 'set', 'deleted', 'checked'] as const

export function encodeMetadataReply(asOf: number, reply: MetadataReply): Uint8Array {
  const writer = new BytesWriter(128)
  writer.u64(asOf)
  writer.u8(KINDS.indexOf(reply.kind))
  switch (reply.kind) {
    case 'error': {
      const { code, operation, message } = reply.error
      writer.u8(METADATA_ERROR_CODES.indexOf(code))
      writer.u32(operation + 1)
      writeText(writer, message)
      break
    }
    case 'opened':
      writer.u64(reply.session)
      writer.u32(reply.timeoutMs)
      break
    case 'ended':
      writer.u8(reply.byThisEntry ? 1 : 0)
      break
    case 'results':
      writer.u32(reply.results.length)
      for (const result of reply.results) writeResult(writer, result)
      break
    case 'node':
      writeStat(writer, reply.node.stat)
      writer.blob(reply.node.data)
      break
    case 'stat':
      writer.u8(reply.stat === null ? 0 : 1)
      if (reply.stat !== null) writeStat(writer, reply.stat)
      break
    case 'children':
      writer.u32(reply.names.length)
      for (const name of reply.names) writeText(writer, name)
      break
    default:
      unreachable(reply)
  }
  return writer.copy()
}

function writeResult(writer: BytesWriter, result: MetadataResult): void {
  writer.u8(RESULT_KINDS.indexOf(result.kind) + 1)
  if (result.kind === 'created') writeText(writer, result.path)
  if (result.kind === 'created' || result.kind === 'set') writeStat(writer, result.stat)
}

function writeStat(writer: BytesWriter, stat: NodeStat): void {
  const owner = stat.ephemeralOwner === null ? 0 : Number(stat.ephemeralOwner)
  assert(Number.isSafeInteger(owner), 'metadata stat: a session of this tree is a number')
  writer.u64(stat.creationId)
  writer.u64(stat.modificationId)
  writer.u64(stat.version)
  writer.u64(stat.childVersion)
  writer.u64(owner)
  writer.u32(stat.dataBytes)
  writer.u32(stat.childCount)
}

/** Data is a view. Throws DecodeError. */
export function decodeMetadataReply(bytes: Uint8Array): MetadataAnswer {
  const reader = new BytesReader(bytes)
  const answer = { asOf: reader.u64(), reply: readReply(reader) }
  reader.expectEnd()
  return answer
}

function readReply(reader: BytesReader): MetadataReply {
  const kind = oneOf(KINDS, reader.u8())
  switch (kind) {
    case 'error': {
      const code = oneOf(METADATA_ERROR_CODES, reader.u8())
      const operation = reader.u32() - 1
      return { kind, error: { code, operation, message: readText(reader) } }
    }
    case 'opened':
      return { kind, session: reader.u64(), timeoutMs: reader.u32() }
    case 'ended':
      return { kind, byThisEntry: readFlag(reader) }
    case 'results':
      return { kind, results: readMany(reader, 1, readResult) }
    case 'node': {
      const stat = readStat(reader)
      return { kind, node: { stat, data: reader.blob() } }
    }
    case 'stat':
      return { kind, stat: readFlag(reader) ? readStat(reader) : null }
    case 'children':
      return { kind, names: readMany(reader, 4, readText) }
    default:
      return unreachable(kind)
  }
}

function readMany<T>(reader: BytesReader, smallestBytes: number, read: (reader: BytesReader) => T): T[] {
  const count = reader.u32()
  if (count * smallestBytes > reader.remaining) throw new DecodeError(`metadata reply: ${count} items do not fit`)
  const items: T[] = []
  for (let i = 0; i < count; i++) items.push(read(reader))
  return items
}

function readResult(reader: BytesReader): MetadataResult {
  const kind = oneOf(RESULT_KINDS, reader.u8() - 1)
  switch (kind) {
    case 'created':
      return { kind, path: readText(reader), stat: readStat(reader) }
    case 'set':
      return { kind, stat: readStat(reader) }
    case 'deleted':
    case 'checked':
      return { kind }
    default:
      return unreachable(kind)
  }
}

function readStat(reader: BytesReader): NodeStat {
  const creationId = reader.u64()
  const modificationId = reader.u64()
  const version = reader.u64()
  const childVersion = reader.u64()
  const owner = reader.u64()
  return {
    creationId,
    modificationId,
    version,
    childVersion,
    ephemeralOwner: owner === 0 ? null : String(owner),
    dataBytes: reader.u32(),
    childCount: reader.u32(),
  }
}

function readFlag(reader: BytesReader): boolean {
  const flag = reader.u8()
  if (flag > 1) throw new DecodeError(`metadata reply: ${flag} is no flag`)
  return flag === 1
}

function oneOf<T>(values: readonly T[], number: number): T {
  if (number < 0 || number >= values.length) throw new DecodeError(`metadata reply: unknown number ${number}`)
  return values[number]
}
