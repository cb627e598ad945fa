/**
 * Writes to slots that leave, at the pace that the move allows (migration/write-throttle.ts says when and how much): those of one move share it, in their
 * order, and those of other slots pass. A write waits for at most 750 ms, which is less than the silence after which its sender would give up on
 * the whole group.
 */
import { present } from '../../base/assert.ts'
import type { SlotId } from '../../base/brand.ts'
import { BoundedDeque } from '../../base/deque.ts'
import type { OpenMove } from '../../ports/slot-mover.ts'

export const PARKED_MS_MAX = 750
/** Made up for after a pause: timers are late, and the pace must not suffer from it. */
const BURST_MS = 10
/** The bound of what is parked is that of the replica's pending proposals. */
const QUEUE_MAX = Number.MAX_SAFE_INTEGER

interface ParkedWrite {
  readonly ordinal: number
  readonly bytes: number
  readonly untilMs: number
}

interface Lane {
  /** Any slot of the move: they all go at one pace. */
  readonly slot: SlotId
  readonly queue: BoundedDeque<ParkedWrite>
  /** When the next write may go. */
  freeAtMs: number
}

export interface ThrottlePorts {
  /** Of the slot's move; null: no limit. */
  bytesPerSecond(slot: SlotId, nowMs: number): number | null
  /** A parked write goes on. */
  proceed(ordinal: number): void
}

export class ThrottledWrites {
  readonly #ports: ThrottlePorts
  readonly #lanes = new Map<number, Lane>()
  readonly #laneOfSlot = new Map<SlotId, Lane>()

  constructor(ports: ThrottlePorts) {
    this.#ports = ports
  }

  /** The group's open moves out of it, as they are now. What was parked for one that is over goes on. */
  setMoves(moves: readonly OpenMove[]): void {
    const open = new Set(moves.map(({ reconfigId }) => reconfigId))
    for (const [reconfigId, lane] of this.#lanes) {
      if (open.has(reconfigId)) continue
      this.#lanes.delete(reconfigId)
      for (const [slot, of] of this.#laneOfSlot) if (of === lane) this.#laneOfSlot.delete(slot)
      for (let head = lane.queue.shift(); head !== undefined; head = lane.queue.shift())
        this.#ports.proceed(head.ordinal)
    }
    for (const { reconfigId, slots } of moves) {
      if (this.#lanes.has(reconfigId) || slots.length === 0) continue
      const lane = { slot: slots[0].slot, queue: new BoundedDeque<ParkedWrite>(QUEUE_MAX), freeAtMs: 0 }
      this.#lanes.set(reconfigId, lane)
      for (const { slot } of slots) this.#laneOfSlot.set(slot, lane)
    }
  }

  admits(slot: SlotId, bytes: number, nowMs: number): boolean {
    const lane = this.#laneOfSlot.get(slot)
    if (lane === undefined) return true
    if (lane.queue.length > 0) return false
    return this.#takes(lane, bytes, this.#ports.bytesPerSecond(lane.slot, nowMs), nowMs)
  }

  /** The write was not admitted. */
  parked(slot: SlotId, bytes: number, ordinal: number, nowMs: number): void {
    const lane = present(this.#laneOfSlot.get(slot), `slot ${slot}: a write is parked that nothing holds up`)
    lane.queue.push({ ordinal, bytes, untilMs: nowMs + PARKED_MS_MAX })
  }

  /** Lets go what may go now. */
  pump(nowMs: number): void {
    for (const lane of this.#lanes.values()) {
      for (let head = lane.queue.peek(); head !== undefined; head = lane.queue.peek()) {
        const perSecond = this.#ports.bytesPerSecond(lane.slot, nowMs)
        if (!this.#takes(lane, head.bytes, perSecond, nowMs)) {
          if (head.untilMs > nowMs) break
          this.#charge(lane, head.bytes, perSecond ?? 0, nowMs)
        }
        lane.queue.shift()
        this.#ports.proceed(head.ordinal)
      }
    }
  }

  /** When to pump at the latest. */
  get dueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY
    for (const { queue, freeAtMs } of this.#lanes.values()) {
      const head = queue.peek()
      if (head !== undefined) dueMs = Math.min(dueMs, head.untilMs, freeAtMs)
    }
    return dueMs
  }

  #takes(lane: Lane, bytes: number, perSecond: number | null, nowMs: number): boolean {
    if (perSecond === null) {
      lane.freeAtMs = nowMs
      return true
    }
    if (lane.freeAtMs > nowMs) return false
    this.#charge(lane, bytes, perSecond, nowMs)
    return true
  }

  /** Those that went because they had waited for too long count as well, but hold the ones behind them up no further than by their own time. */
  #charge(lane: Lane, bytes: number, perSecond: number, nowMs: number): void {
    const takesMs = (bytes / Math.max(1, perSecond)) * 1000
    lane.freeAtMs = Math.max(lane.freeAtMs, nowMs - BURST_MS) + takesMs
    lane.freeAtMs = Math.min(lane.freeAtMs, nowMs + 2 * PARKED_MS_MAX)
  }
}
