/**
 * Refusals: replies that say "this entry was not run, and there is no record of it". They are not results: they are never
 * kept, and the router that gets one decides what its client hears. Their codes are private to the cluster.
 *
 *   -BUSY            not run, now or before; the same sequence may be sent again later
 *   -NOTRESPONSIBLE  the slot is not this group's: ask its owner with the same sequence (its records moved with it)
 *   -RETRYEXPIRED    its retry time is over and no record is left: an earlier attempt may have run (uncertain)
 *   -SEQUENCETOOOLD  below the session's floor: answered long ago, or given up (uncertain to whoever still waits)
 */
import { asGroupId, type GroupId } from '../base/brand.ts'
import { latin1Bytes, latin1Text } from '../base/bytes.ts'
import { errorReply, hasErrorCode } from '../protocol/resp-reply.ts'

export const BUSY_RESULTS_REPLY: Uint8Array = errorReply(
  'BUSY too many unanswered writes of one session in one slot: wait for replies, then send again',
)
export const BUSY_BYTES_REPLY: Uint8Array = errorReply(
  'BUSY the group keeps as many results for retries as it may: send again later',
)
export const SEQUENCE_TOO_OLD_REPLY: Uint8Array = errorReply(
  "SEQUENCETOOOLD the write's sequence is below the session's lowest unanswered one",
)
export const RETRY_EXPIRED_REPLY: Uint8Array = errorReply('RETRYEXPIRED the time for retries of this write is over')

export function notResponsibleReply(slot: number): Uint8Array {
  return errorReply(`NOTRESPONSIBLE this group does not own slot ${slot}`)
}

/** The group has let the slot go, and says to whom. */
export function movedReply(slot: number, group: GroupId, reconfigId: number): Uint8Array {
  return errorReply(`NOTRESPONSIBLE slot ${slot} goes to group ${group} by reconfig ${reconfigId}`)
}

/** It is the group's own, by another reconfig than the one that the request rests on: what was sent before must not run after what was refused. */
export function belongsHereReply(slot: number, reconfigId: number): Uint8Array {
  return errorReply(`NOTRESPONSIBLE slot ${slot} belongs here by reconfig ${reconfigId}`)
}

/** The slot is on its way to this group: it will be served here soon, or go on where it is. */
export function comingReply(slot: number, reconfigId: number): Uint8Array {
  return errorReply(`NOTRESPONSIBLE slot ${slot} comes here by reconfig ${reconfigId}`)
}

export interface SlotDenial {
  readonly kind: 'goes' | 'comes' | 'belongs'
  /** Where it goes to; null: the slot is, or will be, this group's own. */
  readonly group: GroupId | null
  readonly reconfigId: number
}

/** What a NOTRESPONSIBLE says of the slot's place; null: nothing. */
export function slotDenial(reply: Uint8Array): SlotDenial | null {
  const found = / (goes|comes|belongs) (?:to group (\d+)|here) by reconfig (\d+)\r\n$/.exec(latin1Text(reply))
  if (found === null) return null
  const [, kind, group, reconfigId] = found
  return {
    kind: kind as SlotDenial['kind'],
    group: group === undefined ? null : asGroupId(Number(group)),
    reconfigId: Number(reconfigId),
  }
}

/** What a retry hears of a write whose reply was too large to keep: it has run, once. A result, not a refusal. */
export const DONE_REPLY: Uint8Array = errorReply(
  'UNCERTAIN the write was done once; its reply was too large to be kept for a retry',
)

const BUSY_CODE = latin1Bytes('-BUSY')
const NOT_RESPONSIBLE_CODE = latin1Bytes('-NOTRESPONSIBLE')
const RETRY_EXPIRED_CODE = latin1Bytes('-RETRYEXPIRED')
const SEQUENCE_TOO_OLD_CODE = latin1Bytes('-SEQUENCETOOOLD')

export type Refusal = 'busy' | 'not-responsible' | 'retry-expired' | 'sequence-too-old'

/** Which refusal the reply is; null: it is a result. Cheap for results: most are told by their first byte. */
export function refusalOf(reply: Uint8Array): Refusal | null {
  if (reply.length === 0 || reply[0] !== 0x2d) return null
  if (hasErrorCode(reply, BUSY_CODE)) return 'busy'
  if (hasErrorCode(reply, NOT_RESPONSIBLE_CODE)) return 'not-responsible'
  if (hasErrorCode(reply, RETRY_EXPIRED_CODE)) return 'retry-expired'
  if (hasErrorCode(reply, SEQUENCE_TOO_OLD_CODE)) return 'sequence-too-old'
  return null
}

export function isRefusal(reply: Uint8Array): boolean {
  return refusalOf(reply) !== null
}
