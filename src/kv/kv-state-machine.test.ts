/** The state machine as a whole: against a plain model of Redis, and against itself on a replica that restarts where it likes. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asLogIndex, asSlotId, asTerm } from '../base/brand.ts'
import { DecodeError, latin1Bytes, latin1Text } from '../base/bytes.ts'
import {
  decodeCommand,
  decodePayloadHeader,
  encodeCommand,
  encodePayload,
  PAYLOAD_HEADER_BYTES,
  PAYLOAD_TICK,
  PAYLOAD_WRITE,
} from '../protocol/command.ts'
import { ENTRY_COMMAND, ENTRY_NOOP } from '../protocol/entry.ts'
import { RedisModel } from '../simulation/redis-model.ts'
import { KvDriver, opcodeOf, slotOfText } from './kv-driver.testkit.ts'
import { KvStateMachine } from './kv-state-machine.ts'
import { MemoryKeySpace } from './memory-key-space.testkit.ts'
import { commandAt, SEQUENCE_OFFSET, SESSION_OFFSET, SLOT_OFFSET, u16At, u64At } from './payload-fields.ts'
import { isRefusal } from './refusals.ts'

const key = fc.constantFrom('a', 'b', 'c')
const value = fc.constantFrom('', 'x', '1', '-7', '9223372036854775807', 'hello')
const word = fc.constantFrom('NX', 'XX', 'GET', 'KEEPTTL')
const conditions = fc.oneof(
  fc.constant<string[]>([]),
  word.map((option) => [option]),
  fc.tuple(fc.constantFrom('IFEQ', 'IFNE'), value).map(([option, comparand]) => [option, comparand]),
  fc.tuple(fc.constantFrom('EX', 'PX'), fc.constantFrom('1', '30', '700')).map(([option, time]) => [option, time]),
)
const list = (...parts: readonly string[]): string[] => [...parts]
const words: fc.Arbitrary<string[]> = fc.oneof(
  fc.tuple(key, value, conditions, conditions).map(([k, v, one, two]) => list('SET', k, v, ...one, ...two)),
  fc
    .tuple(fc.constantFrom('GET', 'INCR', 'DECR', 'STRLEN', 'TTL', 'PTTL', 'PERSIST'), key)
    .map(([name, k]) => list(name, k)),
  fc.tuple(fc.constantFrom('INCRBY', 'DECRBY', 'APPEND'), key, value).map(([name, k, v]) => list(name, k, v)),
  fc.tuple(fc.constantFrom('DEL', 'EXISTS', 'MGET'), key, key).map(([name, k, l]) => list(name, k, l)),
  fc.tuple(key, value, key, value).map((pairs) => list('MSET', ...pairs)),
  fc.tuple(key, fc.constantFrom('NX', '', '1'), value).map(([k, expected, v]) => list('KV.CAS', k, expected, v)),
  fc
    .tuple(
      fc.constantFrom('EXPIRE', 'PEXPIRE'),
      key,
      fc.constantFrom('-1', '1', '100', '2'),
      fc.constantFrom([], ['NX'], ['XX'], ['GT'], ['LT']),
    )
    .map(([name, k, time, flags]) => list(name, k, time, ...flags)),
  fc.constant(list('FLUSHALL')),
)

const ONE_SLOT = { slotCount: 1, ownedSlots: [[0, 0]] as const }

describe('against a plain model', () => {
  it('gives the same replies', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(words, fc.nat(400)), { maxLength: 60 }), (steps) => {
        const driver = new KvDriver(ONE_SLOT)
        const model = new RedisModel()
        driver.stampMs = 1000
        for (const [command, laterMs] of steps) {
          driver.stampMs += laterMs
          model.nowMs = driver.stampMs
          expect(driver.onSlot(0, ...command), command.join(' ')).toBe(model.run(command))
        }
      }),
      { numRuns: 400 },
    )
  })
})

/** What can happen to a group's log. */
type Step =
  | {
      readonly kind: 'write'
      readonly words: string[]
      readonly session: number
      readonly ahead: number
      readonly keep: number
    }
  | { readonly kind: 'again'; readonly back: number }
  | { readonly kind: 'exec'; readonly watch: boolean; readonly commands: string[][] }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'keepHouse' }
  | { readonly kind: 'restart' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      words,
      session: fc.integer({ min: 1, max: 3 }),
      ahead: fc.nat(3000),
      keep: fc.nat(3),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('again' as const), back: fc.nat(8) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('exec' as const),
      watch: fc.boolean(),
      commands: fc.array(words, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.nat(2000) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'keepHouse' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
)

/** Runs the steps on a driver; `restarts` says whether those count. Returns all replies. */
function runSteps(driver: KvDriver, steps: readonly Step[], restarts: boolean): string[] {
  const replies: string[] = []
  const sequences = new Map<number, number>()
  driver.stampMs = 1000
  for (const next of steps) {
    switch (next.kind) {
      case 'write': {
        const sequence = (sequences.get(next.session) ?? 0) + 1
        sequences.set(next.session, sequence)
        const lowest = Math.max(1, sequence - next.keep)
        const session = { session: next.session, sequence, lowest, retryUntilMs: driver.stampMs + next.ahead }
        const slot = next.words.length > 1 ? driver.slotOf(next.words[1]) : 0
        replies.push(driver.apply(PAYLOAD_WRITE, slot, commandOfWords(next.words), session))
        break
      }
      case 'again': {
        const entry = driver.log.at(-1 - next.back)
        if (entry !== undefined) replies.push(driver.applyPayload(entry.payload))
        break
      }
      case 'exec':
        replies.push(driver.exec(next.watch ? [driver.watch('a')] : [], ['SET', 'a', 'x'], ...next.commands))
        break
      case 'time':
        driver.tick(driver.stampMs + next.ms)
        break
      case 'keepHouse':
        driver.keepHouse(5, 0, 3)
        break
      case 'restart':
        if (restarts) driver.restart()
        break
    }
  }
  return replies
}

function commandOfWords(command: readonly string[]): Uint8Array {
  return encodeCommand(opcodeOf(command[0]), command.slice(1).map(latin1Bytes))
}

describe('determinism', () => {
  it('the same log gives the same replies and digest, wherever a replica restarts from a checkpoint', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const options = {
          slotCount: 2,
          ownedSlots: [[0, 1]] as const,
          sessionLimits: { maxResults: 3, maxTotalBytes: 12_000 },
        }
        const leader = new KvDriver(options)
        runSteps(leader, steps, false)
        const follower = new KvDriver(options)
        const restartEvery = 1 + (steps.length % 7)
        const followed: string[] = []
        for (const [position, entry] of leader.log.entries()) {
          const reply = latin1Text(follower.machine.apply(entry))
          followed.push(reply)
          if (position % restartEvery === 0) follower.restart()
        }
        expect(followed).toEqual(leader.replies)
        expect(follower.machine.checkpointState()).toEqual(leader.machine.checkpointState())
        expect(follower.machine.digest()).toBe(leader.machine.digest())
        expect(follower.keySpace.totalKeys).toBe(leader.keySpace.totalKeys)
      }),
      { numRuns: 200 },
    )
  })

  it('restarts change no reply', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        // Housekeeping looks elsewhere first after a restart, so the logs would differ.
        const same = steps.filter((next) => next.kind !== 'keepHouse')
        const [one, other] = [new KvDriver(ONE_SLOT), new KvDriver(ONE_SLOT)]
        expect(runSteps(one, same, true)).toEqual(runSteps(other, same, false))
        expect(one.machine.digest()).toBe(other.machine.digest())
      }),
      { numRuns: 200 },
    )
  })

  it('without exactly-once, or with it lost in the checkpoint, the same steps show it', () => {
    const steps: Step[] = [
      { kind: 'write', words: ['INCR', 'a'], session: 1, ahead: 9000, keep: 3 },
      { kind: 'restart' },
      { kind: 'again', back: 0 },
    ]
    const run = (mutations: object): string => runSteps(new KvDriver({ ...ONE_SLOT, mutations }), steps, true)[1]
    expect(run({})).toBe(':1\r\n')
    expect(run({ sessionsLeftOutOfCheckpoint: true })).toBe(':2\r\n')
    expect(run({ sessionRecordsIgnored: true })).toBe(':2\r\n')
  })
})

