/**
 * The sessions of the metadata tree, and exactly once: per session the replies to its writes from the lowest unanswered sequence on, so that
 * an entry that stands in the log twice runs once (as in kv/session-table.ts).
 *
 *  - What is at or above the floor is never dropped: beyond `maxResults`, or without room to remember another, the write is refused instead.
 *  - Below the floor nothing runs.
 *  - Floor and replies live as long as their session; its id never comes again, and a write of no session does not run. So, other than
 *    in kv/, nothing here hangs on time; retry-until only bounds how long a copy that has not run yet may still be the first to do so.
 *  - A reply that is too large to keep, or that meets three quarters of the room in use, is remembered as done: the write still runs
 *    once, and who asks again is told that the outcome is unknown.
 *
 *   sessions := u32 count | session*                                                            by rising id
 *   session  := u64 id | u32 timeout ms | 16 bytes nonce | u64 floor | u32 result count | result*   by rising sequence
 *   result   := u64 sequence | u8 kept | u32 length, reply  where it is kept
 *
 * Ids are log indexes: those of the entries that opened the sessions.
 */
import { assert } from '../../base/assert.ts'
import { type BytesReader, type BytesWriter, DecodeError, latin1Bytes, latin1Text } from '../../base/bytes.ts'
import type { PayloadHeader } from '../../protocol/command.ts'
import { SESSION_NONCE_BYTES } from '../../protocol/metadata-command.ts'
import type { MetadataErrorCode } from '../../protocol/metadata-operation.ts'
import type { TreeLimits } from './tree-limits.ts'

export interface MetadataSession {
  readonly id: number
  readonly timeoutMs: number
  /** As text, one unit a byte. */
  readonly nonce: string
  /** The highest "lowest unanswered" seen: what is below has been answered or given up. */
  floor: number
  /** Ascending; `replies` beside it. */
  readonly sequences: number[]
  /** Null: done, but not kept. */
  readonly replies: (Uint8Array | null)[]
}

export type Admission =
  | { readonly kind: 'run' }
  | { readonly kind: 'reply'; readonly reply: Uint8Array }
  | { readonly kind: 'refused'; readonly code: MetadataErrorCode; readonly message: string }

/** What a result counts for beside its reply. */
const RESULT_BYTES = 64
/** Sessions that sit on large replies must not stop the others: the last quarter is for remembering that a write is done. */
const KEPT_SHARE = 0.75

const RUN: Admission = { kind: 'run' }
const ANSWERED: Admission = {
  kind: 'refused',
  code: 'unknown',
  message: 'answered before: the session said that it no longer waits for this write',
}
const NOT_KEPT: Admission = { kind: 'refused', code: 'unknown', message: 'done before: its results were not kept' }
const TOO_LATE: Admission = { kind: 'refused', code: 'unavailable', message: 'came after its time, and was not done' }
const TOO_MANY: Admission = {
  kind: 'refused',
  code: 'unavailable',
  message: 'the session has too many writes unanswered',
}
const NO_ROOM: Admission = { kind: 'refused', code: 'unavailable', message: 'no room for the results of more writes' }

export class MetadataSessions {
  readonly #limits: TreeLimits
  /** By rising id, for ids rise with the log. */
  readonly #sessions = new Map<number, MetadataSession>()
  readonly #byNonce = new Map<string, MetadataSession>()
  #resultBytes = 0

  constructor(limits: TreeLimits) {
    this.#limits = limits
  }

  get count(): number {
    return this.#sessions.size
  }

  get hasRoom(): boolean {
    return this.#sessions.size < this.#limits.maxSessions
  }

  /** Counted bytes of all kept results. */
  get resultBytes(): number {
    return this.#resultBytes
  }

  all(): Iterable<MetadataSession> {
    return this.#sessions.values()
  }

  find(id: number): MetadataSession | undefined {
    return this.#sessions.get(id)
  }

  findByNonce(nonce: Uint8Array): MetadataSession | undefined {
    return this.#byNonce.get(latin1Text(nonce))
  }

