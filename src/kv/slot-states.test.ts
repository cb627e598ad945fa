import { describe, expect, it } from 'vitest'
import { asLogIndex, asSlotId } from '../base/brand.ts'
import { BytesReader, BytesWriter, DecodeError } from '../base/bytes.ts'
import { makeGeneration } from '../ports/key-space.ts'
import { SlotStates } from './slot-states.ts'

const SLOT = asSlotId(2)
const encoded = (states: SlotStates): Uint8Array => {
  const writer = new BytesWriter()
  states.encode(writer)
  return writer.copy()
}
const copyOf = (states: SlotStates): SlotStates => SlotStates.decode(new BytesReader(encoded(states)), 4)

function flushed(times: number): SlotStates {
  const states = new SlotStates(4, [[1, 2]])
  for (let index = 1; index <= times; index++) {
    states.notePut(SLOT)
    expect(states.flush(SLOT, asLogIndex(index))).toBe(true)
  }
  return states
}

describe('slot states', () => {
  it('own what genesis gave, and no number beyond the slots', () => {
    const states = new SlotStates(4, [[1, 2]])
    expect([0, 1, 2, 3, 4, 65535].map((slot) => states.owns(slot))).toEqual([false, true, true, false, false, false])
    expect(states.generation(SLOT)).toBe(makeGeneration(0, 1))
  })

  it('a flush begins the next generation; the old ones die in order, in one run', () => {
    const states = flushed(3)
    expect(states.generation(SLOT)).toBe(makeGeneration(0, 4))
    expect(states.lastDelete(SLOT)).toBe(3)
    expect([0, 1, 2, 3, 4].map((generation) => states.isDead(SLOT, generation))).toEqual([
      false,
      true,
      true,
      true,
      false,
    ])
    // 4 slots of a flag byte, two with fields, one run.
    expect(encoded(states).length).toBe(4 + 2 * 24 + 4 + 18)
    for (let counter = 1; counter <= 3; counter++) {
      const oldest = states.oldestDead(SLOT)
      expect(oldest).toBe(makeGeneration(0, counter))
      if (oldest !== null) states.forgetDead(SLOT, oldest)
    }
    expect(states.oldestDead(SLOT)).toBeNull()
    expect(states.slotsWithDead()).toEqual([])
  })

  it('a copy goes on where the first one stands', () => {
    const states = flushed(2)
    const copy = copyOf(states)
    for (const each of [states, copy]) {
      expect(each.flush(SLOT, asLogIndex(8))).toBe(true)
      each.notePut(SLOT)
      expect(each.flush(SLOT, asLogIndex(9))).toBe(true)
    }
    expect(encoded(copy)).toEqual(encoded(states))
    expect(copy.generation(SLOT)).toBe(makeGeneration(0, 4))
  })

  it('the last generation of a reconfig cannot be flushed: a number is never used again', () => {
    const bytes = encoded(flushed(0))
    new DataView(bytes.buffer).setUint32(1 + 25 + 1, 2 ** 24 - 1, true)
    const states = SlotStates.decode(new BytesReader(bytes), 4)
    expect(states.generation(SLOT)).toBe(2 ** 24 - 1)
    states.notePut(SLOT)
    expect(states.flush(SLOT, asLogIndex(1))).toBe(false)
    expect(states.generation(SLOT)).toBe(2 ** 24 - 1)
  })

  it('broken invariants do not pass', () => {
    const states = flushed(2)
    expect(() => states.noteDelete(SLOT, asLogIndex(1))).toThrow('a delete index fell')
    expect(() => states.flush(asSlotId(0), asLogIndex(9))).toThrow('not owned')
    const second = makeGeneration(0, 2)
    if (second !== null) expect(() => states.forgetDead(SLOT, second)).toThrow('not the oldest')
    const bytes = encoded(states)
    bytes[0] = 0x80
    expect(() => SlotStates.decode(new BytesReader(bytes), 4)).toThrow(DecodeError)
  })
})
