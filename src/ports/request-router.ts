/**
 * What a door asks of the node behind it: run this command on the group that owns the slot, wherever its leader is. node/ implements
 * it: sessions, passing on, retries and deadlines live there; the order of one connection's commands and the fan-out over slots live in
 * the door.
 *
 * Order: requests for one slot reach the state machine in the order of the calls, also when some of them are refused
 * and sent again: writes among themselves always; a read after the writes that were called before it when
 * `afterWrites` is set. A door must not call a write while a read of the same connection and slot is unanswered.
 */
import type { SlotId } from '../base/brand.ts'
import type { WriteIdentity } from '../protocol/client-session.ts'

/** RESP3 bytes; errors are RESP errors (`-CLUSTERDOWN ...`, `-UNCERTAIN ...`, `-BUSY ...`). Called as an event of its own or inside a later one, never inside the call. */
export type ReplyCallback = (reply: Uint8Array) => void

/** `nearest`: linearizable, answered by this node's own replica where it has one that can; in no order with other requests then. */
export type ReadLevel = 'linearizable' | 'lease' | 'stale' | 'nearest'

export interface RequestRouter {
  readonly slotCount: number
  /** Runs a writing command once (protocol/command.ts `command` bytes), whatever fails and retries behind it. `command` must not change any more. */
  write(slot: SlotId, command: Uint8Array, done: ReplyCallback): void
  /**
   * The same under a client's own session and sequence: a write that was sent before, here or to another node, is answered with its result. Beside the
   * errors of `write`, `-RETRYEXPIRED` and `-SEQUENCETOOOLD` come through as the group says them.
   */
  writeAs(identity: WriteIdentity, slot: SlotId, command: Uint8Array, done: ReplyCallback): void
  /** A session that nobody else writes under, lent for CLIENT_SESSION_LASTS_MS; null: too many are lent. */
  lendSession(): number | null
  read(slot: SlotId, command: Uint8Array, level: ReadLevel, afterWrites: boolean, done: ReplyCallback): void
  /** Writes parked or outstanding for the slot: a door pauses its connections above its own bound. */
  outstandingRequests(): number
}
