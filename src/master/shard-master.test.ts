import { expect, test } from 'vitest'
import { asGroupId, asNodeId } from '../base/brand.ts'
import { latin1Bytes } from '../base/bytes.ts'
import { slotOf } from '../base/slot.ts'
import { MasterWorld, NODE } from './master-world.testkit.ts'

const G = asGroupId

test('a reconfig is answered when it is committed, and carried out by itself', () => {
  const world = new MasterWorld(1)
  const { reconfigIds } = world.done('reconfig', { slots: [[0, 3]] }, G(2))
  expect(reconfigIds).toEqual([1])
  expect(world.groups.owners()[0]).toBe(1)
  world.settle()
  expect(world.groups.owners().slice(0, 5)).toEqual([2, 2, 2, 2, 1])
  expect(world.reconfig(1)).toMatchObject({ status: 'done', source: 1, destination: 2, isClean: true })
  expect(world.snapshot().slots.value.version).toBe(2)
})

test('to where the slots are already is success and makes none, by plan too', () => {
  const world = new MasterWorld(2)
  world.groups.unreachable.add(G(1))
  const move = () => world.done('reconfig', { slots: [[0, 15]] }, G(2))
  expect(move().reconfigIds).toEqual([1])
  expect(move().reconfigIds).toEqual([])
  world.groups.unreachable.clear()
  world.settle()
  expect(move().reconfigIds).toEqual([])
  expect(world.snapshot().migrations.value.last).toBe(1)
})

test('one reconfig for each group that owns some of the slots', () => {
  const world = new MasterWorld(3, { weights: [1, 1, 2, 0] })
  const { reconfigIds } = world.done('reconfig', { slots: [[2, 9]] }, G(4))
  expect(reconfigIds).toEqual([1, 2, 3])
  world.settle()
  expect(world.groups.owners().slice(2, 10)).toEqual(Array(8).fill(4))
})

test('a key moves with its whole slot', () => {
  const world = new MasterWorld(4)
  const key = latin1Bytes('{user}:1')
  const slot = slotOf(key, 16)
  const before = world.done('getKeyGroup', key)
  const to = G(before.group === 1 ? 2 : 1)
  world.done('reconfig', { key }, to)
  world.settle()
  expect(world.done('getKeyGroup', key)).toEqual({ slot, group: to, version: 2 })
})

test('what cannot be is refused with a clear error', () => {
  const world = new MasterWorld(5)
  expect(world.refused('reconfig', { slots: [[0, 1]] }, G(9))).toBe('unknown-group')
  expect(world.refused('reconfig', { slots: [[0, 16]] }, G(2))).toBe('unknown-slot')
  expect(world.refused('reconfig', { slots: [[-1, 3]] }, G(2))).toBe('unknown-slot')
  expect(world.refused('reconfig', { slots: [[3, 1]] }, G(2))).toBe('malformed-argument')
  expect(world.refused('reconfig', { slots: [] }, G(2))).toBe('malformed-argument')
  expect(world.refused('getReconfig', 0)).toBe('malformed-id')
  expect(world.refused('getReconfig', 1.5)).toBe('malformed-id')
  expect(world.refused('cancel', 7)).toBe('unknown-reconfig')
  expect(world.refused('setWeight', G(1), -1)).toBe('malformed-argument')
  expect(world.refused('setWeight', G(7), 1)).toBe('unknown-group')
  expect(world.refused('createGroup', 1, [asNodeId(99)])).toBe('unknown-node')
  expect(world.refused('registerNode', { ...NODE, peer: 'nowhere' })).toBe('malformed-argument')
  expect(world.snapshot().migrations.value.last).toBe(0)
})

test('GetReconfig: known, past the last, pruned', () => {
  const world = new MasterWorld(6)
  const get = (id: number) => world.done('getReconfig', id)
  expect(get(1)).toEqual({ upToDate: true, last: 0 })
  for (let i = 0; i < 33 * 32; i++) {
    world.done('reconfig', { slots: [[0, 0]] }, G(i % 2 === 0 ? 2 : 1))
    if (i % 32 === 31) world.settle()
  }
  const last = 33 * 32
  expect(get(last)).toMatchObject({ upToDate: false, last, reconfig: { reconfigId: last, phase: 'done', source: 2 } })
  expect(get(last + 1)).toEqual({ upToDate: true, last })
  expect(world.refused('getReconfig', 5)).toBe('pruned')
  expect(world.snapshot().migrations.value).toMatchObject({ first: 2, open: [] })
  expect(get(64)).toMatchObject({ upToDate: false })
})

