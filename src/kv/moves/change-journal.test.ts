import { describe, expect, it } from 'vitest'
import { asLogIndex, asSlotId } from '../../base/brand.ts'
import { latin1Bytes, latin1Text } from '../../base/bytes.ts'
import { ChangeJournal } from './change-journal.ts'

const SLOT = asSlotId(1)
const OTHER = asSlotId(2)

function note(journal: ChangeJournal, index: number, key: string, slot = SLOT): void {
  journal.note(slot, latin1Bytes(key), asLogIndex(index))
}

function above(journal: ChangeJournal, index: number, slot = SLOT): string | null {
  const changed = journal.changedAbove(slot, index)
  return changed === null ? null : [...changed].map(({ key, index: at }) => `${latin1Text(key)}@${at}`).join(' ')
}

describe('the journal of changes', () => {
  it('gives each key once, in the order of the last changes', () => {
    const journal = new ChangeJournal(asLogIndex(10))
    note(journal, 11, 'a')
    note(journal, 12, 'b')
    note(journal, 12, 'c')
    note(journal, 13, 'a')
    note(journal, 14, 'x', OTHER)
    expect(above(journal, 10)).toBe('b@12 c@12 a@13')
    expect(above(journal, 12)).toBe('a@13')
    expect(above(journal, 13)).toBe('')
    expect(journal.pendingKeys(SLOT)).toBe(3)
  })

  it('says so where it does not reach back: before its beginning, and what was trimmed', () => {
    const journal = new ChangeJournal(asLogIndex(10))
    expect(above(journal, 9)).toBe(null)
    note(journal, 11, 'a')
    note(journal, 12, 'b')
    journal.trim(SLOT, 11)
    expect(above(journal, 10)).toBe(null)
    expect(above(journal, 11)).toBe('b@12')
    expect(above(journal, 10, OTHER)).toBe('')
    journal.trim(SLOT, 10)
    expect(above(journal, 10)).toBe(null)
    journal.trim(SLOT, 12)
    expect(journal.pendingKeys(SLOT)).toBe(0)
    expect(above(journal, 12)).toBe('')
  })

  it('forgets all where it takes too much; a key that is written again and again takes no more', () => {
    const journal = new ChangeJournal(asLogIndex(0), 1000)
    for (let index = 1; index <= 1000; index++) note(journal, index, 'hot')
    expect(above(journal, 0)).toBe('hot@1000')
    for (let index = 1001; index <= 1010; index++) note(journal, index, `k${index}`)
    expect(above(journal, 0)).toBe(null)
    expect(above(journal, 1010)).toBe('')
    note(journal, 1011, 'a')
    expect(above(journal, 1010)).toBe('a@1011')
  })
})
