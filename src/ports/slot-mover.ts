/**
 * What moving slots needs of a group's state machine: the open moves as the log has them, and what the source gives next. kv/ has it all; migration/
 * sees this much. Everything here is applied state: what it says has been decided by the group's log.
 */
import type { LogIndex, SlotId } from '../base/brand.ts'
import type { MovePeer, StageCursor, StagePart } from '../protocol/move-command.ts'

/** The keys of a source's slots that were changed lately. */
export interface MoveJournal {
  /** Keys of the slot that have changed and are not at the destination, as far as is known here. */
  pendingKeys(slot: SlotId): number
  /** Changes of the slot up to `index` are at the destination. */
  trim(slot: SlotId, index: number): void
}

export interface OpenMove {
  readonly role: 'source' | 'destination'
  readonly reconfigId: number
  readonly peer: MovePeer
  /** Ascending. The cursor is the destination's: up to where the slot is staged. */
  readonly slots: readonly { readonly slot: SlotId; readonly cursor: StageCursor }[]
  /** source: begun (still serving), disabled. destination: staging, refused. */
  readonly phase: 'begun' | 'disabled' | 'staging' | 'refused'
  /** Where DISABLE was applied; 0: not yet. */
  readonly disableIndex: LogIndex
  /** Of a source. */
  readonly journal: MoveJournal | null
}

export interface SlotMover {
  readonly appliedIndex: LogIndex
  readonly logTimeMs: number
  readonly slots: { owns(slot: SlotId): boolean }
  /** Moves that have begun and are not over. */
  readonly moves: readonly OpenMove[]
  /** The group's last reconfig of the slot is this one or a later one. */
  hasCommitted(slot: SlotId, reconfigId: number): boolean
  /**
   * The part after `cursor`, of about `maxBytes`; one key's state is never split. Null: there is nothing, and no part is wanted for the index alone, which
   * `throughIndex` asks for.
   */
  readPart(
    reconfigId: number,
    slot: SlotId,
    cursor: StageCursor,
    throughIndex: number,
    maxBytes: number,
  ): StagePart | null
}
