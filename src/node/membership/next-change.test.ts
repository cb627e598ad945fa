import { describe, expect, test } from 'vitest'
import { asNodeId, asReplicaId } from '../../base/brand.ts'
import { Prng } from '../../base/prng.ts'
import type { GroupMember } from '../../master/registrations.ts'
import type { Member } from '../../protocol/membership.ts'
import { type MemberStanding, nextChange, silentVoters } from './next-change.ts'

const GOOD: MemberStanding = { isHere: true, isUp: true, isCaughtUp: true, matchIndex: 100 }
const BEHIND: MemberStanding = { ...GOOD, isCaughtUp: false, matchIndex: 10 }
const AWAY: MemberStanding = { isHere: false, isUp: false, isCaughtUp: false, matchIndex: 50 }

/** "1 2 3 4l": replicas on the nodes of the same number, l: learner; "4/7": replica 7 on node 4. */
function members(text: string): Member[] {
  return text.split(' ').map((word) => {
    const [node, replica] = word.replace('l', '').split('/')
    const role = word.endsWith('l') ? 'learner' : 'voter'
    return { nodeId: asNodeId(Number(node)), replicaId: asReplicaId(Number(replica ?? node)), role }
  })
}

/** The leader is `self`; those not named in `standings` (by replica) are well. */
function next(
  now: string,
  wanted: string,
  self = 1,
  standings: Record<number, MemberStanding> = {},
  preferred = 0,
): string {
  const result = nextChange({
    self: asReplicaId(self),
    members: members(now),
    desired: members(wanted),
    standing: ({ replicaId }) => standings[replicaId] ?? GOOD,
    preferred: preferred === 0 ? null : asNodeId(preferred),
  })
  if (result.kind === 'change') return `${result.change.kind} ${result.change.nodeId}/${result.change.replicaId}`
  if (result.kind === 'handOver') return `handOver ${result.to}`
  return result.kind === 'wait' ? `wait: ${result.reason}` : 'settled'
}

describe('one step', () => {
  test('a join is a learner first, and a voter once it has caught up', () => {
    expect(next('1 2 3', '1 2 3 4')).toBe('addLearner 4/4')
    expect(next('1 2 3 4l', '1 2 3 4', 1, { 4: BEHIND })).toBe('wait: node 4 (replica 4) must catch up')
    expect(next('1 2 3 4l', '1 2 3 4')).toBe('promote 4/4')
    expect(next('1 2 3 4', '1 2 3 4')).toBe('settled')
  })

  test('one that gets on at a time; one that is away holds up nobody', () => {
    expect(next('1 4l', '1 4 5', 1, { 4: BEHIND })).toMatch(/^wait/)
    expect(next('1 4l', '1 4 5', 1, { 4: AWAY })).toBe('addLearner 5/5')
  })

  test('a replacement joins before the other goes', () => {
    expect(next('1 2 3', '1 2 4', 1, { 3: AWAY })).toBe('addLearner 4/4')
    expect(next('1 2 3 4l', '1 2 4', 1, { 3: AWAY, 4: BEHIND })).toBe(
      'wait: node 4 (replica 4) must vote before node 3 (replica 3) goes',
    )
    expect(next('1 2 3 4', '1 2 4', 1, { 3: AWAY })).toBe('remove 3/3')
  })

  test('a joiner that never comes keeps only as many voters as are desired', () => {
    expect(next('1 2 3 4 9l', '1 2 9', 1, { 9: AWAY })).toBe('remove 3/3')
    expect(next('1 2 4 9l', '1 2 9', 1, { 9: AWAY })).toMatch(/^wait: node 9 .* must vote before node 4/)
  })

  test('dead ones go first, and none where what is left could not commit', () => {
    expect(next('1 2 3 4 5', '1 2 3', 1, { 5: AWAY })).toBe('remove 5/5')
    expect(next('1 2 3', '1 3', 1, { 3: AWAY })).toBe('wait: without node 2 (replica 2) only 1 of 2 voters would be up')
    expect(next('1 2', '1', 1, { 2: AWAY })).toBe('remove 2/2')
  })

  test('what is no longer desired and does not vote goes before anything else', () => {
    expect(next('1 2 3 4l 5l', '1 2 3 5')).toBe('remove 4/4')
  })

  test('a leader that is to leave hands over: to one that stays, the preferred one, the one that holds most', () => {
    const most = { ...GOOD, matchIndex: 200 }
    expect(next('1 2 3 4', '2 4', 1, { 3: AWAY })).toBe('remove 3/3')
    expect(next('1 2 4', '2 4', 1, { 4: most })).toBe('handOver 4')
    expect(next('1 2 4', '2 4', 1, { 4: most }, 2)).toBe('handOver 2')
    expect(next('1 2 4', '2 4', 1, { 2: BEHIND, 4: BEHIND })).toBe('wait: no voter that stays has caught up')
  })

  test('a lost replica goes before its node’s new one comes, which it can only have then', () => {
    expect(next('1 2 3', '1 2 3/7', 1, { 3: AWAY })).toBe('remove 3/3')
    expect(next('1 2', '1 2 3/7')).toBe('addLearner 3/7')
    expect(next('1 2', '2 1/7')).toBe('handOver 2')
    expect(next('1', '1/7')).toMatch(/^wait: node 1 .* is the last voter/)
  })
})

