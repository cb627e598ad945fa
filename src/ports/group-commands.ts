/**
 * What the active master says to groups and asks of them about reconfigs. Commands go through the group's log, whoever leads it, and come back
 * with what applying them came to; questions are answered from the leader's applied state, after a read barrier. Each callback is called once, as an
 * event of its own. Nothing here retries: the master does.
 */
import type { GroupId, SlotId } from '../base/brand.ts'
import type { MoveOutcome, MovePeer, SlotRun } from '../protocol/move-command.ts'

export type GroupAnswer =
  | { readonly kind: 'applied'; readonly outcome: MoveOutcome }
  /** Nobody took it, and nobody will: nothing changed. */
  | { readonly kind: 'unreachable' }
  /** It may have been applied, or may be yet. */
  | { readonly kind: 'unknown' }

export interface GroupBegin {
  readonly reconfigId: number
  readonly fence: number
  readonly peer: MovePeer
  readonly slots: readonly SlotRun[]
}

/** `kept`: the reconfig is over here and the slots are the group's own (CANCEL, RESUME). `left`: it is over, and they are not (FORGET). */
export type SourceStanding = 'unknown' | 'begun' | 'disabled' | 'kept' | 'left'

/** `committed`: every slot's last reconfig is this one or a later one (CheckCommit). */
export type DestinationStanding = 'unknown' | 'staging' | 'refused' | 'committed'

export interface GroupCommands {
  beginSource(group: GroupId, begin: GroupBegin, done: (answer: GroupAnswer) => void): void
  beginDestination(group: GroupId, begin: GroupBegin, done: (answer: GroupAnswer) => void): void
  cancel(group: GroupId, reconfigId: number, fence: number, done: (answer: GroupAnswer) => void): void
  /** Null: no answer. */
  sourceStanding(
    group: GroupId,
    reconfigId: number,
    slots: readonly SlotId[],
    done: (standing: SourceStanding | null) => void,
  ): void
  /** Null: no answer. */
  checkCommit(
    group: GroupId,
    reconfigId: number,
    slots: readonly SlotId[],
    done: (standing: DestinationStanding | null) => void,
  ): void
}
