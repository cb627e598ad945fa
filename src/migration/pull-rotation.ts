/**
 * Whose turn it is: pulls name the slots in the order in which the source looked at them last, so that a slot that always has more does not starve the
 * others. Several pulls may be under way, of different slots. A round is over when every slot has been looked at once; what it brought says when to
 * begin the next.
 */
import type { SlotId } from '../base/brand.ts'
import { PULL_SLOTS_MAX } from '../protocol/migration-message.ts'

/** Pulls that are under way at once: they hide the wire's latency, and a hand-over of many slots is one round trip. */
export const PULLS_MAX = 4
/** While no slot has more than it gives, a pull names so many at least: one message does for them. */
const SHARE_SLOTS_MIN = 32

export class PullRotation {
  /** Those that were looked at longest ago first. */
  readonly #queue: Set<SlotId>
  readonly #named = new Set<SlotId>()
  /** Not looked at in this round. */
  readonly #unseen: Set<SlotId>
  /** Of the slots evenly to all pulls. */
  readonly #evenShare: number
  #news = false
  #hungry = false
  #wasHungry = false

  constructor(slots: readonly SlotId[]) {
    this.#queue = new Set(slots)
    this.#unseen = new Set(slots)
    this.#evenShare = Math.min(PULL_SLOTS_MAX, Math.ceil(slots.length / PULLS_MAX))
  }

  /**
   * The slots of the next pull: those that are `wanted`, from the one whose turn it is on, and that no other pull under way names. Empty where a pull is
   * under way and the round wants no more. They count as named until `looked` or `released`.
   */
  next(wanted: (slot: SlotId) => boolean): SlotId[] {
    const slots: SlotId[] = []
    const isFirst = this.#named.size === 0
    const share = this.#hungry || this.#wasHungry ? this.#evenShare : Math.max(this.#evenShare, SHARE_SLOTS_MIN)
    for (const slot of this.#queue) {
      if (slots.length >= share) break
      if (this.#named.has(slot) || !wanted(slot)) continue
      if (!isFirst && slots.length === 0 && !this.#unseen.has(slot)) break
      slots.push(slot)
    }
    for (const slot of slots) this.#named.add(slot)
    return slots
  }

  /** The pull that named them comes to nothing: it is still their turn. */
  released(named: readonly SlotId[]): void {
    for (const slot of named) this.#named.delete(slot)
  }

  /** Another round, of all slots, whatever this one has looked at. */
  restart(): void {
    for (const slot of this.#queue) this.#unseen.add(slot)
    this.#news = false
    this.#hungry = false
  }

  /**
   * The source looked at so many of the slots that were named, from the first on. `news`: there were parts; `hungry`: some slot has more. Returns what the
   * round has come to, `open` where some slot that is `wanted` was not looked at.
   */
  looked(
    named: readonly SlotId[],
    count: number,
    { news, hungry }: { readonly news: boolean; readonly hungry: boolean },
    wanted: (slot: SlotId) => boolean,
  ): 'open' | 'hungry' | 'news' | 'nothing' {
    this.released(named)
    for (const slot of named.slice(0, count)) {
      this.#unseen.delete(slot)
      this.#queue.delete(slot)
      this.#queue.add(slot)
    }
    this.#news ||= news
    this.#hungry ||= hungry
    for (const slot of this.#unseen) {
      if (wanted(slot)) return 'open'
      this.#unseen.delete(slot)
    }
    this.#wasHungry = this.#hungry
    const outcome = this.#hungry ? 'hungry' : this.#news ? 'news' : 'nothing'
    this.restart()
    return outcome
  }
}