  open(id: number, timeoutMs: number, nonce: Uint8Array): MetadataSession {
    assert(this.hasRoom && !this.#sessions.has(id), `metadata session ${id}: no room, or there already`)
    const session = { id, timeoutMs, nonce: latin1Text(nonce), floor: 0, sequences: [], replies: [] }
    assert(!this.#byNonce.has(session.nonce), `metadata session ${id}: its nonce is in use`)
    this.#add(session)
    return session
  }

  end(session: MetadataSession): void {
    assert(this.#sessions.delete(session.id), `metadata session ${session.id}: is not there`)
    this.#byNonce.delete(session.nonce)
    this.#drop(session, session.sequences.length)
  }

  /** Whether to run the write; then its reply is to be `keep`t. */
  admit(session: MetadataSession, header: PayloadHeader, logTimeMs: number): Admission {
    const { sequence, lowestUnanswered, retryUntilMs } = header
    if (lowestUnanswered > session.floor) {
      session.floor = lowestUnanswered
      this.#drop(session, position(session.sequences, lowestUnanswered))
    }
    if (sequence < session.floor) return ANSWERED
    const at = position(session.sequences, sequence)
    if (at < session.sequences.length && session.sequences[at] === sequence) {
      const reply = session.replies[at]
      return reply === null ? NOT_KEPT : { kind: 'reply', reply }
    }
    if (logTimeMs > retryUntilMs) return TOO_LATE
    if (session.sequences.length >= this.#limits.maxResults) return TOO_MANY
    if (this.#resultBytes + RESULT_BYTES > this.#limits.maxResultBytesTotal) return NO_ROOM
    return RUN
  }

  /** The write has run. The reply must not change any more. */
  keep(session: MetadataSession, sequence: number, reply: Uint8Array): void {
    const { maxResultBytes, maxResultBytesTotal } = this.#limits
    const sum = this.#resultBytes + RESULT_BYTES + reply.length
    const kept = reply.length <= maxResultBytes && sum <= maxResultBytesTotal * KEPT_SHARE ? reply : null
    const at = position(session.sequences, sequence)
    assert(session.sequences[at] !== sequence, 'metadata session: a second result for one sequence')
    session.sequences.splice(at, 0, sequence)
    session.replies.splice(at, 0, kept)
    this.#resultBytes += RESULT_BYTES + (kept?.length ?? 0)
  }

  #add(session: MetadataSession): void {
    this.#sessions.set(session.id, session)
    this.#byNonce.set(session.nonce, session)
  }

  /** Forgets the first `count` results. */
  #drop(session: MetadataSession, count: number): void {
    for (let i = 0; i < count; i++) this.#resultBytes -= RESULT_BYTES + (session.replies[i]?.length ?? 0)
    assert(this.#resultBytes >= 0, 'metadata sessions: results counted below zero')
    session.sequences.splice(0, count)
    session.replies.splice(0, count)
  }

  encode(writer: BytesWriter): void {
    writer.u32(this.#sessions.size)
    for (const session of this.#sessions.values()) {
      writer.u64(session.id)
      writer.u32(session.timeoutMs)
      writer.raw(latin1Bytes(session.nonce))
      writer.u64(session.floor)
      writer.u32(session.sequences.length)
      for (let i = 0; i < session.sequences.length; i++) {
        const reply = session.replies[i]
        writer.u64(session.sequences[i])
        writer.u8(reply === null ? 0 : 1)
        if (reply !== null) writer.blob(reply)
      }
    }
  }

  /** Throws DecodeError. */
  static decode(reader: BytesReader, limits: TreeLimits, appliedIndex: number): MetadataSessions {
    const sessions = new MetadataSessions(limits)
    const count = reader.u32()
    if (count > limits.maxSessions) throw new DecodeError(`metadata sessions: ${count} are over the limit`)
    let lastId = 0
    for (let i = 0; i < count; i++) {
      const session = decodeSession(reader, limits)
      if (session.id <= lastId || session.id > appliedIndex || sessions.#byNonce.has(session.nonce)) {
        throw new DecodeError(`metadata session ${session.id}: not a new one of this log`)
      }
      lastId = session.id
      sessions.#add(session)
      for (const reply of session.replies) sessions.#resultBytes += RESULT_BYTES + (reply?.length ?? 0)
    }
    if (sessions.#resultBytes > limits.maxResultBytesTotal) throw new DecodeError('metadata sessions: too many results')
    return sessions
  }
}

function decodeSession(reader: BytesReader, limits: TreeLimits): MetadataSession {
  const session: MetadataSession = {
    id: reader.u64(),
    timeoutMs: reader.u32(),
    nonce: latin1Text(reader.raw(SESSION_NONCE_BYTES)),
    floor: reader.u64(),
    sequences: [],
    replies: [],
  }
  const count = reader.u32()
  if (count > limits.maxResults) throw new DecodeError(`metadata session ${session.id}: ${count} results`)
  let last = session.floor - 1
  for (let i = 0; i < count; i++) {
    const sequence = reader.u64()
    const kept = reader.u8()
    if (sequence <= last || kept > 1) throw new DecodeError(`metadata session ${session.id}: results out of order`)
    last = sequence
    session.sequences.push(sequence)
    session.replies.push(kept === 1 ? reader.blob().slice() : null)
  }
  return session
}

/** The first position whose sequence is not below `sequence`. From the end: writes mostly come in order. */
function position(sequences: readonly number[], sequence: number): number {
  let at = sequences.length
  while (at > 0 && sequences[at - 1] >= sequence) at--
  return at
}
