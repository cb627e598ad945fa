import { expect, it } from 'vitest'
import { asGroupId, asNodeId } from '../../base/brand.ts'
import { mergeMoves, type NodeMove } from './move-report.ts'

function side(reconfigId: number, role: NodeMove['role'], phase: NodeMove['phase'], node = 1): NodeMove {
  const group = asGroupId(role === 'source' ? 1 : 2)
  const bytes = role === 'source' ? 10 : 20
  return {
    reconfigId,
    role,
    phase,
    keys: 1,
    bytes,
    bytesPerSecond: 5,
    secondsLeft: 3,
    attempts: 0,
    group,
    node: asNodeId(node),
  }
}

it('puts the two sides of each reconfig together, the destination for the amounts', () => {
  const [one, two] = mergeMoves([
    side(2, 'source', 'copying'),
    side(1, 'source', 'streaming'),
    side(1, 'destination', 'copying', 3),
  ])
  expect([one.reconfigId, one.phase, one.bytes, one.source?.node, one.destination?.node]).toEqual([
    1,
    'streaming',
    20,
    1,
    3,
  ])
  expect([two.reconfigId, two.phase, two.bytes, two.destination]).toEqual([2, 'copying', 10, null])
})

it('shows a move as done once the source has cleaned up, and of two that speak for one side the one that is further on', () => {
  const phase = (...moves: NodeMove[]): string => mergeMoves(moves)[0].phase
  expect(phase(side(1, 'source', 'handover'), side(1, 'destination', 'done'))).toBe('cleaning')
  expect(phase(side(1, 'source', 'done'), side(1, 'destination', 'done'))).toBe('done')
  expect(phase(side(1, 'source', 'cancelled'), side(1, 'destination', 'streaming'))).toBe('cancelled')
  expect(phase(side(1, 'destination', 'copying', 2), side(1, 'destination', 'handover', 3))).toBe('handover')
  expect(phase(side(1, 'destination', 'handover', 3), side(1, 'destination', 'copying', 2))).toBe('handover')
  expect(mergeMoves([])).toEqual([])
})
