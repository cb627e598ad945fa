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

/** RESP3 bytes; errors are RESP errors (`-CLUSTERDOWN ...`, `-UNCERTAIN ...`, `-BUSY ...`). Called as an event of its own or inside a later one, never inside the call. */
export type ReplyCallback = (reply: Uint8Array) => void

export type ReadLevel = 'linearizable' | 'lease' | 'stale'

export interface RequestRouter {
  readonly slotCount: number
  /** Runs a writing command once (protocol/command.ts `command` bytes), whatever fails and retries behind it. `command` must not change any more. */
  write(slot: SlotId, command: Uint8Array, done: ReplyCallback): void
  read(slot: SlotId, command: Uint8Array, level: ReadLevel, afterWrites: boolean, done: ReplyCallback): void
  /** Writes parked or outstanding for the slot: a door pauses its connections above its own bound. */
  outstandingRequests(): number
}