describe('before the voters change', () => {
  /** Who must answer still, where `answered` have and those in `away` are not up. Replica 1 leads. */
  function silent(now: string, change: string, answered: number[], away: number[] = []): number[] {
    const [kind, id] = change.split(' ')
    const group = {
      self: asReplicaId(1),
      members: members(now),
      desired: [],
      standing: ({ replicaId }: Member) => (away.includes(replicaId) ? AWAY : GOOD),
      preferred: null,
    }
    const wanted = {
      kind: kind as 'promote' | 'remove',
      replicaId: asReplicaId(Number(id)),
      nodeId: asNodeId(Number(id)),
    }
    return silentVoters(group, wanted, (replica) => answered.includes(replica)).map(({ replicaId }) => replicaId)
  }

  test('a majority of those that will vote must have answered, and be up', () => {
    expect(silent('1 2 3', 'remove 3', [])).toEqual([2])
    expect(silent('1 2 3', 'remove 3', [3])).toEqual([2])
    expect(silent('1 2 3', 'remove 3', [2])).toEqual([])
    expect(silent('1 2 3', 'remove 3', [2], [2])).toEqual([2])
    expect(silent('1 2 3 4 5', 'remove 5', [2, 5])).toEqual([3, 4])
    expect(silent('1 2 3 4 5', 'remove 5', [2, 4])).toEqual([])
    expect(silent('1 2', 'remove 2', [])).toEqual([])
  })

  test('a learner counts once it is to vote', () => {
    expect(silent('1 2l', 'promote 2', [])).toEqual([2])
    expect(silent('1 2l', 'promote 2', [2])).toEqual([])
    expect(silent('1 2 3l', 'promote 3', [2])).toEqual([])
    expect(silent('1 2 3l 4', 'remove 4', [3])).toEqual([2])
  })
})

test('from any members to any others, whatever comes and goes: every step is safe, and with all up it ends', () => {
  for (let seed = 1; seed <= 1_000; seed++) {
    const random = new Prng(seed)
    let now: Member[] = members('1 2 3')
    let self = asReplicaId(1)
    let nextId = 10
    let desired: GroupMember[] = now
    const away = new Set<number>()
    const step = (): string => {
      const voters = now.filter(({ role }) => role === 'voter')
      const standing = ({ replicaId }: Member): MemberStanding => (away.has(replicaId) ? AWAY : GOOD)
      const up = voters.filter((voter) => voter.replicaId === self || !away.has(voter.replicaId)).length
      // Without a majority nobody leads.
      if (up <= Math.floor(voters.length / 2)) return 'nobody'
      const result = nextChange({ self, members: now, desired, standing, preferred: null })
      if (result.kind === 'handOver') {
        expect(away.has(result.to)).toBe(false)
        self = result.to
      } else if (result.kind === 'change') {
        const { kind, replicaId, nodeId } = result.change
        if (kind === 'addLearner') {
          expect(now.some((member) => member.nodeId === nodeId || member.replicaId === replicaId)).toBe(false)
          now = [...now, { replicaId, nodeId, role: 'learner' }]
        } else if (kind === 'promote') {
          expect(away.has(replicaId)).toBe(false)
          now = now.map((member) => (member.replicaId === replicaId ? { ...member, role: 'voter' } : member))
        } else {
          expect(replicaId).not.toBe(self)
          now = now.filter((member) => member.replicaId !== replicaId)
        }
        const left = now.filter(({ role }) => role === 'voter')
        const here = left.filter((voter) => voter.replicaId === self || !away.has(voter.replicaId)).length
        expect(here, `seed ${seed}`).toBeGreaterThan(Math.floor(left.length / 2))
      }
      return result.kind
    }
    for (let i = 0; i < 30; i++) {
      if (random.chance(0.3)) {
        const nodes = [1, 2, 3, 4, 5, 6].filter(() => random.chance(0.5))
        if (nodes.length === 0) nodes.push(random.between(1, 6))
        const kept = desired.filter(({ nodeId }) => nodes.includes(nodeId) && random.chance(0.9))
        const rest = nodes.filter((node) => !kept.some(({ nodeId }) => nodeId === node))
        desired = [...kept, ...rest.map((node) => ({ nodeId: asNodeId(node), replicaId: asReplicaId(nextId++) }))]
      }
      const victim = random.pick(now).replicaId
      if (victim !== self && random.chance(0.3)) away.add(victim)
      if (random.chance(0.2)) away.clear()
      step()
    }
    away.clear()
    // A node's lost replica can only go where another can lead.
    const isStuck = (): boolean => now.length === 1 && desired.length === 1 && now[0].nodeId === desired[0].nodeId
    let steps = 0
    while (step() !== 'settled' && !isStuck()) expect(++steps, `seed ${seed}`).toBeLessThan(40)
    if (isStuck()) continue
    const key = (all: readonly GroupMember[]): string =>
      all
        .map(({ replicaId }) => replicaId)
        .sort()
        .join()
    expect(key(now)).toBe(key(desired))
  }
})
