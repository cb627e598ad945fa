/**
 * For each slot a lower bound of the expiries in its live generation, so that the scan for expired keys passes over slots
 * that cannot have any. Kept beside the replicated state, never in it: every replica notes its own puts, and after a
 * restart all slots count as unknown until they have been scanned once.
 */
export class ExpiryHints {
  readonly #earliestMs: Float64Array
  /** No slot that counted when this was last set has anything earlier; every new expiry lowers it. */
  floorMs = 0

  constructor(slotCount: number) {
    this.#earliestMs = new Float64Array(slotCount).fill(Number.POSITIVE_INFINITY)
  }

  earliestMs(slot: number): number {
    return this.#earliestMs[slot]
  }

  note(slot: number, expiresAtMs: number): void {
    if (expiresAtMs < this.#earliestMs[slot]) this.#earliestMs[slot] = expiresAtMs
    if (expiresAtMs < this.floorMs) this.floorMs = expiresAtMs
  }

  /** A scan of the slot begins, or its generation is new: what is put from now on counts. */
  clear(slot: number): void {
    this.#earliestMs[slot] = Number.POSITIVE_INFINITY
  }

  /** After a restart or an install. */
  forgetAll(): void {
    this.#earliestMs.fill(0)
    this.floorMs = 0
  }
}
