/**
 * A group's side of the master's questions (ports/group-commands.ts): how far its applied state has brought a reconfig. Exact as long as the reconfig has no
 * outcome in the tree, because none that follows it for one of its slots begins before.
 */
import type { SlotId } from '../base/brand.ts'
import type { DestinationStanding, SourceStanding } from '../ports/group-commands.ts'
import type { SlotMover } from '../ports/slot-mover.ts'

type Applied = Pick<SlotMover, 'moves' | 'slots' | 'hasCommitted'>

export function sourceStandingOf(applied: Applied, reconfigId: number, slots: readonly SlotId[]): SourceStanding {
  const open = applied.moves.find((move) => move.reconfigId === reconfigId && move.role === 'source')
  if (open !== undefined) return open.phase === 'disabled' ? 'disabled' : 'begun'
  if (slots.length === 0 || !slots.every((slot) => applied.hasCommitted(slot, reconfigId))) return 'unknown'
  return slots.every((slot) => applied.slots.owns(slot)) ? 'kept' : 'left'
}

export function destinationStandingOf(
  applied: Applied,
  reconfigId: number,
  slots: readonly SlotId[],
): DestinationStanding {
  const open = applied.moves.find((move) => move.reconfigId === reconfigId && move.role === 'destination')
  if (open !== undefined) return open.phase === 'refused' ? 'refused' : 'staging'
  return slots.length > 0 && slots.every((slot) => applied.hasCommitted(slot, reconfigId)) ? 'committed' : 'unknown'
}
