import { describe, expect, it } from 'vitest'
import { asGroupId, asNodeId, asReplicaId, asTerm, type NodeId, type Term } from '../base/brand.ts'
import { BytesReader, BytesWriter } from '../base/bytes.ts'
import { decodeRestBeat, encodeRestBeat, type RestBeat } from '../protocol/rest-beat.ts'
import { RestWatch, type WatchedReplica } from './rest-watch.ts'

const [ONE, TWO, THREE] = [1, 2, 3].map(asNodeId)
const GROUP = asGroupId(7)
const HEARTBEAT_TICKS = 5
const ELECTION_TICKS = 30

class Sleeper implements WatchedReplica {
  readonly group = GROUP
  resting = true
  readonly isLeader: boolean
  readonly leaderNode: NodeId
  readonly core: { term: Term; readonly membership: WatchedReplica['core']['membership'] }
  wokenAfter: number | null = null
  wokenBy: NodeId | null = null

  constructor(leaderNode: NodeId, isLeader: boolean) {
    this.leaderNode = leaderNode
    this.isLeader = isLeader
    const members = [ONE, TWO, THREE].map((nodeId, i) => ({
      replicaId: asReplicaId(i + 1),
      nodeId,
      role: 'voter' as const,
    }))
    this.core = { term: asTerm(4), membership: { members } }
  }

  wakeFromRest(silentTicks: number, silentNode: NodeId): void {
    this.resting = false
    this.wokenBy = silentNode
    this.wokenAfter = silentTicks
  }
}

interface Sent {
  readonly to: NodeId
  readonly beat: RestBeat
}

function watchOf(self: NodeId, replica: Sleeper): { watch: RestWatch; sent: Sent[]; tick: (count: number) => void } {
  const sent: Sent[] = []
  const send = (to: NodeId, beat: RestBeat): void => {
    const writer = new BytesWriter()
    encodeRestBeat(writer, beat)
    sent.push({ to, beat: decodeRestBeat(new BytesReader(writer.copy())) })
  }
  const options = { self, heartbeatTicks: HEARTBEAT_TICKS, electionTicksMin: ELECTION_TICKS, send, waking: () => {} }
  const watch = new RestWatch(options, { values: () => [replica] })
  return {
    watch,
    sent,
    tick: (count) => {
      for (let i = 0; i < count; i++) watch.tick()
    },
  }
}

const beatOf = (term: number): RestBeat => ({ type: 'beat', groups: new Map([[GROUP, asTerm(term)]]) })

describe('RestWatch at the leader', () => {
  it('tells every node of its members every second heartbeat, and nobody once nothing rests', () => {
    const leader = new Sleeper(ONE, true)
    const { sent, tick } = watchOf(ONE, leader)
    tick(HEARTBEAT_TICKS * 2)
    expect(sent).toEqual([
      { to: TWO, beat: beatOf(4) },
      { to: THREE, beat: beatOf(4) },
    ])
    leader.resting = false
    tick(HEARTBEAT_TICKS * 4)
    expect(sent).toHaveLength(2)
  })

  it('wakes when one of them does not answer, and not before', () => {
    const leader = new Sleeper(ONE, true)
    const { watch, tick } = watchOf(ONE, leader)
    tick(HEARTBEAT_TICKS * 2)
    for (let i = 0; i < 10; i++) {
      tick(ELECTION_TICKS - 1)
      watch.onBeat(TWO, { type: 'answer' })
      watch.onBeat(THREE, { type: 'answer' })
    }
    expect(leader.resting).toBe(true)
    for (let i = 0; i < ELECTION_TICKS; i++) {
      tick(1)
      watch.onBeat(TWO, { type: 'answer' })
    }
    expect([leader.wokenAfter, leader.wokenBy]).toEqual([ELECTION_TICKS, THREE])
  })
})

describe('RestWatch at a follower', () => {
  it('answers, and wakes after an election time-out without a beat, as if it had counted', () => {
    const follower = new Sleeper(TWO, false)
    const { watch, sent, tick } = watchOf(ONE, follower)
    for (let i = 0; i < 10; i++) {
      watch.onBeat(TWO, beatOf(4))
      tick(ELECTION_TICKS - 1)
    }
    expect(sent).toEqual(new Array(10).fill({ to: TWO, beat: { type: 'answer' } }))
    expect(follower.resting).toBe(true)
    expect(watch.silentTicks(TWO)).toBe(ELECTION_TICKS - 1)
    // Another node's word does not count for the leader's.
    watch.onBeat(THREE, { type: 'beat', groups: new Map() })
    tick(1)
    expect(follower.wokenAfter).toBe(ELECTION_TICKS)
  })

  it('wakes although it never heard a beat', () => {
    const follower = new Sleeper(TWO, false)
    const { tick } = watchOf(ONE, follower)
    tick(HEARTBEAT_TICKS * 2 + ELECTION_TICKS)
    expect(follower.resting).toBe(false)
  })

  it('wakes at once when its leader’s node leads another term, or no longer names the group', () => {
    for (const beat of [beatOf(5), { type: 'beat', groups: new Map() } as const]) {
      const follower = new Sleeper(TWO, false)
      watchOf(ONE, follower).watch.onBeat(TWO, beat)
      expect(follower.wokenAfter).toBe(0)
    }
  })
})
