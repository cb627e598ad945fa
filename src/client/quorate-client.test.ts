// The client against real doors in a simulated world: every write once, whatever is reset, cut off, stopped or unknown; and each error by its name.
import { describe, expect, it } from 'vitest'
import { latin1Bytes } from '../base/bytes.ts'
import { ClientWorld, type Fault } from './client-world.testkit.ts'
import {
  Aborted,
  Busy,
  Closed,
  CommandError,
  NotResponsible,
  OutcomeUnknown,
  Redirect,
  Timeout,
  Unreachable,
  UsageError,
} from './errors.ts'
import type { QuorateClient } from './quorate-client.ts'

async function makeClient(
  world: ClientWorld,
  options: Parameters<ClientWorld['client']>[0] = {},
): Promise<QuorateClient> {
  const client = world.client(options)
  await world.done(client.ready())
  return client
}

/** What a promise came to, once it has. */
function outcomeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => value,
    (error: unknown) => error,
  )
}

describe('typed calls', () => {
  it('give typed results', async () => {
    const world = new ClientWorld(1)
    const client = await makeClient(world)
    const done = <T>(promise: Promise<T>): Promise<T> => world.done(promise)
    expect(await done(client.get('k'))).toBeNull()
    expect(await done(client.set('k', 'größe 🦊'))).toBe(true)
    expect(await done(client.get('k'))).toBe('größe 🦊')
    expect(await done(client.set('k', 'x', { only: 'if-absent' }))).toBe(false)
    expect(await done(client.set('bytes', Uint8Array.of(0, 255, 13, 10)))).toBe(true)
    expect(await done(client.getBytes('bytes'))).toEqual(Uint8Array.of(0, 255, 13, 10))
    expect(await done(client.incrBy('n', 41))).toBe(41)
    expect(await done(client.incr('n'))).toBe(42)
    expect(await done(client.append('a', 'bc'))).toBe(2)
    expect(await done(client.cas('c', null, '1'))).toEqual({ ok: true })
    expect(await done(client.cas('c', null, '2'))).toEqual({ ok: false, current: '1' })
    expect(await done(client.cas('c', '1', 'NX'))).toEqual({ ok: true })
    expect(await done(client.cas('c', 'NX', '3'))).toEqual({ ok: true })
    expect(await done(client.cas('c', 'NX', '4'))).toEqual({ ok: false, current: '3' })
    expect(await done(client.expire('k', 5_000))).toBe(true)
    expect(await done(client.ttl('k'))).toBeGreaterThan(4_000)
    expect([await done(client.ttl('n')), await done(client.ttl('nothing'))]).toEqual([null, -1])
    await done(
      client.mset([
        ['m1', '1'],
        ['m2', '2'],
        ['m3', '3'],
      ]),
    )
    expect(await done(client.mget(['m3', 'nothing', 'm1', 'm2']))).toEqual(['3', null, '1', '2'])
    expect(await done(client.exists(['m1', 'm2', 'nothing']))).toBe(2)
    expect(await done(client.del(['m1', 'm2', 'm3']))).toBe(3)
    expect(await done(client.call(['PING']))).toBe('PONG')
    expect(await done(client.call(['OBJECT', 'ENCODING', 'n']))).toEqual(latin1Bytes('int'))
    expect(await done(outcomeOf(client.call(['INCR', 'k'])))).toBeInstanceOf(CommandError)
    client.close()
  })

  it('refuse what makes no sense before anything is sent', async () => {
    const world = new ClientWorld(2)
    const client = await makeClient(world)
    for (const words of [['MULTI'], ['SUBSCRIBE', 'c'], ['KV.CALL', '1'], ['LCS', 'a', 'b'], []]) {
      expect(await outcomeOf(client.call(words))).toBeInstanceOf(UsageError)
    }
    expect(await outcomeOf(client.get('k', { timeoutMs: 46_000 }))).toMatchObject({
      message: /timeoutMs: 46000 is not/,
    })
    expect(() => world.client({ servers: [] })).toThrow(/at least one node/)
  })

  it('read at the level of the call', async () => {
    const world = new ClientWorld(3)
    const client = await makeClient(world, { level: 'lease' })
    for (const level of ['stale', 'linearizable', undefined] as const) {
      await world.done(client.get('k', level === undefined ? {} : { level }))
    }
    const clients = await world.done(client.call(['INFO', 'commandstats']))
    expect(String(clients)).not.toBe('')
    client.close()
  })
})

