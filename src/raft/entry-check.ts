/** Whether a run of entries from the wire can stand in a log. Checked before the log changes: a bad message leaves no trace. */
import { DecodeError } from '../base/bytes.ts'
import { ENTRY_MEMBERSHIP } from '../protocol/entry.ts'
import { decodeMembership, type Membership } from '../protocol/membership.ts'
import type { AppendRequest } from '../protocol/raft-message.ts'

export function decodeMembershipOrNull(payload: Uint8Array): Membership | null {
  try {
    return decodeMembership(payload)
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}

/** Indexes follow prevIndex one by one, terms never fall and never pass the sender's, memberships decode. */
export function isWellFormedAppend(message: AppendRequest): boolean {
  let index: number = message.prevIndex
  let term: number = message.prevTerm
  for (const entry of message.entries) {
    index++
    if (entry.index !== index || entry.term < term || entry.term > message.term) return false
    if (entry.kind === ENTRY_MEMBERSHIP && decodeMembershipOrNull(entry.payload) === null) return false
    term = entry.term
  }
  return term <= message.term && index >= message.prevIndex && message.commit >= 0
}
