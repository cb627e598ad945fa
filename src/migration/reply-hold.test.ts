import { describe, expect, it } from 'vitest'
import { asLogIndex, asSlotId } from '../base/brand.ts'
import { ReplyHold } from './reply-hold.ts'

const SLOT = asSlotId(3)
const OTHER = asSlotId(4)

function active(): ReplyHold {
  const hold = new ReplyHold()
  hold.setActive(true)
  return hold
}

describe('held replies', () => {
  it('nothing is held before the move is near its end', () => {
    expect(new ReplyHold().offer(SLOT, asLogIndex(1), 10, 0)).toBe(false)
  })

  it('go once the destination has their slot through their index', () => {
    const hold = active()
    for (const index of [5, 6, 7]) expect(hold.offer(SLOT, asLogIndex(index), 10, 0)).toBe(true)
    expect(hold.release(1)).toEqual([])
    hold.confirm(OTHER, 100)
    expect(hold.release(1)).toEqual([])
    hold.confirm(SLOT, 6)
    expect(hold.release(1)).toEqual([5, 6])
    hold.confirm(SLOT, 5)
    expect(hold.release(49)).toEqual([])
    hold.confirm(SLOT, 7)
    expect(hold.release(49)).toEqual([7])
    expect(hold.dueMs).toBe(Number.POSITIVE_INFINITY)
  })

  it('are held for 50 ms at most; then all go, and none is held for a second', () => {
    const hold = active()
    hold.offer(SLOT, asLogIndex(5), 10, 100)
    hold.offer(SLOT, asLogIndex(6), 10, 140)
    expect(hold.dueMs).toBe(150)
    expect(hold.release(149)).toEqual([])
    expect(hold.release(150)).toEqual([5, 6])
    expect(hold.offer(SLOT, asLogIndex(7), 10, 1149)).toBe(false)
    expect(hold.offer(SLOT, asLogIndex(8), 10, 1150)).toBe(true)
  })

  it('are let go where they take more than 1 MiB, or are more than 4096', () => {
    const hold = active()
    expect(hold.offer(SLOT, asLogIndex(1), 1024 * 1024, 0)).toBe(true)
    expect(hold.offer(SLOT, asLogIndex(2), 1, 0)).toBe(false)
    expect(hold.release(0)).toEqual([1])
    const many = active()
    for (let index = 1; index <= 4096; index++) expect(many.offer(SLOT, asLogIndex(index), 1, 0)).toBe(true)
    expect(many.offer(SLOT, asLogIndex(4097), 1, 0)).toBe(false)
    expect(many.release(0).length).toBe(4096)
  })

  it('go at once when the move is over', () => {
    const hold = active()
    hold.offer(SLOT, asLogIndex(1), 1, 0)
    hold.setActive(false)
    expect(hold.release(0)).toEqual([1])
  })
})
