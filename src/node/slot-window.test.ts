// Numbers, the lowest unanswered one, and the bound of 256.
import { expect, it } from 'vitest'
import { SLOT_WINDOW_MAX, SlotWindow } from './slot-window.ts'

it('knows the lowest unanswered write, and holds back the 257th', () => {
  const window = new SlotWindow<{ sequence: number; answered: boolean }, string>()
  const writes = Array.from({ length: SLOT_WINDOW_MAX }, () => ({ sequence: window.takeSequence(), answered: false }))
  for (const write of writes) window.add(write)
  expect(window.hasRoom).toBe(false)
  expect(window.lowestUnanswered).toBe(1)
  window.parked.push('later')
  writes[1].answered = true
  expect(window.answered()).toBe(false)
  writes[0].answered = true
  expect(window.answered()).toBe(true)
  expect(window.lowestUnanswered).toBe(3)
})

it('has the next number as its lowest when nothing is out, over many rounds', () => {
  const window = new SlotWindow<{ sequence: number; answered: boolean }, string>()
  for (let round = 1; round <= 1_000; round++) {
    const write = { sequence: window.takeSequence(), answered: false }
    window.add(write)
    expect(window.lowestUnanswered).toBe(round)
    write.answered = true
    window.answered()
    expect(window.lowestUnanswered).toBe(round + 1)
  }
})
