import { expect, it } from 'vitest'
import { asSlotId } from '../base/brand.ts'
import { PULL_SLOTS_MAX } from '../protocol/migration-message.ts'
import { PULLS_MAX, PullRotation } from './pull-rotation.ts'

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
    turns.looked(named, 1, { news: true, hungry: true }, all)
  }
  expect(new Set(looks.values())).toEqual(new Set([3]))
})

it('a round is over when every slot was looked at, and says what it brought', () => {
  const turns = rotation(PULL_SLOTS_MAX * PULLS_MAX)
  const look = (news: boolean, hungry: boolean): string =>
    turns.looked(turns.next(all), PULL_SLOTS_MAX, { news, hungry }, all)
  const round = (...looks: [boolean, boolean][]): string[] => looks.map((found) => look(...found))
  const [nothing, news, hungry]: [boolean, boolean][] = [
    [false, false],
    [true, false],
    [true, true],
  ]
  expect(round(nothing, nothing, nothing, nothing)).toEqual(['open', 'open', 'open', 'nothing'])
  expect(round(news, nothing, nothing, nothing)).toEqual(['open', 'open', 'open', 'news'])
  expect(round(nothing, hungry, news, nothing)).toEqual(['open', 'open', 'open', 'hungry'])
  expect(round(nothing, nothing, nothing, nothing)).toEqual(['open', 'open', 'open', 'nothing'])
})

it('names only those that are wanted; to have looked at them all is a round', () => {
  const turns = rotation(10)
  const odd = (slot: number): boolean => slot % 2 === 1
  const nothing = { news: false, hungry: false }
  const named = turns.next(odd)
  expect(named).toEqual([1, 3, 5, 7, 9])
  expect(turns.looked(named, 2, nothing, odd)).toBe('open')
  const rest = turns.next(odd)
  expect(rest).toEqual([5, 7, 9, 1, 3])
  expect(turns.looked(rest, 5, nothing, odd)).toBe('nothing')
  expect(turns.looked([], 0, nothing, () => false)).toBe('nothing')
})

it('pulls under way name different slots; what one does not come to is named again', () => {
  const turns = rotation(100)
  const pulls = [turns.next(all), turns.next(all), turns.next(all), turns.next(all)]
  expect(pulls.map((slots) => slots.length)).toEqual([32, 32, 32, 4])
  expect(new Set(pulls.flat()).size).toBe(100)
  expect(turns.next(all)).toEqual([])
  turns.released(pulls[1])
  expect(turns.next(all)).toEqual(pulls[1])
  const found = { news: true, hungry: true }
  expect(turns.looked(pulls[0], 1, found, all)).toBe('open')
  // Where slots have more, each pull names its share; those of this round first, then those that were looked at, as there is room.
  expect(turns.next(all)).toEqual(pulls[0].slice(1, 26))
  expect(turns.next(all)).toEqual([...pulls[0].slice(26), pulls[0][0]])
})

it('while a pull is under way, what this round has looked at is not named again by itself', () => {
  const turns = rotation(64)
  const [first, second] = [turns.next(all), turns.next(all)]
  const nothing = { news: false, hungry: false }
  expect(turns.looked(first, 32, nothing, all)).toBe('open')
  expect(turns.next(all)).toEqual([])
  turns.restart()
  expect(turns.next(all)).toEqual(first)
  expect(turns.looked(second, 32, nothing, all)).toBe('open')
})
