/**
 * Raft messages as bytes. Heartbeats are the many small ones (a node sends all of its groups' in one frame), so numbers
 * are varints: 7 bits a byte, low ones first, the top bit set on all but the last.
 *
 *   message := u8 kind (0x80: granted / success / transfer / ok) | group | from | to | term | body
 *
 *   1 preVoteRequest       lastIndex lastTerm           7 heartbeat            commit readToken
 *   2 preVoteResponse      -                            8 heartbeatResponse    readToken
 *   3 voteRequest          lastIndex lastTerm           9 timeoutNow           -
 *   4 voteResponse         -                           10 readIndexRequest     context
 *   5 appendRequest        prevIndex prevTerm commit   11 readIndexResponse    context index
 *                          entry run (entry.ts)
 *   6 appendResponse       index hintIndex hintTerm   12 rest                 commit
 *
 * Messages of one frame follow one another without padding: each knows its own end.
 */
import { assert } from '../base/assert.ts'
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
import { type BytesReader, type BytesWriter, DecodeError } from '../base/bytes.ts'
import { decodeEntries, encodeEntries } from './entry.ts'
import type { RaftMessage } from './raft-message.ts'

const KINDS = [
  'preVoteRequest',
  'preVoteResponse',
  'voteRequest',
  'voteResponse',
  'appendRequest',
  'appendResponse',
  'heartbeat',
  'heartbeatResponse',
  'timeoutNow',
  'readIndexRequest',
  'readIndexResponse',
  'rest',
] as const satisfies readonly RaftMessage['type'][]

const FLAG = 0x80
const MAX_VARINT_BYTES = 8
const MAX_ID = 0xffff_ffff

function writeVarint(writer: BytesWriter, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, 'writeVarint: not an unsigned safe integer')
  let rest = value
  // Above 31 bits the bit operators of the language no longer hold.
  for (; rest >= 0x8000_0000; rest = Math.floor(rest / 128)) writer.u8((rest % 128) | 0x80)
  for (; rest >= 0x80; rest >>>= 7) writer.u8((rest & 0x7f) | 0x80)
  writer.u8(rest)
}

function readVarint(reader: BytesReader): number {
  let value = 0
  let scale = 1
  for (let i = 0; i < MAX_VARINT_BYTES; i++) {
    const byte = reader.u8()
    value += (byte & 0x7f) * scale
    if (byte < 0x80) {
      if (!Number.isSafeInteger(value)) throw new DecodeError('varint: not a safe integer')
      return value
    }
    scale *= 128
  }
  throw new DecodeError('varint: too long')
}

function readId(reader: BytesReader): number {
  const value = readVarint(reader)
  if (value > MAX_ID) throw new DecodeError(`raft message: id ${value} is too large`)
  return value
}

const readIndex = (reader: BytesReader): LogIndex => asLogIndex(readVarint(reader))
const readTerm = (reader: BytesReader): Term => asTerm(readVarint(reader))

function flagOf(message: RaftMessage): boolean {
  switch (message.type) {
    case 'preVoteResponse':
    case 'voteResponse':
      return message.granted
    case 'voteRequest':
      return message.transfer
    case 'appendResponse':
      return message.success
    case 'readIndexResponse':
      return message.ok
    default:
      return false
  }
}

export function encodeRaftMessage(writer: BytesWriter, message: RaftMessage): void {
  writer.u8((KINDS.indexOf(message.type) + 1) | (flagOf(message) ? FLAG : 0))
  writeVarint(writer, message.group)
  writeVarint(writer, message.from)
  writeVarint(writer, message.to)
  writeVarint(writer, message.term)
  switch (message.type) {
    case 'preVoteRequest':
    case 'voteRequest':
      writeVarint(writer, message.lastIndex)
      writeVarint(writer, message.lastTerm)
      return
    case 'appendRequest':
      writeVarint(writer, message.prevIndex)
      writeVarint(writer, message.prevTerm)
      writeVarint(writer, message.commit)
      encodeEntries(writer, message.entries)
      return
    case 'appendResponse':
      writeVarint(writer, message.index)
      writeVarint(writer, message.hintIndex)
      writeVarint(writer, message.hintTerm)
      return
    case 'heartbeat':
      writeVarint(writer, message.commit)
      writeVarint(writer, message.readToken)
      return
    case 'heartbeatResponse':
      writeVarint(writer, message.readToken)
      return
    case 'readIndexRequest':
      writeVarint(writer, message.context)
      return
    case 'readIndexResponse':
      writeVarint(writer, message.context)
      writeVarint(writer, message.index)
      return
    case 'rest':
      writeVarint(writer, message.commit)
      return
    default:
      return
  }
}

interface Envelope {
  readonly group: GroupId
  readonly from: ReplicaId
  readonly to: ReplicaId
  readonly term: Term
}

/** Reads one message and stands behind it. Entries' payloads are views of the reader's bytes. Throws DecodeError. */
export function decodeRaftMessage(reader: BytesReader): RaftMessage {
  const head = reader.u8()
  const type = KINDS[(head & ~FLAG) - 1]
  if (type === undefined) throw new DecodeError(`raft message: unknown kind ${head}`)
  const group = asGroupId(readId(reader))
  const from = asReplicaId(readId(reader))
  const to = asReplicaId(readId(reader))
  const message = decodeBody(reader, type, { group, from, to, term: readTerm(reader) }, (head & FLAG) !== 0)
  if ((head & FLAG) !== 0 && !flagOf(message)) throw new DecodeError(`raft message: ${type} takes no flag`)
  return message
}

function decodeBody(reader: BytesReader, type: RaftMessage['type'], envelope: Envelope, flag: boolean): RaftMessage {
  const { group, from, to, term } = envelope
  switch (type) {
    case 'preVoteRequest':
      return { type, group, from, to, term, lastIndex: readIndex(reader), lastTerm: readTerm(reader) }
    case 'voteRequest':
      return { type, group, from, to, term, lastIndex: readIndex(reader), lastTerm: readTerm(reader), transfer: flag }
    case 'preVoteResponse':
    case 'voteResponse':
      return { type, group, from, to, term, granted: flag }
    case 'appendRequest': {
      const prevIndex = readIndex(reader)
      const prevTerm = readTerm(reader)
      const commit = readIndex(reader)
      return { type, group, from, to, term, prevIndex, prevTerm, commit, entries: decodeEntries(reader) }
    }
    case 'appendResponse': {
      const index = readIndex(reader)
      const hintIndex = readIndex(reader)
      return { type, group, from, to, term, success: flag, index, hintIndex, hintTerm: readTerm(reader) }
    }
    case 'heartbeat':
      return { type, group, from, to, term, commit: readIndex(reader), readToken: readVarint(reader) }
    case 'heartbeatResponse':
      return { type, group, from, to, term, readToken: readVarint(reader) }
    case 'timeoutNow':
      return { type, group, from, to, term }
    case 'readIndexRequest':
      return { type, group, from, to, term, context: readVarint(reader) }
    case 'readIndexResponse':
      return { type, group, from, to, term, context: readVarint(reader), ok: flag, index: readIndex(reader) }
    case 'rest':
      return { type, group, from, to, term, commit: readIndex(reader) }
  }
}
