/**
 * Which group a slot belongs to, and by which reconfig, as far as this node knows: the slot table, and what groups have said since. Each request
 * carries that reconfig, the slot's epoch; a group that owns the slot by another one refuses it. So a request that was sent before the slot
 * went, or before it came, never runs behind one that was refused then: all of them are sent again, in order, once the owner has told its epoch.
 *
 * A group that lets a slot go names the one that takes it. That one may not serve yet, so no epoch is sent that it would take, until it says so
 * itself. What a group said holds until the table knows of the same reconfig or a later one, or until it proves wrong (a move that the
 * destination refused in the end).
 */
import { assert } from '../base/assert.ts'
import type { GroupId, SlotId } from '../base/brand.ts'

/** No reconfig has this id. */
const UNKNOWN_EPOCH = 0xffff_ffff

interface Hint {
  readonly group: GroupId
  readonly reconfigId: number
  readonly serves: boolean
}

export class SlotRoutes {
  readonly #groups: GroupId[]
  /** The reconfig that gave each slot to its group; 0: it has been there from the beginning. */
  readonly #reconfigs: Float64Array
  readonly #hints = new Map<SlotId, Hint>()

  constructor(groups: readonly GroupId[]) {
    this.#groups = [...groups]
    this.#reconfigs = new Float64Array(groups.length)
  }

  groupOf(slot: SlotId): GroupId {
    return this.#hint(slot)?.group ?? this.#groups[slot]
  }

  epochOf(slot: SlotId): number {
    const hint = this.#hint(slot)
    if (hint === undefined) return this.#reconfigs[slot]
    return hint.serves ? hint.reconfigId : UNKNOWN_EPOCH
  }

  /** A group has let it go, and the one that takes it has not said that it serves it. */
  isUnderWay(slot: SlotId): boolean {
    return this.#hint(slot)?.serves === false
  }

  #hint(slot: SlotId): Hint | undefined {
    return this.#hints.size === 0 ? undefined : this.#hints.get(slot)
  }

  /** The slot table has changed. */
  publish(slot: SlotId, group: GroupId, reconfigId: number): void {
    assert(slot < this.#groups.length, `no slot ${slot}`)
    if (reconfigId < this.#reconfigs[slot]) return
    this.#groups[slot] = group
    this.#reconfigs[slot] = reconfigId
    const hint = this.#hints.get(slot)
    if (hint !== undefined && hint.reconfigId <= reconfigId) this.#hints.delete(slot)
  }

  /** A group says that the slot goes to another by this reconfig; or (`serves`) that it is its own by it. */
  learned(slot: SlotId, group: GroupId, reconfigId: number, serves: boolean): void {
    const known = this.#hints.get(slot)
    if (reconfigId < this.#reconfigs[slot] || reconfigId < (known?.reconfigId ?? 0)) return
    const sameReconfig = reconfigId === (known?.reconfigId ?? this.#reconfigs[slot])
    // Of one reconfig only an owner's word is news.
    if (sameReconfig && !serves) return
    this.#hints.set(slot, { group, reconfigId, serves })
  }

  /** The group that was named does not own the slot either, for long: back to the table. */
  doubted(slot: SlotId): void {
    this.#hints.delete(slot)
  }
}
