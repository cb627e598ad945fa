import { expect, test } from 'vitest'
import { Journal } from './journal.ts'

/** Entries 0, 2 and 4 acknowledged, 1 and 5 unknown, 3 refused. */
function journal(): Journal {
  const one = new Journal('j')
  for (let i = 0; i < 6; i++) expect(one.next()).toBe(i)
  for (const sequence of [0, 2, 4]) one.acknowledged(sequence)
  for (const sequence of [1, 5]) one.unknown(sequence)
  return one
}

test.each([
  ['0;2;4;', null],
  ['0;1;2;4;5;', null],
  // An unknown entry may arrive late, behind later ones.
  ['0;2;4;5;1;', null],
  ['0;2;', 'j lost the acknowledged entry 4'],
  ['0;4;', 'j lost the acknowledged entry 2'],
  [null, 'j lost the acknowledged entry 0'],
  ['0;2;2;4;', 'j holds entry 2 twice'],
  ['0;1;1;2;4;', 'j holds entry 1 twice'],
  ['0;2;3;4;', 'j holds entry 3 where 4 belongs'],
  ['0;2;4;3;', 'j holds entry 3, which was refused or never sent'],
  ['2;0;4;', 'j holds entry 2 where 0 belongs'],
  ['0;2;4', 'j holds "0;2;4", which is no journal'],
  ['0;2;x;4;', 'j holds "0;2;x;4;", which is no journal'],
])('%j: %j', (value, problem) => {
  expect(journal().check(value)).toBe(problem)
})

test('nothing appended, nothing there', () => {
  expect(new Journal('j').check(null)).toBeNull()
  expect(new Journal('j').check('')).toBeNull()
})
