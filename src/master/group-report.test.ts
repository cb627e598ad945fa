import { expect, test } from 'vitest'
import { asGroupId, asNodeId } from '../base/brand.ts'
import { genesisMembers } from './cluster-genesis.ts'
import { writeReport } from './group-report.ts'
import { MasterWorld } from './master-world.testkit.ts'

test('of two reports the one with the higher configuration index stays, whoever writes last', () => {
  const world = new MasterWorld(1)
  const store = world.metadata.open()
  world.clock.run(10)
  const group = asGroupId(1)
  const members = genesisMembers(0, [1, 2].map(asNodeId))
  const report = (index: number, leader: number): string => {
    let answer = ''
    writeReport(store, group, { index, members, learners: [], leader: asNodeId(leader) }, (result) => {
      answer = result
    })
    world.clock.run(20)
    return answer
  }
  expect(report(5, 1)).toBe('written')
  expect(report(9, 2)).toBe('written')
  expect(report(5, 1)).toBe('stale')
  expect(report(9, 2)).toBe('written')
  expect(report(9, 1)).toBe('written')
  expect(world.snapshot().groups.get(group)?.report?.value).toEqual({ index: 9, members, learners: [], leader: 1 })
})
