import { expect, it } from 'vitest'
import { parseSlotTable, type SlotTable, withLeadersOf } from './slot-table.ts'

const WIRE = {
  version: 3,
  slotCount: 4,
  ranges: [
    [0, 1, 1],
    [2, 3, 2],
  ],
  groups: [
    { id: 1, leader: 2, members: [1, 2, 3] },
    { id: 2, leader: null, members: [1, 9] },
  ],
  nodes: [
    { id: 1, resp: 'a:1' },
    { id: 2, resp: 'b:1' },
    { id: 3, resp: 'c:1' },
  ],
}

function parse(changes: object = {}): SlotTable | null {
  return parseSlotTable(JSON.stringify({ ...WIRE, ...changes }))
}

it('reads a table: leaders first, and members without an address left out', () => {
  const table = parse()
  expect(table).toMatchObject({ version: 3, slotCount: 4, groupOf: [1, 1, 2, 2], nodes: ['a:1', 'b:1', 'c:1'] })
  expect(table?.addresses.get(1)).toEqual(['b:1', 'a:1', 'c:1'])
  expect(table?.addresses.get(2)).toEqual(['a:1'])
  expect([...(table?.leaders ?? [])]).toEqual([[1, 'b:1']])
})

it.each([
  ['no JSON', 'x'],
  ['null', 'null'],
  ['a slot of no group', JSON.stringify({ ...WIRE, ranges: [[0, 2, 1]] })],
  ['a range beyond the slots', JSON.stringify({ ...WIRE, ranges: [[0, 4, 1]] })],
  ['too many slots', JSON.stringify({ ...WIRE, slotCount: 20_000 })],
  ['no ranges', JSON.stringify({ ...WIRE, ranges: 1 })],
  ['a node without an address', JSON.stringify({ ...WIRE, nodes: [{ id: 1 }] })],
  ['a group without members', JSON.stringify({ ...WIRE, groups: [{ id: 1, leader: null }] })],
  ['a leader that is no id', JSON.stringify({ ...WIRE, groups: [{ id: 1, leader: 'x', members: [] }] })],
])('does not believe %s', (_, text) => {
  expect(parseSlotTable(text)).toBeNull()
})

it('keeps leaders that the next node does not know, while they are members', () => {
  const before = parse() as SlotTable
  const silent = (members: readonly number[]): SlotTable =>
    parse({ groups: [{ id: 1, leader: null, members }, WIRE.groups[1]] }) as SlotTable
  const kept = withLeadersOf(before, silent([1, 2, 3]))
  expect([kept.leaders.get(1), kept.addresses.get(1)]).toEqual(['b:1', ['b:1', 'a:1', 'c:1']])
  expect(withLeadersOf(before, silent([1, 3])).leaders.get(1)).toBeUndefined()
  const newer = parse({ groups: [{ id: 1, leader: 3, members: [1, 2, 3] }] }) as SlotTable
  expect(withLeadersOf(before, newer).leaders.get(1)).toBe('c:1')
  expect(withLeadersOf(null, before)).toEqual(before)
})
