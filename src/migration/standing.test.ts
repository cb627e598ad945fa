import { describe, expect, it } from 'vitest'
import { asNodeId, asSlotId } from '../base/brand.ts'
import type { SlotMover } from '../ports/slot-mover.ts'
import { DriverStory, standing } from './driver-story.testkit.ts'
import { redirectOf } from './group-migration.ts'
import { destinationStanding, sourceStanding } from './standing.ts'

const SLOTS = [asSlotId(1), asSlotId(2)]

/** No open move; the group's last reconfig of slots 1 and 2. */
function moverOf(first: number, second: number): SlotMover {
  const last = new Map([
    [SLOTS[0], first],
    [SLOTS[1], second],
  ])
  return {
    ...({} as SlotMover),
    moves: [],
    hasCommitted: (slot, reconfigId) => (last.get(slot) ?? 0) >= reconfigId,
  }
}

describe('how far a reconfig has come, by applied state', () => {
  it('the source: over where one slot was touched by it or by a later one, else its BEGIN may still come', () => {
    expect(sourceStanding(moverOf(4, 4), 5, SLOTS).kind).toBe('unknown')
    expect(sourceStanding(moverOf(5, 5), 5, SLOTS).kind).toBe('ended')
    expect(sourceStanding(moverOf(4, 7), 5, SLOTS).kind).toBe('ended')
  })

  it('the destination: CheckCommit is about every slot', () => {
    expect(destinationStanding(moverOf(5, 4), 5, SLOTS).kind).toBe('unknown')
    expect(destinationStanding(moverOf(5, 9), 5, SLOTS).kind).toBe('committed')
    expect(destinationStanding(moverOf(5, 5), 5, []).kind).toBe('unknown')
  })

  it('any leader answers, also without an open move', () => {
    const story = new DriverStory('destination', 1)
    story.phase = 'over'
    story.committed = true
    story.applied()
    story.forget()
    story.hears({ ...story.envelope(3), type: 'ask', asked: 'destination', own: standing('disabled', 9), slots: SLOTS })
    expect(story.sent).toMatchObject([
      { to: 21, message: { type: 'answer', requestId: 3, standing: { kind: 'committed' } } },
    ])
    expect(story.sent[0].message).toMatchObject({ toGroup: 2, fromGroup: 1 })
  })
})

it('a node that does not lead redirects questions, and keeps silent about answers', () => {
  const story = new DriverStory('destination', 1)
  const leader = { nodeId: asNodeId(8), address: 'h:1' }
  const pull = story.lastPull
  expect(redirectOf(pull, leader)).toEqual({
    type: 'redirect',
    toGroup: 1,
    fromGroup: 2,
    reconfigId: pull.reconfigId,
    requestId: pull.requestId,
    leader,
  })
  expect(redirectOf({ ...story.envelope(1), type: 'answer', standing: standing('begun') }, leader)).toBe(null)
})
