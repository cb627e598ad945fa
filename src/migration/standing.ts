/**
 * How far a group's log has brought a reconfig, for the other group's leader. Answered from applied state alone: what is final stays so, whoever
 * says it, so an answer may be late or a deposed leader's.
 */
import { asLogIndex, type SlotId } from '../base/brand.ts'
import type { SlotMover } from '../ports/slot-mover.ts'
import type { MoveStanding } from '../protocol/migration-message.ts'
import { openMove, standingOf } from './migration-driver.ts'

function only(kind: MoveStanding['kind']): MoveStanding {
  return { kind, disableIndex: asLogIndex(0) }
}

/**
 * Of the source. Without an open move one slot that this reconfig or a later one has touched settles it: the slots of a reconfig are touched together, and
 * a BEGIN that comes after a later reconfig of one of its slots is refused for good.
 */
export function sourceStanding(mover: SlotMover, reconfigId: number, slots: readonly SlotId[]): MoveStanding {
  const move = openMove(mover, reconfigId, 'source')
  if (move !== null) return standingOf(move)
  return only(slots.some((slot) => mover.hasCommitted(slot, reconfigId)) ? 'ended' : 'unknown')
}

/** Of the destination: CheckCommit. Every slot must have been touched: this is what lets the source forget its keys. */
export function destinationStanding(mover: SlotMover, reconfigId: number, slots: readonly SlotId[]): MoveStanding {
  const move = openMove(mover, reconfigId, 'destination')
  if (move !== null) return standingOf(move)
  const committed = slots.length > 0 && slots.every((slot) => mover.hasCommitted(slot, reconfigId))
  return only(committed ? 'committed' : 'unknown')
}
