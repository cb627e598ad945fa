// Stale reads are answered by the replica here: unless it closes, or does not have the slot.
import { expect, it } from 'vitest'
import { RouterWorld } from './router-world.testkit.ts'

it('go to the leader where the replica here has closed', () => {
  const world = new RouterWorld({ seed: 1, nodes: 3 })
  world.leader()
  const [node] = world.others()
  const { replica } = node.node
  expect(world.done(node.write('SET', 'k', 'v'))).toBe('+OK\r\n')
  world.replicas.runFor(500)
  // The value lies in the base file from here on, which closes with the replica.
  replica.checkpoint()
  world.replicas.runFor(500)
  let isClosed = false
  const early = node.read('stale', 'GET', 'k')
  replica.close(() => {
    isClosed = true
  })
  world.replicas.runUntil(() => isClosed, 'it has closed')
  const late = node.read('stale', 'GET', 'k')
  expect(replica.isClosed).toBe(true)
  expect([world.done(early), world.done(late)]).toEqual(['$1\r\nv\r\n', '$1\r\nv\r\n'])
  expect([early.times, late.times]).toEqual([1, 1])
})

it('give no client a refusal that is private to the cluster', () => {
  const world = new RouterWorld({ seed: 2, nodes: 1, ownsSlots: false }, { requestDeadlineMs: 500 })
  const node = world.leader()
  expect(world.done(node.read('stale', 'GET', 'k'))).toMatch(/^-CLUSTERDOWN/)
})
