/**
 * Requests for slots that their group does not own any more (or not yet). What comes back, and what is asked meanwhile, waits here; once nothing of
 * the slot is under way, all of it goes out again, in the order of the calls, to whoever owns the slot now. So a slot's requests keep
 * their order over a move, and a write that was refused keeps its place in its session.
 */
import { assert } from '../base/assert.ts'
import type { GroupId, SlotId } from '../base/brand.ts'
import type { RoutedRequest } from './routed-request.ts'

const RETRY_AFTER_MS_MIN = 2
const RETRY_AFTER_MS_MAX = 64

interface Detour {
  readonly waiting: RoutedRequest[]
  /** A time for going out again is set. */
  scheduled: boolean
}

export class SlotDetours {
  readonly #detours = new Map<SlotId, Detour>()
  /** Refusals in a row that did not say where the slot is, while there are refusals at all. */
  readonly #failures = new Map<SlotId, number>()
  /** Requests of each slot on their way to its group. */
  readonly #underWay: Uint32Array
  /** Where those went, and by which epoch. */
  readonly #group: Uint32Array
  readonly #epoch: Float64Array
  readonly #sendAgain: (requests: readonly RoutedRequest[]) => void
  readonly #after: (delayMs: number, run: () => void) => void

  /** `sendAgain` gets requests without an answer, in the order of the calls. */
  constructor(
    slotCount: number,
    sendAgain: (requests: readonly RoutedRequest[]) => void,
    after: (delayMs: number, run: () => void) => void,
  ) {
    this.#underWay = new Uint32Array(slotCount)
    this.#group = new Uint32Array(slotCount)
    this.#epoch = new Float64Array(slotCount)
    this.#sendAgain = sendAgain
    this.#after = after
  }

  /**
   * The request goes to the group, under this epoch. False: not now, it waits here: earlier ones of its slot do, or are on their way to where the
   * slot is not any more.
   */
  admits(request: RoutedRequest, group: GroupId, epoch: number): boolean {
    const { slot } = request
    const detour = this.#detours.size === 0 ? undefined : this.#detours.get(slot)
    if (detour !== undefined) {
      detour.waiting.push(request)
      return false
    }
    if (this.#underWay[slot] === 0) {
      this.#group[slot] = group
      this.#epoch[slot] = epoch
    } else if (this.#group[slot] !== group || this.#epoch[slot] !== epoch) {
      this.#detours.set(slot, { waiting: [request], scheduled: false })
      return false
    }
    assert(!request.onItsWay, 'SlotDetours: sent twice')
    request.onItsWay = true
    this.#underWay[slot]++
    return true
  }

  /** It has its answer, from its group or because its time is over. */
  answered(request: RoutedRequest): void {
    if (this.#failures.size > 0 && request.onItsWay) this.#failures.delete(request.slot)
    this.#left(request)
  }

  /** Its group does not own the slot; `told`: and says where it is. Returns how often in a row that was said without telling. */
  refused(request: RoutedRequest, told: boolean): number {
    const { slot } = request
    let detour = this.#detours.get(slot)
    if (detour === undefined) {
      detour = { waiting: [], scheduled: false }
      this.#detours.set(slot, detour)
      this.#failures.set(slot, told ? 0 : (this.#failures.get(slot) ?? 0) + 1)
    }
    detour.waiting.push(request)
    this.#left(request)
    return this.#failures.get(slot) ?? 0
  }

  #left(request: RoutedRequest): void {
    if (!request.onItsWay) return
    request.onItsWay = false
    const { slot } = request
    this.#underWay[slot]--
    const detour = this.#detours.get(slot)
    if (detour === undefined || detour.scheduled || this.#underWay[slot] > 0) return
    detour.scheduled = true
    const failures = this.#failures.get(slot) ?? 0
    const delayMs = Math.min(RETRY_AFTER_MS_MIN * 2 ** Math.min(failures, 10), RETRY_AFTER_MS_MAX)
    this.#after(delayMs, () => this.#release(slot, detour))
  }

  #release(slot: SlotId, detour: Detour): void {
    this.#detours.delete(slot)
    const again = detour.waiting.filter((request) => !request.answered).sort((a, b) => a.callNumber - b.callNumber)
    if (again.length === 0) this.#failures.delete(slot)
    this.#sendAgain(again)
  }
}