describe('faults', () => {
  it('each write runs once: counters are exact', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const world = new ClientWorld(seed)
      const client = await makeClient(world, { timeoutMs: 45_000 })
      const { random } = world.scheduler
      const faults: Fault[] = ['refuse', 'unknown-ran', 'unknown-lost']
      world.fault = () => (random.chance(0.2) ? random.pick(faults) : 'none')
      const calls: Promise<number>[] = []
      for (let i = 0; i < 300; i++) {
        calls.push(client.incr(`n${i % 3}`))
        if (random.chance(0.3)) await world.runFor(random.unit() * 60)
        const door = random.pick(world.doors)
        if (random.chance(0.05)) world.reset(door)
        if (random.chance(0.03)) world.cut(door)
        if (random.chance(0.05)) world.network.heal()
        if (random.chance(0.03) && !door.clock.paused) {
          door.clock.pause()
          world.scheduler.after(random.unit() * 6_000, 'go on', () => door.clock.resume())
        }
        if (random.chance(0.1)) world.leader = random.pick([1, 2, 3])
        if (random.chance(0.05)) world.changedAt.set(random.below(16), ++world.tableVersion)
      }
      world.network.heal()
      const counted = await world.done(Promise.all(calls))
      for (let n = 0; n < 3; n++) {
        const own = counted.filter((_, i) => i % 3 === n).sort((a, b) => a - b)
        expect(own, `seed ${seed}`).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
        expect(await world.done(client.get(`n${n}`))).toBe('100')
      }
      client.close()
    }
  })

  it('a write that is given up as unknown runs once or never, also after its time', async () => {
    let ran = 0
    let unknown = 0
    for (let seed = 1; seed <= 10; seed++) {
      const world = new ClientWorld(seed)
      const client = await makeClient(world)
      const { random } = world.scheduler
      world.fault = () => random.pick(['unknown-ran', 'unknown-lost', 'none'] as const)
      const outcomes = await world.done(
        Promise.all(
          Array.from({ length: 30 }, (_, i) => outcomeOf(client.incr(`k${i}`, { timeoutMs: 1 + random.below(40) }))),
        ),
      )
      world.fault = () => 'none'
      await world.runFor(1_000)
      for (const [i, outcome] of outcomes.entries()) {
        const value = await world.done(client.get(`k${i}`))
        if (outcome === 1) expect(value).toBe('1')
        else if (outcome instanceof OutcomeUnknown) expect([null, '1']).toContain(value)
        else {
          expect(outcome).toBeInstanceOf(Error)
          expect(value).toBeNull()
        }
        if (outcome instanceof OutcomeUnknown) unknown++
        if (outcome instanceof OutcomeUnknown && value === '1') ran++
      }
      client.close()
    }
    expect(ran).toBeGreaterThan(0)
    expect(unknown).toBeGreaterThan(ran)
  })

  it('more than 256 writes of one slot wait in their turn', async () => {
    const world = new ClientWorld(4)
    const client = await makeClient(world)
    const counted = await world.done(Promise.all(Array.from({ length: 1_000 }, () => client.incr('n'))))
    expect(new Set(counted).size).toBe(1_000)
    client.close()
  })

  it('a server that does not answer is passed over, also one that is there no more', async () => {
    const world = new ClientWorld(5)
    const client = await makeClient(world, { servers: ['host-9:7379', 'host-1:7379'] })
    world.cut(world.doors[0])
    world.reset(world.doors[0])
    expect(await world.done(client.incr('n'))).toBe(1)
    world.network.heal()
    world.doors[1].clock.pause()
    world.leader = 2
    expect(await world.done(client.incr('n'))).toBe(2)
    expect(await world.done(client.get('n', { level: 'stale' }))).toBe('2')
    client.close()
  })

  it('an answer counts also from a server that was given up', async () => {
    const world = new ClientWorld(11)
    const client = await makeClient(world)
    await world.done(client.incr('n'))
    const startedMs = world.scheduler.nowMs
    for (const door of world.doors) door.clock.pause()
    const call = client.incr('n')
    await world.runFor(2_500)
    // The call waits for the second one by now.
    world.doors[0].clock.resume()
    expect(await world.done(call)).toBe(2)
    expect(world.scheduler.nowMs - startedMs).toBeLessThan(3_000)
    for (const door of world.doors.slice(1)) door.clock.resume()
    expect(await world.done(client.get('n'))).toBe('2')
    client.close()
  })

  it('a moved slot costs one refusal', async () => {
    const world = new ClientWorld(6)
    const client = await makeClient(world)
    expect(client.slotTableVersion).toBe(5)
    world.tableVersion = 8
    for (let slot = 0; slot < 16; slot++) world.changedAt.set(slot, 8)
    expect(await world.done(client.incr('n'))).toBe(1)
    expect(client.slotTableVersion).toBe(8)
    // A node whose table stays behind what it says of its slots is asked without a version in the end.
    for (let slot = 0; slot < 16; slot++) world.changedAt.set(slot, 99)
    expect(await world.done(client.incr('n'))).toBe(2)
    client.close()
  })
})

