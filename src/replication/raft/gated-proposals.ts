/** Writes on their way through the gate of a slot that leaves its group (write-gate.ts): parked before they are proposed, held before they are answered. */

import { PAYLOAD_WRITE, payloadSlot } from '../../protocol/command.ts'
import { ENTRY_COMMAND, type Entry } from '../../protocol/entry.ts'
import type { PendingProposals } from './pending-proposals.ts'
import type { Settle } from './settle.ts'
import type { WriteGate } from './write-gate.ts'

/** '-': how an error begins. */
const ERROR_TYPE = 0x2d

export class GatedProposals {
  readonly #proposals: PendingProposals
  #gate: WriteGate | null = null

  constructor(proposals: PendingProposals) {
    this.#proposals = proposals
  }

  /** Queues a write, before the gate or behind it. False: too many wait; nothing was queued. */
  gather(payload: Uint8Array, waiter: Settle): boolean {
    const gate = this.#gate
    if (gate === null || payload[0] !== PAYLOAD_WRITE || gate.admits(payloadSlot(payload), payload.length)) {
      return this.#proposals.gather(payload, waiter)
    }
    const ordinal = this.#proposals.park(payload, waiter)
    if (ordinal === null) return false
    gate.parked(payloadSlot(payload), payload.length, ordinal)
    return true
  }

  /** What waited for the gate before goes on at once. False: it is this one already. */
  set(gate: WriteGate | null): boolean {
    if (this.#gate === gate) return false
    this.#gate = gate
    this.#proposals.releaseAll()
    this.#proposals.unparkAll()
    return true
  }

  /** Leadership is gone, and answers whatever waits. */
  drop(): void {
    this.#gate = null
  }

  /** The entry was applied: its reply goes, or is held. Errors go at once: nothing was written. */
  applied(entry: Entry, reply: Uint8Array): void {
    const gate = this.#gate
    if (gate !== null && this.#holds(gate, entry, reply)) this.#proposals.hold(entry.index, reply)
    else this.#proposals.applied(entry.index, entry.term, reply)
  }

  #holds(gate: WriteGate, { kind, payload, index, term }: Entry, reply: Uint8Array): boolean {
    if (kind !== ENTRY_COMMAND || payload[0] !== PAYLOAD_WRITE || reply[0] === ERROR_TYPE) return false
    return (
      this.#proposals.awaits(index, term) && gate.holdsReply(payloadSlot(payload), index, payload.length + reply.length)
    )
  }
}