describe('exactly once under any schedule', () => {
  /** Appends carry a token each, so a second run shows in the value. */
  const event = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('first' as const),
        session: fc.integer({ min: 1, max: 2 }),
        aheadMs: fc.nat(500),
      }),
    },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('again' as const), which: fc.nat(40) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('answered' as const),
        session: fc.integer({ min: 1, max: 2 }),
        count: fc.nat(4),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.nat(300) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  )

  type Happening = typeof event extends fc.Arbitrary<infer Value> ? Value : never

  interface Sent {
    readonly session: number
    readonly sequence: number
    readonly retryUntilMs: number
    readonly token: string
    result: string | null
  }

  function run(events: readonly Happening[], mutations: object): boolean {
    const driver = new KvDriver({ mutations, sessionLimits: { maxResults: 4 } })
    const sent: Sent[] = []
    const next = new Map<number, number>()
    const lowest = new Map<number, number>()
    driver.tick(1000)
    const send = (write: Sent): void => {
      // A retry carries what the session knows by now; an old copy in the log would carry less, which changes nothing.
      const floor = Math.min(write.sequence, lowest.get(write.session) ?? 1)
      const reply = driver.as({ ...write, lowest: floor }, 'APPEND', 'k', write.token)
      if (isRefusal(latin1Bytes(reply))) return
      expect(write.result ?? reply).toBe(reply)
      write.result = reply
    }
    for (const happens of events) {
      if (happens.kind === 'first') {
        const sequence = (next.get(happens.session) ?? 0) + 1
        next.set(happens.session, sequence)
        const retryUntilMs = driver.stampMs + happens.aheadMs
        sent.push({
          session: happens.session,
          sequence,
          retryUntilMs,
          token: `<${happens.session}.${sequence}>`,
          result: null,
        })
        send(sent[sent.length - 1])
      } else if (happens.kind === 'again' && sent.length > 0) send(sent[happens.which % sent.length])
      else if (happens.kind === 'answered') {
        const known = lowest.get(happens.session) ?? 1
        lowest.set(happens.session, Math.min(known + happens.count, (next.get(happens.session) ?? 0) + 1))
      } else if (happens.kind === 'time') driver.tick(driver.stampMs + happens.ms)
      else if (happens.kind === 'restart') driver.restart()
    }
    const value = driver.read('GET', 'k')
    // A result means that it ran, and nothing runs twice.
    return sent.every(
      ({ token, result }) => value.split(token).length - 1 <= 1 && (result === null || value.includes(token)),
    )
  }

  it('no write runs twice, every result is of a run, and a retry hears the first result', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        expect(run(events, {})).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  it.each(['sessionRecordsIgnored', 'sessionsLeftOutOfCheckpoint', 'sessionFloorForgotten'])(
    'catches %s',
    (mutation) => {
      const outcome = fc.check(
        fc.property(fc.array(event, { maxLength: 60 }), (events) => run(events, { [mutation]: true })),
        { numRuns: 500, seed: 1, endOnFailure: true },
      )
      expect(outcome.failed).toBe(true)
    },
  )
})