describe('its session', () => {
  it('is there with the first write, and is changed before it runs out', async () => {
    const world = new ClientWorld(13)
    const client = await makeClient(world)
    await world.done(client.get('n'))
    expect(client.session).toBeNull()
    const seen = new Set<number | null>()
    for (let minute = 0; minute < 32; minute++) {
      // Some on both sides of each change.
      const calls = Array.from({ length: 20 }, () => client.incr('n'))
      await world.done(Promise.all(calls))
      seen.add(client.session)
      await world.runFor(60_000)
    }
    expect(await world.done(client.get('n'))).toBe('640')
    // Each lasts 15 minutes, and is changed at the half of it.
    expect(seen.size).toBeGreaterThanOrEqual(4)
    expect(seen.size).toBeLessThanOrEqual(6)
    client.close()
  })

  it('is waited for where none can be had, until the deadline', async () => {
    const world = new ClientWorld(14)
    const client = await makeClient(world, { timeoutMs: 4_000 })
    world.router.sessionsLeft = 0
    const waiting = outcomeOf(client.incr('n'))
    await world.runFor(1_000)
    world.router.sessionsLeft = 1
    expect(await world.done(waiting)).toBe(1)
    const other = world.client({ timeoutMs: 4_000 })
    await world.done(other.ready())
    expect(await world.done(outcomeOf(other.incr('n')))).toMatchObject({ code: 'Timeout', mayHaveRun: false })
    expect(await world.done(client.incr('n'))).toBe(2)
    client.close()
    other.close()
  })
})

