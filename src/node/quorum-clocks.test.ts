// A leader's stamp follows its quorum's clocks, not its own error (design, "Time").
import { expect, it } from 'vitest'
import { asNodeId, asReplicaId } from '../base/brand.ts'
import type { Clock } from '../ports/clock.ts'
import type { Membership } from '../protocol/membership.ts'
import { QuorumClocks } from './quorum-clocks.ts'

function clockAt(state: { wallMs: number; monotonicMs: number }): Clock {
  return {
    wallMs: () => state.wallMs,
    monotonicMs: () => state.monotonicMs,
    setTimer: () => ({ cancel() {} }),
    defer: () => {},
  }
}

const three: Membership = {
  members: [1, 2, 3].map((id) => ({ replicaId: asReplicaId(id), nodeId: asNodeId(id), role: 'voter' as const })),
}

it('stamps its own time while that is within a second of a quorum', () => {
  const time = { wallMs: 10_500, monotonicMs: 0 }
  const clocks = new QuorumClocks(clockAt(time), asNodeId(1))
  clocks.sample(asNodeId(2), 10_000)
  expect(clocks.stampMs(three)).toBe(10_500)
})

it('stamps the quorum time when its own clock runs ahead', () => {
  const time = { wallMs: 90_000, monotonicMs: 0 }
  const clocks = new QuorumClocks(clockAt(time), asNodeId(1))
  clocks.sample(asNodeId(2), 10_000)
  clocks.sample(asNodeId(3), 9_000)
  time.monotonicMs = 500
  expect(clocks.stampMs(three)).toBe(10_500)
})

it('is not dragged back or forth by one wrong follower', () => {
  const time = { wallMs: 10_000, monotonicMs: 0 }
  const clocks = new QuorumClocks(clockAt(time), asNodeId(1))
  clocks.sample(asNodeId(2), 10)
  clocks.sample(asNodeId(3), 99_999_999)
  expect(clocks.stampMs(three)).toBe(10_000)
})

it('does not stamp without fresh samples of a quorum', () => {
  const time = { wallMs: 10_000, monotonicMs: 0 }
  const clocks = new QuorumClocks(clockAt(time), asNodeId(1))
  expect(clocks.stampMs(three)).toBe(0)
  clocks.sample(asNodeId(2), 10_000)
  expect(clocks.stampMs(three)).toBe(10_000)
  time.monotonicMs = 5_001
  expect(clocks.stampMs(three)).toBe(0)
})

it('needs nobody else in a group of one', () => {
  const one: Membership = { members: [three.members[0]] }
  expect(new QuorumClocks(clockAt({ wallMs: 7, monotonicMs: 0 }), asNodeId(1)).stampMs(one)).toBe(7)
})