describe('digest', () => {
  it('differs where a value, an expiry, an index, a session or log time does', () => {
    const digests = new Set<string>()
    const variants: ((driver: KvDriver) => void)[] = [
      () => {},
      (driver) => driver.write('SET', 'k', 'w'),
      (driver) => driver.write('SET', 'k', 'v', 'EX', '10'),
      (driver) => driver.write('SET', '{k}2', 'v'),
      (driver) => driver.write('GET', 'k'),
      (driver) => driver.as({ session: 1, sequence: 1 }, 'GET', 'k'),
      (driver) => driver.tick(5),
      (driver) => driver.write('DEL', 'k'),
      (driver) => driver.onSlot(slotOfText('k'), 'FLUSHALL'),
    ]
    for (const variant of variants) {
      const driver = new KvDriver()
      driver.write('SET', 'k', 'v')
      variant(driver)
      digests.add(driver.machine.digest())
    }
    expect(digests.size).toBe(variants.length)
  })

  it('is taken in bounded steps, and notices that the state moved on', () => {
    const driver = new KvDriver()
    for (let i = 0; i < 500; i++) driver.write('SET', `k${i}`, 'v')
    const run = driver.machine.beginDigest()
    let steps = 1
    let last = run.step(10)
    while (last.kind === 'more') {
      last = run.step(10)
      steps++
    }
    expect(last).toEqual({ kind: 'done', digest: driver.machine.digest(), keys: 500, appliedIndex: 500 })
    expect(steps).toBeGreaterThan(10)
    const stale = driver.machine.beginDigest()
    expect(stale.step(10).kind).toBe('more')
    driver.write('SET', 'k', 'v')
    expect(stale.step(10).kind).toBe('stale')
    const restored = driver.machine.beginDigest()
    driver.machine.restore(driver.machine.checkpointState())
    expect(restored.step(10).kind).toBe('stale')
  })
})