test('a chain over one slot is planned at once, and carried out in its order', () => {
  const world = new MasterWorld(7, { weights: [1, 1, 1] })
  world.groups.unreachable.add(G(1))
  for (const to of [2, 3, 1, 2]) world.done('reconfig', { slots: [[0, 1]] }, G(to))
  expect(
    world.reconfigs().map(({ source, destination, slots }) => [source, destination, slots[0].predecessor]),
  ).toEqual([
    [1, 2, 0],
    [2, 3, 1],
    [3, 1, 2],
    [1, 2, 3],
  ])
  world.groups.unreachable.clear()
  world.settle()
  expect(world.groups.owners().slice(0, 2)).toEqual([2, 2])
  const begun = world.groups.steps
    .filter(({ command }) => command.kind === 'begin-source')
    .map(({ command }) => command.reconfigId)
  expect(begun).toEqual([1, 2, 3, 4])
})

test('a planned one is cancelled at once, and what follows it fails; a begun one by its source’s log', () => {
  const world = new MasterWorld(8, { weights: [1, 1, 1] })
  world.groups.unreachable.add(G(2))
  const move = (to: number) => world.done('reconfig', { slots: [[0, 1]] }, G(to))
  move(2)
  move(3)
  move(1)
  world.clock.run(500)
  expect(world.reconfigs().map(({ status }) => status)).toEqual(['begun', 'planned', 'planned'])
  expect(world.done('cancel', 3)).toEqual({ status: 'cancelled' })
  expect(world.done('cancel', 1)).toEqual({ status: 'cancelling' })
  world.groups.unreachable.clear()
  world.settle()
  expect(world.reconfigs().map(({ status }) => status)).toEqual(['cancelled', 'failed', 'cancelled'])
  expect(world.groups.owners().slice(0, 2)).toEqual([1, 1])
  expect(world.refused('cancel', 2)).toBe('too-late')
  // The slot's last reconfig is the cancelled one: that is what the next names.
  move(3)
  expect(world.reconfig(4).slots).toEqual([{ first: 0, last: 1, predecessor: 1 }])
  world.settle()
  expect(world.groups.owners().slice(0, 2)).toEqual([3, 3])
})

test('a destination that refuses: the reconfig fails, visibly, and the slots stay', () => {
  const world = new MasterWorld(9)
  world.groups.faults.refuse = 1
  world.done('reconfig', { slots: [[0, 1]] }, G(2))
  world.settle()
  expect(world.done('getReconfig', 1)).toMatchObject({
    reconfig: { phase: 'failed', reason: 'the destination refused' },
  })
  expect(world.groups.owners()[0]).toBe(1)
})

test('weights 1:2:3 over 1024 slots end at 171:341:512, a new group takes from all, a drained one gives all', () => {
  const world = new MasterWorld(10, { slotCount: 1024, weights: [1] })
  world.createGroup(2)
  world.createGroup(3)
  world.settle()
  expect(world.counts()).toEqual([171, 341, 512])
  const before = world.groups.owners()
  const dry = world.done('rebalance', true)
  expect(dry).toEqual({ moves: [], reconfigIds: [] })
  world.createGroup(6)
  world.settle()
  expect(world.counts()).toEqual([85, 171, 256, 512])
  const after = world.groups.owners()
  // Only what the new group gets has moved.
  expect(after.filter((owner, slot) => owner !== before[slot]).length).toBe(512)
  world.done('drain', G(4), true)
  world.settle()
  expect(world.counts()).toEqual([171, 341, 512, 0])
  world.done('removeGroup', G(4))
  expect(world.snapshot().groups.has(G(4))).toBe(false)
  expect(world.createGroup(0)).toBe(5)
})

