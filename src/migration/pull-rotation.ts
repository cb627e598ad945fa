/**
 * Whose turn it is: pulls name the slots in rotation, each pull going on after the last slot that the source looked at, so that a slot that always has
 * more does not starve the others. A round is over when every slot has been looked at once; what it brought says when to begin the next.
 */
import type { SlotId } from '../base/brand.ts'
import { PULL_SLOTS_MAX } from '../protocol/migration-message.ts'

export class PullRotation {
  readonly #slots: readonly SlotId[]
  #at = 0
  #leftInRound: number
  #news = false
  #hungry = false

  constructor(slots: readonly SlotId[]) {
    this.#slots = slots
    this.#leftInRound = slots.length
  }

  /** The slots of the next pull: those that are `wanted`, from the one whose turn it is on. */
  next(wanted: (slot: SlotId) => boolean): SlotId[] {
    const slots: SlotId[] = []
    for (let i = 0; i < this.#slots.length && slots.length < PULL_SLOTS_MAX; i++) {
      const slot = this.#slots[(this.#at + i) % this.#slots.length]
      if (wanted(slot)) slots.push(slot)
    }
    return slots
  }

  /**
   * The source looked at so many of the slots that were named, from the first on. `news`: there were parts; `hungry`: some slot has more. Returns what the
   * round has come to, `open` where it is not over.
   */
  looked(
    named: readonly SlotId[],
    count: number,
    news: boolean,
    hungry: boolean,
  ): 'open' | 'hungry' | 'news' | 'nothing' {
    const last = named[Math.min(count, named.length) - 1]
    if (last !== undefined) this.#at = (this.#slots.indexOf(last) + 1) % this.#slots.length
    this.#news ||= news
    this.#hungry ||= hungry
    // All that were wanted are as good as a round: the others were not to be looked at.
    const isAll = count >= named.length && named.length < PULL_SLOTS_MAX
    this.#leftInRound -= isAll ? this.#leftInRound : count
    if (this.#leftInRound > 0) return 'open'
    const outcome = this.#hungry ? 'hungry' : this.#news ? 'news' : 'nothing'
    this.#leftInRound = this.#slots.length
    this.#news = false
    this.#hungry = false
    return outcome
  }
}