describe('checkpoints', () => {
  it('genesis again after restore(null)', () => {
    const driver = new KvDriver({ ownedSlots: [[2, 5]] })
    const genesis = driver.machine.checkpointState()
    driver.tick(1000)
    driver.machine.restore(null)
    expect(driver.machine.checkpointState()).toEqual(genesis)
    expect([1, 2, 5, 6].map((slot) => driver.machine.slots.owns(slot))).toEqual([false, true, true, false])
  })

  it("keeps the group's limits, whatever the restarted node is given", () => {
    const driver = new KvDriver({ maxKeyBytes: 5, maxValueBytes: 3, sessionLimits: { maxResults: 2 } })
    const other = new KvStateMachine(new MemoryKeySpace(), { ...driver.options, maxKeyBytes: 9, maxValueBytes: 9 })
    other.restore(driver.machine.checkpointState())
    expect(other.limits).toEqual({ maxKeyBytes: 5, maxValueBytes: 3 })
    expect(other.checkpointState()).toEqual(driver.machine.checkpointState())
  })

  it('refuses what it cannot read and stays as it was', () => {
    const driver = new KvDriver()
    driver.tick(1000)
    driver.as({ session: 1, sequence: 1 }, 'SET', 'k', 'v')
    const state = driver.machine.checkpointState()
    const broken = (change: (bytes: Uint8Array) => Uint8Array): void => {
      expect(() => driver.machine.restore(change(state.slice()))).toThrow(DecodeError)
    }
    for (let length = 0; length < state.length; length++) broken((bytes) => bytes.subarray(0, length))
    broken((bytes) => Uint8Array.from([...bytes, 0]))
    broken((bytes) => bytes.fill(0, 0, 4))
    broken((bytes) => bytes.fill(99, 4, 6))
    expect(() => new KvStateMachine(new MemoryKeySpace(), { slotCount: 32, ownedSlots: [] }).restore(state)).toThrow(
      'of 16 slots, this cluster has 32',
    )
    expect(driver.machine.checkpointState()).toEqual(state)
  })
})

describe('entries', () => {
  it('that are malformed change nothing but log time', () => {
    const driver = new KvDriver()
    const good = encodePayload(
      {
        kind: PAYLOAD_WRITE,
        slot: asSlotId(slotOfText('k')),
        stampMs: 7,
        session: 1,
        sequence: 1,
        lowestUnanswered: 1,
        retryUntilMs: 99,
      },
      encodeCommand(2, ['k', 'v'].map(latin1Bytes)),
    )
    for (let length = 0; length < PAYLOAD_HEADER_BYTES; length++) {
      expect(driver.applyPayload(good.slice(0, length))).toMatch(/^-ERR internal/)
    }
    const wrongKind = good.slice()
    wrongKind[0] = 9
    expect(driver.applyPayload(wrongKind)).toMatch(/^-ERR internal/)
    const hugeStamp = good.slice()
    hugeStamp.fill(0xff, 8, 16)
    expect(driver.applyPayload(hugeStamp)).toMatch(/^-ERR internal/)
    expect(driver.applyPayload(good.slice(0, -1))).toMatch(/^-ERR internal/)
    expect(driver.keySpace.totalKeys).toBe(0)
    expect(driver.machine.logTimeMs).toBe(7)
  })

  it('that come twice at one index, or are no commands, are a bug that must not pass', () => {
    const driver = new KvDriver()
    driver.write('SET', 'k', 'v')
    expect(() => driver.machine.apply(driver.log[0])).toThrow('entry 1 after 1 was applied')
    driver.restart()
    expect(() => driver.machine.apply(driver.log[0])).toThrow('entry 1 after 1 was applied')
    const noop = { term: asTerm(1), index: asLogIndex(9), kind: ENTRY_NOOP, payload: new Uint8Array(0) } as const
    expect(() => driver.machine.apply(noop)).toThrow('no command')
  })

  it('a query that writes, or is unknown, is refused', () => {
    const driver = new KvDriver()
    expect(driver.read('SET', 'k', 'v')).toMatch(/^-ERR command number 2 cannot run here/)
    expect(driver.queryBytes(encodeCommand(18, []), 0, 0)).toMatch(/^-ERR/)
    expect(driver.queryBytes(encodeCommand(777, []), 0, 0)).toMatch(/^-ERR/)
    expect(driver.queryBytes(new Uint8Array(3), 0, 0)).toMatch(/^-ERR internal/)
    expect(driver.keySpace.totalKeys).toBe(0)
  })

  it('are read by offsets as the codec writes them', () => {
    fc.assert(
      fc.property(
        fc.nat(16383),
        fc.maxSafeInteger().map(Math.abs),
        fc.maxSafeInteger().map(Math.abs),
        fc.nat(2000),
        fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 5 }),
        (slot, session, sequence, opcode, args) => {
          const command = encodeCommand(opcode, args)
          const payload = encodePayload(
            {
              kind: PAYLOAD_TICK,
              slot: asSlotId(slot),
              stampMs: 0,
              session,
              sequence,
              lowestUnanswered: 0,
              retryUntilMs: 0,
            },
            command,
          )
          const header = decodePayloadHeader(payload)
          expect(u16At(payload, SLOT_OFFSET)).toBe(header.slot)
          expect(u64At(payload, SESSION_OFFSET)).toBe(header.session)
          expect(u64At(payload, SEQUENCE_OFFSET)).toBe(header.sequence)
          expect(commandAt(payload)).toEqual(decodeCommand(payload, PAYLOAD_HEADER_BYTES))
        },
      ),
    )
    expect(ENTRY_COMMAND).toBe(1)
  })
})
