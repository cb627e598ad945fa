// Who waits, for how long, and in which order: by the pace that a move allows.
import { expect, it } from 'vitest'
import { asGroupId, asLogIndex, asSlotId } from '../../base/brand.ts'
import type { OpenMove } from '../../ports/slot-mover.ts'
import { FIRST_CURSOR } from '../../protocol/move-command.ts'
import { PARKED_MS_MAX, ThrottledWrites } from './throttled-writes.ts'

const SLOT = asSlotId(3)
const OTHER_SLOT = asSlotId(4)
const ELSEWHERE = asSlotId(9)

function move(reconfigId: number, slots: readonly number[]): OpenMove {
  return {
    role: 'source',
    reconfigId,
    peer: { group: asGroupId(2), nodes: [] },
    slots: slots.map((slot) => ({ slot: asSlotId(slot), cursor: FIRST_CURSOR })),
    phase: 'begun',
    disableIndex: asLogIndex(0),
    journal: null,
  }
}

class Throttle {
  perSecond: number | null = 1_000
  nowMs = 0
  readonly gone: number[] = []
  readonly writes = new ThrottledWrites({
    bytesPerSecond: () => this.perSecond,
    proceed: (ordinal) => this.gone.push(ordinal),
  })
  #ordinal = 0

  constructor() {
    this.writes.setMoves([move(1, [SLOT, OTHER_SLOT])])
  }

  /** True: it went at once. */
  write(slot = SLOT, bytes = 100): boolean {
    if (this.writes.admits(slot, bytes, this.nowMs)) return true
    this.writes.parked(slot, bytes, ++this.#ordinal, this.nowMs)
    return false
  }

  pumpAt(nowMs: number): number[] {
    this.nowMs = nowMs
    this.writes.pump(nowMs)
    return this.gone.splice(0)
  }
}

it('holds nobody up without a limit, and never a slot that does not move', () => {
  const throttle = new Throttle()
  throttle.perSecond = null
  for (let i = 0; i < 10; i++) expect(throttle.write()).toBe(true)
  throttle.perSecond = 1
  expect([throttle.write(), throttle.write()]).toEqual([true, false])
  for (let i = 0; i < 10; i++) expect(throttle.write(ELSEWHERE)).toBe(true)
})

it('lets writes go at the pace of the move, all its slots together, in their order', () => {
  const throttle = new Throttle()
  expect([throttle.write(), throttle.write(), throttle.write(OTHER_SLOT), throttle.write()]).toEqual([
    true,
    false,
    false,
    false,
  ])
  // 100 bytes at 1,000 a second.
  expect(throttle.writes.dueMs).toBe(100)
  expect(throttle.pumpAt(99)).toEqual([])
  expect(throttle.pumpAt(100)).toEqual([1])
  // The slot's next write must not overtake those that wait, however much room there is.
  throttle.nowMs = 203
  expect(throttle.write(SLOT, 1)).toBe(false)
  expect(throttle.pumpAt(204)).toEqual([2])
  throttle.perSecond = null
  expect(throttle.pumpAt(205)).toEqual([3, 4])
  expect(throttle.write()).toBe(true)
  expect(throttle.writes.dueMs).toBe(Number.POSITIVE_INFINITY)
})

it('keeps the pace however late the timer', () => {
  const throttle = new Throttle()
  throttle.perSecond = 100_000
  for (let i = 0; i < 1_000; i++) throttle.write()
  let gone = 0
  for (let nowMs = 3; nowMs <= 600; nowMs += 3) gone += throttle.pumpAt(nowMs).length
  expect(gone).toBeGreaterThan(590)
  expect(gone).toBeLessThan(620)
})

it('holds no write up for longer than its time, and lets go what is parked for a move that is over', () => {
  const throttle = new Throttle()
  throttle.perSecond = 1
  throttle.write()
  throttle.write()
  throttle.nowMs = 400
  throttle.write()
  expect(throttle.writes.dueMs).toBe(PARKED_MS_MAX)
  expect(throttle.pumpAt(PARKED_MS_MAX)).toEqual([1])
  expect(throttle.pumpAt(400 + PARKED_MS_MAX - 1)).toEqual([])
  throttle.write()
  throttle.writes.setMoves([move(2, [ELSEWHERE])])
  expect(throttle.gone).toEqual([2, 3])
  expect(throttle.write()).toBe(true)
  expect([throttle.write(ELSEWHERE), throttle.write(ELSEWHERE)]).toEqual([true, false])
})
