import { expect, it } from 'vitest'
import { asSlotId } from '../base/brand.ts'
import { PULL_SLOTS_MAX } from '../protocol/migration-message.ts'
import { PullRotation } from './pull-rotation.ts'

const all = () => true

function rotation(slots: number): PullRotation {
  return new PullRotation(Array.from({ length: slots }, (_, slot) => asSlotId(slot)))
}

it('a slot that always has more does not starve the others', () => {
  const turns = rotation(300)
  const looks = new Map<number, number>()
  for (let pull = 0; pull < 900; pull++) {
    const named = turns.next(all)
    // The source's budget is used up by one slot.
    looks.set(named[0], (looks.get(named[0]) ?? 0) + 1)
    turns.looked(named, 1, true, true)
  }
  expect(new Set(looks.values())).toEqual(new Set([3]))
})

it('a round is over when every slot was looked at, and says what it brought', () => {
  const turns = rotation(PULL_SLOTS_MAX * 2)
  const look = (news: boolean, hungry: boolean): string => turns.looked(turns.next(all), PULL_SLOTS_MAX, news, hungry)
  expect([look(false, false), look(false, false)]).toEqual(['open', 'nothing'])
  expect([look(true, false), look(false, false)]).toEqual(['open', 'news'])
  expect([look(true, true), look(true, false)]).toEqual(['open', 'hungry'])
  expect([look(false, false), look(false, false)]).toEqual(['open', 'nothing'])
})

it('names only those that are wanted; to have looked at them all is a round', () => {
  const turns = rotation(10)
  const odd = (slot: number): boolean => slot % 2 === 1
  expect(turns.next(odd)).toEqual([1, 3, 5, 7, 9])
  expect(turns.looked(turns.next(odd), 2, false, false)).toBe('open')
  expect(turns.next(odd)).toEqual([5, 7, 9, 1, 3])
  expect(turns.looked(turns.next(odd), 5, false, false)).toBe('nothing')
  expect(turns.looked([], 0, false, false)).toBe('nothing')
})