test('a group is removed only when it owns nothing and nobody waits for its word', () => {
  const world = new MasterWorld(11, { weights: [1, 1, 0] })
  const remove = (group: number) => world.refused('removeGroup', G(group))
  expect(remove(1)).toBe('group-in-use')
  world.groups.unreachable.add(G(1))
  world.done('reconfig', { slots: [[0, 0]] }, G(3))
  expect(remove(3)).toBe('group-in-use')
  world.done('cancel', 1)
  world.groups.unreachable.clear()
  world.settle()
  world.done('removeGroup', G(3))
  expect(remove(3)).toBe('unknown-group')
  expect(world.refused('leave', G(1), asNodeId(1))).toBe('group-in-use')
})

test('ranges in any order, and slots named twice, are one move that reads back', () => {
  const world = new MasterWorld(13)
  const { group } = world.done('createGroup', 0, [asNodeId(1)])
  const slots = [
    [6, 7],
    [0, 2],
    [2, 6],
  ] as const
  const { reconfigIds } = world.done('reconfig', { slots }, group)
  expect(reconfigIds).toHaveLength(1)
  const [reconfig] = world.snapshot().buckets.get(0)?.value ?? []
  expect(reconfig.slots.map(({ first, last }) => [first, last])).toEqual([[0, 7]])
})

test('nodes register under ids that are never given out twice, join and leave', () => {
  const world = new MasterWorld(12)
  expect(world.done('registerNode', NODE)).toEqual({ node: 4 })
  world.done('updateNode', asNodeId(4), { ...NODE, peer: '10.0.0.4:7383' })
  expect(world.snapshot().nodes.get(asNodeId(4))?.value.peer).toBe('10.0.0.4:7383')
  world.done('join', G(1), asNodeId(4))
  world.done('join', G(1), asNodeId(4))
  const members = () =>
    world
      .snapshot()
      .groups.get(G(1))
      ?.value.members.map(({ nodeId }) => nodeId)
  expect(members()).toEqual([1, 4])
  world.done('leave', G(1), asNodeId(1))
  expect(members()).toEqual([4])
  expect(world.done('registerNode', NODE)).toEqual({ node: 5 })
  // Its answer was lost: it registers again, and what came to nothing goes.
  expect(world.done('registerNode', NODE)).toEqual({ node: 6 })
  expect([...world.snapshot().nodes.keys()]).not.toContain(5)
  expect(world.refused('join', G(1), asNodeId(77))).toBe('unknown-node')
})

test('any master answers reads; only the active one writes, and the others name it', () => {
  const world = new MasterWorld(13)
  world.untilActive()
  const [first, second] = world.lives
  expect(first.master.isActive).toBe(true)
  const answers: unknown[] = []
  second.master.slotTable((_error, table) => answers.push(table?.version))
  second.master.getReconfig(1, (_error, answer) => answers.push(answer))
  second.master.reconfig({ slots: [[0, 0]] }, G(2), (error) => answers.push([error?.code, error?.activeMaster]))
  world.clock.run(100)
  expect(answers).toEqual([1, { upToDate: true, last: 0 }, ['not-active', 1]])
})

test('a group that is being drained takes no slots until it is undrained, and is removed once it has none', () => {
  const world = new MasterWorld(31, { weights: [1, 1, 1] })
  world.groups.unreachable.add(G(1))
  world.done('drain', G(1), true)
  const move = world.refusal('reconfig', { slots: [[6, 7]] }, G(1))
  expect(move).toMatchObject({ code: 'group-draining', mend: expect.stringContaining('group undrain 1') })
  const early = world.refusal('removeGroup', G(1))
  expect(early.code).toBe('group-in-use')
  expect(early.message).toMatch(/owns \d+ slots still/)
  expect(early.mend).toContain('--wait')
  world.done('drain', G(1), false)
  expect(world.done('reconfig', { slots: [[0, 15]] }, G(1)).reconfigIds).not.toEqual([])
  expect(world.refusal('removeGroup', G(1)).mend).toContain('drain it')
})

test('the last group that can hold slots keeps a weight', () => {
  const world = new MasterWorld(32, { weights: [1, 1] })
  world.done('setWeight', G(1), 0)
  expect(world.refused('setWeight', G(2), 0)).toBe('no-groups')
  expect(world.snapshot().groups.get(G(2))?.value.weight).toBe(1)
  world.done('setWeight', G(1), 1)
  world.done('setWeight', G(2), 0)
})
