/** What a group replicates. kv/ implements it for data groups. Deterministic: the same entries give the same bytes. */
import type { SlotId } from '../base/brand.ts'
import type { Entry } from '../protocol/entry.ts'

/** A read's answer; or the logTime that it needs first, because a key's fate hangs on a clock that has moved past its expiry. */
export type QueryResult =
  | { readonly kind: 'reply'; readonly reply: Uint8Array }
  | { readonly kind: 'needsTick'; readonly atLeastMs: number }

export interface StateMachine {
  /** Applies a committed command entry; returns the reply for its proposer as RESP3 bytes (empty: none). */
  apply(entry: Entry): Uint8Array
  /**
   * `slotEpoch`: the reconfig by which the reader believes the slot to be here (protocol/command.ts); left out: any.
   * Runs a read-only command of one slot against applied state. `nowMs` is the leader's wall clock. After the one TICK that
   * `needsTick` asks for, ask again with `nowMs = logTimeMs`: then log time alone decides, and the answer is a reply.
   */
  query(command: Uint8Array, nowMs: number, slot: SlotId, slotEpoch?: number): QueryResult
  /** The highest time that the log has carried. Milliseconds since the Unix epoch. */
  readonly logTimeMs: number
  /** Everything that is not in the key space: sessions, slots, log time. Goes into the checkpoint's meta blob. */
  checkpointState(): Uint8Array
  /** Takes over what checkpointState gave; null: genesis. Throws DecodeError. */
  restore(state: Uint8Array | null): void
}
