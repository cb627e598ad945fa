import { expect, it } from 'vitest'
import { asGroupId, asSlotId } from '../base/brand.ts'
import { EMPTY_BYTES } from '../base/bytes.ts'
import { encodeMove, FIRST_CURSOR, type StagePart } from '../protocol/move-command.ts'
import { partBytes, stageBatches } from './stage-batches.ts'

function part(slot: number, ...valueBytes: number[]): StagePart {
  const items = valueBytes.map((length) => ({ key: new Uint8Array(3), value: new Uint8Array(length), expiresAtMs: 0 }))
  return { slot: asSlotId(slot), expected: FIRST_CURSOR, next: FIRST_CURSOR, sessions: EMPTY_BYTES, items }
}

it('keeps the order, fills entries, and sends what is too large alone', () => {
  const parts = [part(1, 100, 100), part(1, 300), part(2, 5000), part(3, 10), part(3, 10)]
  const batches = stageBatches(parts, 1000)
  expect(batches.map((batch) => batch.parts.map(({ slot }) => slot))).toEqual([[1, 1], [2], [3, 3]])
  expect(batches.map(({ size }) => size.keys)).toEqual([3, 1, 2])
  expect(batches.flatMap((batch) => batch.parts)).toEqual(parts)
  expect(stageBatches([], 1000)).toEqual([])
})

it('counts what an entry takes in the log', () => {
  const parts = [part(1, 100, 0), part(asGroupId(2), 7)]
  const coded = encodeMove({ kind: 'stage', reconfigId: 1, parts })
  const empty = encodeMove({ kind: 'stage', reconfigId: 1, parts: [] })
  expect(partBytes(parts[0]) + partBytes(parts[1])).toBe(coded.length - empty.length)
})