describe('an error', () => {
  it('tells a write that did not run from one that nobody knows of', async () => {
    const world = new ClientWorld(7)
    const client = await makeClient(world, { timeoutMs: 500 })
    await world.done(client.set('k', '0'))
    world.fault = () => 'refuse'
    expect(await world.done(outcomeOf(client.set('k', '1')))).toBeInstanceOf(NotResponsible)
    world.refusal = latin1Bytes('-BUSY too many requests wait on this node\r\n')
    expect(await world.done(outcomeOf(client.set('k', '1')))).toBeInstanceOf(Busy)
    world.refusal = latin1Bytes('-MOVED 3 host-2:7379\r\n')
    expect(await world.done(outcomeOf(client.set('k', '1')))).toBeInstanceOf(Redirect)
    world.refusal = latin1Bytes('-DISKFULL the disk is full\r\n')
    expect(await world.done(outcomeOf(client.set('k', '1')))).toMatchObject({
      code: 'CommandError',
      replyCode: 'DISKFULL',
    })
    world.fault = () => 'unknown-lost'
    expect(await world.done(outcomeOf(client.set('k', '1')))).toMatchObject({
      code: 'OutcomeUnknown',
      mayHaveRun: true,
    })
    world.fault = () => 'none'
    expect(await world.done(client.get('k'))).toBe('0')
    for (const door of world.doors) door.clock.pause()
    expect(await world.done(outcomeOf(client.get('k')))).toBeInstanceOf(Timeout)
    expect(await world.done(outcomeOf(client.set('k', '2')))).toBeInstanceOf(OutcomeUnknown)
    for (const door of world.doors) door.clock.resume()
    client.close()
  })

  it('says that a write may have run which a lost connection took along', async () => {
    const world = new ClientWorld(12)
    const client = await makeClient(world, { timeoutMs: 1_000 })
    await world.done(client.incr('n'))
    for (const door of world.doors) door.clock.pause()
    const outcomes = [client.incr('n'), client.get('n')].map(outcomeOf)
    await world.runFor(20)
    for (const door of world.doors) {
      world.cut(door)
      world.reset(door)
    }
    const [write, read] = await world.done(Promise.all(outcomes))
    expect(write).toMatchObject({ code: 'OutcomeUnknown', mayHaveRun: true })
    expect(read).toMatchObject({ mayHaveRun: false })
    // What never left is another matter.
    expect(await world.done(outcomeOf(client.incr('n')))).toMatchObject({ code: 'Unreachable', mayHaveRun: false })
    client.close()
  })

  it('says that no server can be reached', async () => {
    const world = new ClientWorld(8)
    const client = world.client({ servers: ['host-8:7379', 'host-9:7379'], timeoutMs: 700 })
    expect(await world.done(outcomeOf(client.ready()))).toBeInstanceOf(Unreachable)
    client.close()
  })

  it('comes at once by a signal, and from close()', async () => {
    const world = new ClientWorld(9)
    const client = await makeClient(world)
    await world.done(client.incr('n'))
    for (const door of world.doors) door.clock.pause()
    const controller = new AbortController()
    const { signal } = controller
    const calls = [client.get('n', { signal }), client.incr('n', { signal })].map(outcomeOf)
    await world.runFor(50)
    controller.abort('enough')
    const [read, write] = await world.done(Promise.all(calls))
    expect(read).toMatchObject({ code: 'Aborted', mayHaveRun: false, cause: 'enough' })
    expect(write).toMatchObject({ code: 'Aborted', mayHaveRun: true })
    expect(await outcomeOf(client.incr('n', { signal }))).toMatchObject({ code: 'Aborted', mayHaveRun: false })
    expect(await outcomeOf(client.incr('n', { signal }))).toBeInstanceOf(Aborted)
    const last = [client.get('n'), client.incr('n')].map(outcomeOf)
    await world.runFor(50)
    client.close()
    const [lastRead, lastWrite] = await world.done(Promise.all(last))
    expect(lastRead).toMatchObject({ code: 'Closed', mayHaveRun: false })
    expect(lastWrite).toMatchObject({ code: 'Closed', mayHaveRun: true })
    expect(await outcomeOf(client.get('n'))).toBeInstanceOf(Closed)
    for (const door of world.doors) door.clock.resume()
    await world.runFor(5_000)
    expect(world.doors.map(({ server }) => server.connectionCount)).toEqual([0, 0, 0])
  })

  it('refuses more calls than may be without an answer', async () => {
    const world = new ClientWorld(10)
    const client = await makeClient(world, { maxUnanswered: 3 })
    const outcomes = await world.done(Promise.all([1, 2, 3, 4].map(() => outcomeOf(client.incr('n')))))
    expect(outcomes.filter((outcome) => typeof outcome === 'number')).toEqual([1, 2, 3])
    expect(outcomes[3]).toBeInstanceOf(Busy)
    client.close()
  })
})
