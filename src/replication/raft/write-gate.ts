/**
 * What a client's write has to pass while its slot leaves the group: before it is proposed (so that writers go no faster than the move), and between
 * being applied and being answered (the synchronous step at the end of a move). A replica without one asks nobody.
 */
import type { LogIndex, SlotId } from '../../base/brand.ts'

export interface WriteGate {
  /** Whether a write of so many bytes may be proposed now. False: it is parked, and `parked` follows in the same call. */
  admits(slot: SlotId, bytes: number): boolean
  /** It goes on by `RaftReplica.unpark`, those of one slot in their order. */
  parked(slot: SlotId, bytes: number, ordinal: number): void
  /** A write was applied; it and its reply take so many bytes. True: the reply waits for `RaftReplica.releaseReply`. */
  holdsReply(slot: SlotId, index: LogIndex, bytes: number): boolean
}
