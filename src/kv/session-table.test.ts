import { describe, expect, it } from 'vitest'
import { asLogIndex, asSlotId } from '../base/brand.ts'
import { BytesReader, BytesWriter, latin1Bytes } from '../base/bytes.ts'
import { errorReply, integerReply, OK_REPLY } from '../protocol/resp-reply.ts'
import { KvDriver } from './kv-driver.testkit.ts'
import { DONE_REPLY, isRefusal, refusalOf } from './refusals.ts'
import { RECORD_BYTES, RESULT_BYTES, SessionTable } from './session-table.ts'

const int = (value: number): string => `:${value}\r\n`
const LIMITS = { maxResults: 256, maxReplyBytes: 4096, maxTotalBytes: 1 << 20 }
const refusal = (text: string): string | null => refusalOf(latin1Bytes(text))

describe('exactly once, as a story in the log', () => {
  it('an entry that is there twice runs once, and answers the same', () => {
    const driver = new KvDriver()
    expect(driver.as({ session: 7, sequence: 1 }, 'INCR', 'n')).toBe(int(1))
    expect(driver.as({ session: 7, sequence: 1 }, 'INCR', 'n')).toBe(int(1))
    expect(driver.as({ session: 7, sequence: 2, lowest: 1 }, 'INCR', 'n')).toBe(int(2))
    expect(driver.as({ session: 7, sequence: 1 }, 'INCR', 'n')).toBe(int(1))
    expect(driver.read('GET', 'n')).toBe('$1\r\n2\r\n')
  })

  it('sessions and slots do not mix', () => {
    const driver = new KvDriver()
    driver.as({ session: 1, sequence: 1 }, 'INCR', 'n')
    expect(driver.as({ session: 2, sequence: 1 }, 'INCR', 'n')).toBe(int(2))
    expect(driver.as({ session: 1, sequence: 1 }, 'INCR', 'other')).toBe(int(1))
  })

  it('a failed condition is a result too: its retry does not try again', () => {
    const driver = new KvDriver()
    expect(driver.as({ session: 1, sequence: 1 }, 'KV.CAS', 'k', 'a', 'b')).toBe('*2\r\n:0\r\n_\r\n')
    driver.write('SET', 'k', 'a')
    expect(driver.as({ session: 1, sequence: 1 }, 'KV.CAS', 'k', 'a', 'b')).toBe('*2\r\n:0\r\n_\r\n')
    expect(driver.read('GET', 'k')).toBe('$1\r\na\r\n')
  })

  it('retries that overtake each other each find their own result', () => {
    const driver = new KvDriver()
    expect(driver.as({ session: 1, sequence: 3, lowest: 1 }, 'APPEND', 'k', 'c')).toBe(int(1))
    expect(driver.as({ session: 1, sequence: 1, lowest: 1 }, 'APPEND', 'k', 'a')).toBe(int(2))
    expect(driver.as({ session: 1, sequence: 2, lowest: 1 }, 'APPEND', 'k', 'b')).toBe(int(3))
    expect(driver.as({ session: 1, sequence: 2, lowest: 1 }, 'APPEND', 'k', 'b')).toBe(int(3))
    expect(driver.as({ session: 1, sequence: 1, lowest: 1 }, 'APPEND', 'k', 'a')).toBe(int(2))
    expect(driver.read('GET', 'k')).toBe('$3\r\ncab\r\n')
  })

  it('below the floor nothing runs a second time', () => {
    const driver = new KvDriver()
    driver.as({ session: 1, sequence: 1 }, 'INCR', 'n')
    driver.as({ session: 1, sequence: 2, lowest: 2 }, 'INCR', 'n')
    const late = driver.as({ session: 1, sequence: 1, lowest: 1 }, 'INCR', 'n')
    expect(refusal(late)).toBe('sequence-too-old')
    // An old copy's own "lowest unanswered" does not bring the floor down.
    expect(refusal(driver.as({ session: 1, sequence: 1, lowest: 1 }, 'INCR', 'n'))).toBe('sequence-too-old')
    expect(driver.as({ session: 1, sequence: 2, lowest: 1 }, 'INCR', 'n')).toBe(int(2))
    expect(driver.read('GET', 'n')).toBe('$1\r\n2\r\n')
  })

  it('the 257th unanswered write is refused, none is forgotten, and it runs once there is room', () => {
    const driver = new KvDriver()
    for (let sequence = 1; sequence <= 256; sequence++) {
      expect(driver.as({ session: 1, sequence, lowest: 1 }, 'INCR', 'n')).toBe(int(sequence))
    }
    expect(refusal(driver.as({ session: 1, sequence: 257, lowest: 1 }, 'INCR', 'n'))).toBe('busy')
    expect(refusal(driver.as({ session: 1, sequence: 258, lowest: 1 }, 'INCR', 'n'))).toBe('busy')
    for (const sequence of [1, 100, 256]) {
      expect(driver.as({ session: 1, sequence, lowest: 1 }, 'INCR', 'n')).toBe(int(sequence))
    }
    expect(driver.as({ session: 1, sequence: 257, lowest: 2 }, 'INCR', 'n')).toBe(int(257))
    expect(driver.read('GET', 'n')).toBe('$3\r\n257\r\n')
  })

  it('past its retry time a write without a record does not run', () => {
    const driver = new KvDriver()
    driver.tick(10_000)
    expect(refusal(driver.as({ session: 1, sequence: 1, retryUntilMs: 9_999 }, 'INCR', 'n'))).toBe('retry-expired')
    expect(driver.machine.sessionUsage.records).toBe(0)
    expect(driver.as({ session: 1, sequence: 2, retryUntilMs: 10_000 }, 'INCR', 'n')).toBe(int(1))
    driver.tick(10_000 + 1)
    // Its own stamp counts too: the entry brings the log time by which it is judged.
    driver.stampMs = 20_000
    expect(refusal(driver.as({ session: 1, sequence: 3, retryUntilMs: 19_999 }, 'INCR', 'n'))).toBe('retry-expired')
    expect(driver.read('GET', 'n')).toBe('$1\r\n1\r\n')
  })

  it('with a record the result is given whatever the time', () => {
    const driver = new KvDriver()
    driver.tick(1000)
    driver.as({ session: 1, sequence: 1, retryUntilMs: 2000 }, 'INCR', 'n')
    driver.as({ session: 1, sequence: 2, lowest: 1, retryUntilMs: 9000 }, 'INCR', 'n')
    driver.tick(5000)
    expect(driver.as({ session: 1, sequence: 1, retryUntilMs: 2000 }, 'INCR', 'n')).toBe(int(1))
  })

  it('idle records go, and a copy that comes after that still does not run', () => {
    const driver = new KvDriver()
    driver.tick(1000)
    for (let session = 1; session <= 20; session++) {
      driver.as({ session, sequence: 5, retryUntilMs: 2000 }, 'INCR', 'n')
    }
    expect(driver.machine.sessionUsage.records).toBe(20)
    driver.stampMs = 2000
    for (let i = 0; i < 50; i++) driver.tick(2000)
    expect(driver.machine.sessionUsage.records).toBe(20)
    for (let i = 0; i < 10; i++) driver.tick(2001)
    expect(driver.machine.sessionUsage).toEqual({ records: 0, bytes: 0 })
    expect(refusal(driver.as({ session: 3, sequence: 5, retryUntilMs: 2000 }, 'INCR', 'n'))).toBe('retry-expired')
    expect(driver.read('GET', 'n')).toBe('$2\r\n20\r\n')
  })

  it('a floor lives until the highest retry-until of its session', () => {
    const driver = new KvDriver()
    driver.tick(1000)
    driver.as({ session: 1, sequence: 1, retryUntilMs: 9000 }, 'INCR', 'n')
    driver.as({ session: 1, sequence: 2, lowest: 2, retryUntilMs: 2000 }, 'INCR', 'n')
    for (let i = 0; i < 10; i++) driver.tick(8000)
    expect(refusal(driver.as({ session: 1, sequence: 1, retryUntilMs: 9000 }, 'INCR', 'n'))).toBe('sequence-too-old')
  })

  it('a large reply is kept as done', () => {
    const driver = new KvDriver()
    const value = 'v'.repeat(5000)
    driver.write('SET', 'k', value)
    expect(driver.as({ session: 1, sequence: 1 }, 'SET', 'k', 'w', 'GET')).toBe(`$5000\r\n${value}\r\n`)
    const again = driver.as({ session: 1, sequence: 1 }, 'SET', 'k', 'w', 'GET')
    expect(again).toMatch(/^-UNCERTAIN .*done/)
    expect(isRefusal(latin1Bytes(again))).toBe(false)
  })

  it("a group's records are bounded by bytes, then it is busy, and idle ones make room", () => {
    const driver = new KvDriver({ sessionLimits: { maxTotalBytes: 20_000 } })
    driver.tick(1000)
    let session = 0
    let reply = ''
    while (refusal(reply) === null)
      reply = driver.as({ session: ++session, sequence: 1, retryUntilMs: 2000 }, 'INCR', 'n')
    expect(refusal(reply)).toBe('busy')
    expect(driver.machine.sessionUsage.bytes).toBeLessThanOrEqual(20_000)
    expect(driver.read('GET', 'n')).toContain(String(session - 1))
    for (let i = 0; i < session; i++) driver.tick(3000)
    expect(driver.as({ session, sequence: 1, retryUntilMs: 4000 }, 'INCR', 'n')).toBe(int(session))
  })

  it('survives a checkpoint and a restart', () => {
    const driver = new KvDriver()
    driver.as({ session: 1, sequence: 1 }, 'INCR', 'n')
    driver.as({ session: 1, sequence: 2, lowest: 2 }, 'INCR', 'n')
    driver.restart()
    expect(driver.as({ session: 1, sequence: 2, lowest: 2 }, 'INCR', 'n')).toBe(int(2))
    expect(refusal(driver.as({ session: 1, sequence: 1, lowest: 1 }, 'INCR', 'n'))).toBe('sequence-too-old')
  })

  it('a refusal is not a result', () => {
    const driver = new KvDriver()
    driver.tick(10_000)
    driver.as({ session: 1, sequence: 1, retryUntilMs: 20_000 }, 'INCR', 'n')
    driver.as({ session: 1, sequence: 2, lowest: 1, retryUntilMs: 9_000 }, 'INCR', 'n')
    expect(driver.as({ session: 1, sequence: 2, lowest: 1, retryUntilMs: 20_000 }, 'INCR', 'n')).toBe(int(2))
  })

  it('a header that no router makes is refused', () => {
    const driver = new KvDriver()
    expect(driver.as({ session: 1, sequence: 1, lowest: 2 }, 'INCR', 'n')).toMatch(/^-ERR internal/)
    expect(driver.read('GET', 'n')).toBe('_\r\n')
  })
})

