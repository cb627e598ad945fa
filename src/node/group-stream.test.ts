// The promise of GroupStream, under refusals, lost attempts, leader changes and slow answers drawn by seeds: per stream, what runs, runs in the order of
// the calls, and everything has its answer once a leader stays.
import { describe, expect, it } from 'vitest'
import { asGroupId, asNodeId, asSlotId, type NodeId } from '../base/brand.ts'
import { EMPTY_BYTES } from '../base/bytes.ts'
import { Prng } from '../base/prng.ts'
import { OUTCOME_REFUSED, OUTCOME_REPLY, OUTCOME_UNKNOWN } from '../protocol/request-message.ts'
import { GroupStream } from './group-stream.ts'
import { RoutedRequest } from './routed-request.ts'

const SELF = asNodeId(1)

/** One leader after another, here or remote, that takes requests in the order in which they arrive, within one epoch. */
class World {
  readonly random: Prng
  readonly ran: number[] = []
  readonly answered = new Map<RoutedRequest, number>()
  readonly numbers = new Map<RoutedRequest, number>()
  readonly stream: GroupStream
  leader: NodeId | null = SELF
  retry = false
  /** Taken by the leader, in order, not yet answered. */
  taken: { readonly request: RoutedRequest; readonly id: number | null; readonly epoch: number }[] = []
  deadEpochs = new Set<number>()
  chaos = true

  constructor(seed: number) {
    this.random = new Prng(seed)
    this.stream = new GroupStream(asGroupId(1), 1, 10_000, {
      self: SELF,
      candidates: () => [],
      nowMs: () => 0,
      leader: () => this.leader,
      sendLocal: (request) => {
        if (this.chaos && this.random.chance(0.05)) return false
        this.taken.push({ request, id: null, epoch: -1 })
        return true
      },
      sendRemote: (_to, epoch, id, request) => {
        if (this.chaos && this.random.chance(0.05)) return false
        this.taken.push({ request, id, epoch })
        return true
      },
      retryAfter: () => {
        this.retry = true
      },
      replied: (request) => {
        this.answered.set(request, (this.answered.get(request) ?? 0) + 1)
        request.answer(EMPTY_BYTES)
      },
    })
  }

  call(number: number): void {
    const request = new RoutedRequest(true, asSlotId(0), EMPTY_BYTES, false, 1e9, () => {})
    this.numbers.set(request, number)
    expect(this.stream.enqueue(request)).toBe(true)
  }

  /** One step of the world: the oldest taken attempt gets an outcome, or the leader changes, or a retry comes due. */
  step(): void {
    const dice = this.random.unit()
    if (this.retry && dice < 0.5) {
      this.retry = false
      this.stream.onRetry()
    } else if (this.chaos && dice < 0.6) {
      this.leader = this.random.pick([SELF, asNodeId(2), asNodeId(3), null])
      const lost = this.taken.filter((attempt) => attempt.id === null)
      this.taken = this.taken.filter((attempt) => attempt.id !== null)
      // A local leader that loses its office settles everything at once, in order, some of it having run.
      let running = this.random.chance(0.5)
      for (const attempt of lost) {
        if (running) this.run(attempt.request)
        attempt.request.settle(OUTCOME_UNKNOWN, EMPTY_BYTES)
        running = running && this.random.chance(0.7)
      }
      this.stream.leaderChanged(this.leader)
    } else this.settleOldest()
  }

  /** The state machine: exactly once, so a repetition is answered from its record. */
  run(request: RoutedRequest): void {
    const number = this.numbers.get(request)
    if (number !== undefined && !this.ran.includes(number)) this.ran.push(number)
  }

  settleOldest(): void {
    const attempt = this.taken.shift()
    if (attempt === undefined) return
    const { request, id, epoch } = attempt
    const refused = this.deadEpochs.has(epoch) || (this.chaos && this.random.chance(0.15))
    if (refused && epoch >= 0) this.deadEpochs.add(epoch)
    if (refused && id === null) {
      // Here a refusal takes all that was gathered behind it along.
      const behind = this.taken.filter((one) => one.id === null)
      this.taken = this.taken.filter((one) => one.id !== null)
      request.settle(OUTCOME_REFUSED, EMPTY_BYTES)
      for (const one of behind) one.request.settle(OUTCOME_REFUSED, EMPTY_BYTES)
      return
    }
    if (!refused) this.run(request)
    if (id === null) request.settle(OUTCOME_REPLY, EMPTY_BYTES)
    else this.stream.onRemoteOutcome(epoch, id, refused ? OUTCOME_REFUSED : OUTCOME_REPLY, asNodeId(0), EMPTY_BYTES)
  }
}

