/**
 * The order of one connection's requests within each slot, as ports/request-router.ts asks for it: calls are first in, first out; no write
 * is called while a read of the lane is unanswered (it is parked, and all behind it); a read called while a write of the lane is
 * unanswered is marked `afterWrites`. Between slots there is no order: a pipeline over many slots runs at once.
 */
import { assert } from '../../base/assert.ts'
import type { RequestRouter } from '../../ports/request-router.ts'
import type { Request } from './request.ts'

/** One slot with unanswered requests of one connection. */
export interface Lane {
  slot: number
  reads: number
  writes: number
  parkedFirst: Request | null
  parkedLast: Request | null
}

const MAX_POOLED_LANES = 4096
/** Shared by all connections: a lane lives for one request's time when nothing is pipelined. */
const freeLanes: Lane[] = []

export class SlotLanes {
  readonly #router: RequestRouter
  readonly #lanes = new Map<number, Lane>()

  constructor(router: RequestRouter) {
    this.#router = router
  }

  /** Slots with unanswered requests. */
  get size(): number {
    return this.#lanes.size
  }

  submit(request: Request): void {
    const lane = this.#laneOf(request.slot)
    request.lane = lane
    if (lane.parkedFirst !== null || (request.write && lane.reads > 0)) {
      if (lane.parkedLast === null) lane.parkedFirst = request
      else lane.parkedLast.nextParked = request
      lane.parkedLast = request
      return
    }
    this.#call(lane, request)
  }

  /** The router has answered this one. May call the router with what was parked behind it. */
  finished(request: Request): void {
    const lane = request.lane
    assert(lane !== null, 'SlotLanes.finished: the request is in no lane')
    request.lane = null
    if (request.write) lane.writes--
    else lane.reads--
    assert(lane.writes >= 0 && lane.reads >= 0, 'SlotLanes.finished: more answers than requests')
    for (let head = lane.parkedFirst; head !== null; head = lane.parkedFirst) {
      if (head.write && lane.reads > 0) return
      lane.parkedFirst = head.nextParked
      if (lane.parkedFirst === null) lane.parkedLast = null
      head.nextParked = null
      this.#call(lane, head)
    }
    if (lane.reads === 0 && lane.writes === 0) {
      this.#lanes.delete(lane.slot)
      if (freeLanes.length < MAX_POOLED_LANES) freeLanes.push(lane)
    }
  }

  /** The connection has gone: what was not called yet never will be. */
  dropParked(): void {
    for (const lane of this.#lanes.values()) {
      lane.parkedFirst = null
      lane.parkedLast = null
    }
  }

  #laneOf(slot: number): Lane {
    const known = this.#lanes.get(slot)
    if (known !== undefined) return known
    const lane = freeLanes.pop() ?? { slot, reads: 0, writes: 0, parkedFirst: null, parkedLast: null }
    lane.slot = slot
    this.#lanes.set(slot, lane)
    return lane
  }

  #call(lane: Lane, request: Request): void {
    request.called = true
    if (request.write) {
      lane.writes++
      const { identity, slot, command, done } = request
      if (identity === null) this.#router.write(slot, command, done)
      else this.#router.writeAs(identity, slot, command, done)
    } else {
      lane.reads++
      this.#router.read(request.slot, request.command, request.level, lane.writes > 0, request.done)
    }
  }
}