describe('known bugs show', () => {
  it('records ignored: a retry runs twice', () => {
    const driver = new KvDriver({ mutations: { sessionRecordsIgnored: true } })
    driver.as({ session: 1, sequence: 1 }, 'INCR', 'n')
    expect(driver.as({ session: 1, sequence: 1 }, 'INCR', 'n')).toBe(int(2))
  })

  it('records left out of the checkpoint: a retry after a restart runs twice', () => {
    const driver = new KvDriver({ mutations: { sessionsLeftOutOfCheckpoint: true } })
    driver.as({ session: 1, sequence: 1 }, 'INCR', 'n')
    driver.restart()
    expect(driver.as({ session: 1, sequence: 1 }, 'INCR', 'n')).toBe(int(2))
  })

  it('floor forgotten: an old copy runs twice', () => {
    const driver = new KvDriver({ mutations: { sessionFloorForgotten: true } })
    driver.as({ session: 1, sequence: 1 }, 'INCR', 'n')
    driver.as({ session: 1, sequence: 2, lowest: 2 }, 'INCR', 'n')
    expect(driver.as({ session: 1, sequence: 1, lowest: 1 }, 'INCR', 'n')).toBe(int(3))
  })
})

describe('the table', () => {
  const fields = (session: number, sequence: number, lowestUnanswered = 1) => ({
    slot: asSlotId(3),
    session,
    sequence,
    lowestUnanswered,
    retryUntilMs: 100,
  })

  it('counts what it holds', () => {
    const table = new SessionTable(16, LIMITS)
    table.keep(fields(1, 1), OK_REPLY)
    table.keep(fields(1, 2), integerReply(7))
    expect(table.bytes).toBe(RECORD_BYTES + 2 * RESULT_BYTES + 5 + 4)
    expect(table.admit(fields(1, 3, 3), 0)).toBeNull()
    expect(table.bytes).toBe(RECORD_BYTES)
  })

  it('encodes what it holds and nothing else', () => {
    const table = new SessionTable(16, LIMITS)
    table.keep(fields(9, 4), OK_REPLY)
    table.keep(fields(9, 2), errorReply('ERR x'))
    table.keep(fields(2 ** 50, 1), new Uint8Array(5000))
    const writer = new BytesWriter()
    table.encode(writer)
    const copy = SessionTable.decode(new BytesReader(writer.copy()), 16, LIMITS, asLogIndex(0))
    const again = new BytesWriter()
    copy.encode(again)
    expect(again.copy()).toEqual(writer.copy())
    expect(copy.bytes).toBe(table.bytes)
    expect(copy.admit(fields(9, 4), 0)).toBe(OK_REPLY)
    expect(copy.admit(fields(2 ** 50, 1), 0)).toBe(DONE_REPLY)
  })
})