describe('GroupStream', () => {
  it('runs requests in the order of the calls whatever fails, and answers all of them', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const world = new World(seed)
      const count = 60
      for (let number = 0; number < count; number++) {
        world.call(number)
        for (let i = world.random.below(4); i > 0; i--) world.step()
      }
      world.chaos = false
      world.leader = asNodeId(2)
      world.stream.leaderChanged(world.leader)
      for (let i = 0; i < 5_000 && world.answered.size < count; i++) world.step()
      expect(world.answered.size, `seed ${seed}`).toBe(count)
      expect([...world.answered.values()].every((times) => times === 1)).toBe(true)
      expect(world.ran, `seed ${seed}`).toEqual([...world.ran].sort((a, b) => a - b))
      expect(world.ran.length).toBe(count)
    }
  })

  it('refuses beyond its bound instead of queueing without end', () => {
    const stream = new GroupStream(asGroupId(1), 1, 3, {
      self: SELF,
      candidates: () => [],
      nowMs: () => 0,
      leader: () => null,
      sendLocal: () => false,
      sendRemote: () => false,
      retryAfter: () => {},
      replied: () => {},
    })
    const request = (): RoutedRequest => new RoutedRequest(true, asSlotId(0), EMPTY_BYTES, false, 1, () => {})
    expect([1, 2, 3, 4].map(() => stream.enqueue(request()))).toEqual([true, true, true, false])
  })

  it('gives up a remote leader that is silent, and sends again to the next', () => {
    const sent: { to: NodeId; epoch: number; id: number }[] = []
    let leader = asNodeId(2)
    let nowMs = 0
    const stream = new GroupStream(asGroupId(1), 1, 10, {
      self: SELF,
      candidates: () => [],
      nowMs: () => nowMs,
      leader: () => leader,
      sendLocal: () => false,
      sendRemote: (to, epoch, id) => {
        sent.push({ to, epoch, id })
        return true
      },
      retryAfter: () => {},
      replied: (request, reply) => request.answer(reply),
    })
    const request = new RoutedRequest(true, asSlotId(0), EMPTY_BYTES, false, 1e9, () => {})
    stream.enqueue(request)
    nowMs = 2_000
    leader = asNodeId(3)
    stream.checkSilence(nowMs)
    stream.onRetry()
    expect(sent.map(({ to }) => to)).toEqual([2, 3])
    expect(sent[1].epoch).toBeGreaterThan(sent[0].epoch)
    expect(request.maybeRan).toBe(true)
    // The old attempt's answer comes late: it is nobody's any more.
    stream.onRemoteOutcome(sent[0].epoch, sent[0].id, OUTCOME_REPLY, asNodeId(0), EMPTY_BYTES)
    expect(request.answered).toBe(false)
    stream.onRemoteOutcome(sent[1].epoch, sent[1].id, OUTCOME_REPLY, asNodeId(0), EMPTY_BYTES)
    expect(request.answered).toBe(true)
  })

  /** A node without a replica of the group: all it knows are the nodes that have one. */
  function outside(reachable: (to: NodeId) => boolean) {
    const sent: { to: NodeId; epoch: number; id: number }[] = []
    let retries = 0
    const stream = new GroupStream(asGroupId(1), 1, 10, {
      self: SELF,
      candidates: () => [asNodeId(2), asNodeId(3), asNodeId(4)],
      nowMs: () => 0,
      leader: () => null,
      sendLocal: () => false,
      sendRemote: (to, epoch, id) => {
        if (reachable(to)) sent.push({ to, epoch, id })
        return reachable(to)
      },
      retryAfter: () => retries++,
      replied: (request, reply) => request.answer(reply),
    })
    const request = new RoutedRequest(true, asSlotId(0), EMPTY_BYTES, false, 1e9, () => {})
    stream.enqueue(request)
    return { stream, sent, request, retries: () => retries }
  }

  it('asks the next node where one is not reachable, instead of waiting for it for ever', () => {
    const { stream, sent, request } = outside((to) => to === 4)
    for (let i = 0; i < 5 && sent.length === 0; i++) stream.onRetry()
    expect(sent.map(({ to }) => to)).toEqual([4])
    stream.onRemoteOutcome(sent[0].epoch, sent[0].id, OUTCOME_REPLY, asNodeId(0), EMPTY_BYTES)
    expect(request.answered).toBe(true)
  })

  it('forgets a hint that leads to a node that is away', () => {
    const { stream, sent, request } = outside((to) => to !== 3)
    stream.onRemoteOutcome(sent[0].epoch, sent[0].id, OUTCOME_REFUSED, asNodeId(3), EMPTY_BYTES)
    for (let i = 0; i < 8 && sent.length === 1; i++) stream.onRetry()
    expect(sent.length).toBe(2)
    expect(sent[1].to).not.toBe(3)
    expect(request.maybeRan).toBe(false)
  })

  it('takes no answer that was meant for an earlier process of this node', () => {
    const { stream, sent, request } = outside(() => true)
    // The same id, since ids begin at 1 with each start; the epoch of the start before.
    stream.onRemoteOutcome(sent[0].epoch - 1, sent[0].id, OUTCOME_REPLY, asNodeId(0), EMPTY_BYTES)
    expect(request.answered).toBe(false)
    stream.onRemoteOutcome(sent[0].epoch, sent[0].id, OUTCOME_REPLY, asNodeId(0), EMPTY_BYTES)
    expect(request.answered).toBe(true)
  })
})
