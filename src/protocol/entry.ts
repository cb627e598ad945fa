/**
 * A log entry, and the run of neighbouring entries as it stands in append messages and in the write-ahead log:
 *
 *   run   := u64 first index | u32 count | entry*
 *   entry := u64 term | u8 kind | u32 length | payload
 */
import { asLogIndex, asTerm, type LogIndex, type Term } from '../base/brand.ts'
import { type BytesReader, type BytesWriter, DecodeError } from '../base/bytes.ts'

/** Appended by each new leader; commits what earlier terms left (thesis 6.4). */
export const ENTRY_NOOP = 0
/** A state-machine command: see command.ts. */
export const ENTRY_COMMAND = 1
/** A new membership: see membership.ts; in force from the moment it is appended. */
export const ENTRY_MEMBERSHIP = 2

export type EntryKind = typeof ENTRY_NOOP | typeof ENTRY_COMMAND | typeof ENTRY_MEMBERSHIP

export interface Entry {
  readonly term: Term
  readonly index: LogIndex
  readonly kind: EntryKind
  readonly payload: Uint8Array
}

/** Bytes that an entry takes in a run, beside its payload. */
export const ENTRY_OVERHEAD_BYTES = 13

export function encodedEntryBytes(entry: Entry): number {
  return ENTRY_OVERHEAD_BYTES + entry.payload.length
}

/** `entries[from, to)` must have neighbouring indexes. */
export function encodeEntries(writer: BytesWriter, entries: readonly Entry[], from = 0, to = entries.length): void {
  writer.u64(to > from ? entries[from].index : 0)
  writer.u32(to - from)
  for (let i = from; i < to; i++) {
    const entry = entries[i]
    writer.u64(entry.term)
    writer.u8(entry.kind)
    writer.blob(entry.payload)
  }
}

/** Payloads are views of the reader's bytes. Throws DecodeError. */
export function decodeEntries(reader: BytesReader): Entry[] {
  const first = reader.u64()
  const count = reader.u32()
  if (count * ENTRY_OVERHEAD_BYTES > reader.remaining) throw new DecodeError(`entry run: ${count} entries do not fit`)
  const entries: Entry[] = []
  for (let i = 0; i < count; i++) {
    const term = asTerm(reader.u64())
    const kind = reader.u8()
    if (kind > ENTRY_MEMBERSHIP) throw new DecodeError(`entry run: unknown kind ${kind}`)
    entries.push({ term, index: asLogIndex(first + i), kind: kind as EntryKind, payload: reader.blob() })
  }
  return entries
}
