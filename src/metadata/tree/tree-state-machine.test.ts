import { describe, expect, it } from 'vitest'
import { asSlotId, asTerm } from '../../base/brand.ts'
import { DecodeError, latin1Bytes } from '../../base/bytes.ts'
import { encodePayload, PAYLOAD_METADATA, PAYLOAD_WRITE, stampPayload } from '../../protocol/command.ts'
import { encodeMetadataWrite } from '../../protocol/metadata-command.ts'
import {
  EPHEMERAL,
  EPHEMERAL_SEQUENTIAL,
  METADATA_LIMITS,
  PERSISTENT_SEQUENTIAL,
} from '../../protocol/metadata-operation.ts'
import type { MetadataReply } from '../../protocol/metadata-reply.ts'
import { check, create, remove, set } from '../metadata-harness.testkit.ts'
import { TreeDriver } from './tree-driver.testkit.ts'
import { DEFAULT_TREE_LIMITS } from './tree-limits.ts'
import { TreeStateMachine } from './tree-state-machine.ts'

const ENDED: MetadataReply = { kind: 'ended', byThisEntry: true }
const NOT_ENDED: MetadataReply = { kind: 'ended', byThisEntry: false }

function codeOf(reply: MetadataReply): string {
  return reply.kind === 'error' ? reply.error.code : reply.kind
}

describe('exactly once', () => {
  it('a repeated write gives its first reply and runs once, also after a restart; another session may use the same number', () => {
    const driver = new TreeDriver()
    const [one, two] = [driver.open(), driver.open()]
    const operations = [create('/n-', 'x', PERSISTENT_SEQUENTIAL)]
    const words = { session: one, sequence: 5 }
    const first = driver.writeBytes({ kind: 'multi', operations }, words)
    driver.multi(two, create('/between'))
    expect(driver.writeBytes({ kind: 'multi', operations }, words)).toEqual(first)
    driver.restart()
    expect(driver.writeBytes({ kind: 'multi', operations }, words)).toEqual(first)
    expect(driver.names('/')).toEqual(['between', 'n-0000000000'])
    expect(codeOf(driver.numbered({ session: two, sequence: 5 }, ...operations))).toBe('results')
    expect(driver.names('/')).toHaveLength(3)
  })

  it('a failure is a first reply too: it stays, though the write would succeed now', () => {
    const driver = new TreeDriver()
    const session = driver.open()
    const words = { session, sequence: 1 }
    expect(codeOf(driver.numbered(words, set('/a', 'x')))).toBe('no-node')
    driver.multi(0, create('/a'))
    expect(codeOf(driver.numbered(words, set('/a', 'x')))).toBe('no-node')
    expect(driver.read('exists', '/a')).toMatchObject({ stat: { version: 0 } })
  })

  it('below the lowest unanswered sequence nothing runs', () => {
    const driver = new TreeDriver()
    const session = driver.open()
    driver.numbered({ session, sequence: 3 }, create('/a'))
    driver.numbered({ session, sequence: 9, lowest: 9 }, create('/b'))
    for (const sequence of [1, 3, 8]) {
      expect(codeOf(driver.numbered({ session, sequence, lowest: 1 }, create('/late')))).toBe('unknown')
    }
    expect(driver.names('/')).toEqual(['a', 'b'])
  })

  it('a copy that comes after its time does not become the first to run; a result is given after it all the same', () => {
    const driver = new TreeDriver()
    const session = driver.open()
    driver.numbered({ session, sequence: 1, retryUntilMs: 1000 }, create('/a'))
    driver.tick(1000)
    expect(codeOf(driver.numbered({ session, sequence: 2, lowest: 1, retryUntilMs: 1000 }, create('/b')))).toBe(
      'results',
    )
    driver.tick(1001)
    expect(codeOf(driver.numbered({ session, sequence: 3, lowest: 1, retryUntilMs: 1000 }, create('/c')))).toBe(
      'unavailable',
    )
    expect(codeOf(driver.numbered({ session, sequence: 1, lowest: 1, retryUntilMs: 1000 }, create('/a')))).toBe(
      'results',
    )
    expect(driver.names('/')).toEqual(['a', 'b'])
    // Time does not run backwards with a slower leader.
    driver.stampMs = 5
    driver.multi(session, create('/d'))
    expect(driver.machine.logTimeMs).toBe(1001)
  })

  it('no more results than agreed are kept: the next write is refused, not an old result dropped', () => {
    const driver = new TreeDriver()
    const session = driver.open()
    const { maxResults } = DEFAULT_TREE_LIMITS
    for (let sequence = 1; sequence <= maxResults; sequence++) {
      expect(codeOf(driver.numbered({ session, sequence, lowest: 1 }, create(`/n${sequence}`)))).toBe('results')
    }
    expect(codeOf(driver.numbered({ session, sequence: maxResults + 1, lowest: 1 }, create('/more')))).toBe(
      'unavailable',
    )
    expect(codeOf(driver.numbered({ session, sequence: 1, lowest: 1 }, create('/n1')))).toBe('results')
    expect(codeOf(driver.numbered({ session, sequence: maxResults + 1, lowest: 2 }, create('/more')))).toBe('results')
  })

  it('a result that is too large to keep is remembered as done; the room for results is bounded', () => {
    const driver = new TreeDriver({ maxResultBytes: 200, maxResultBytesTotal: 1000 })
    const session = driver.open()
    const large = [create('/a'), create('/b'), create('/c'), create('/d')]
    expect(codeOf(driver.numbered({ session, sequence: 1 }, ...large))).toBe('results')
    expect(driver.numbered({ session, sequence: 1 }, ...large)).toMatchObject({ error: { code: 'unknown' } })
    driver.restart()
    expect(driver.numbered({ session, sequence: 1 }, ...large)).toMatchObject({ error: { code: 'unknown' } })
    let codes: string[] = []
    for (let sequence = 2; sequence < 30; sequence++) {
      codes.push(codeOf(driver.numbered({ session, sequence, lowest: 1 }, set('/a', ''))))
    }
    expect(driver.machine.resultBytes).toBeLessThanOrEqual(1000)
    expect(codes).toEqual([...codes].sort())
    expect(new Set(codes)).toEqual(new Set(['results', 'unavailable']))
    const done = codes.filter((code) => code === 'results').length
    expect(driver.read('exists', '/a')).toMatchObject({ stat: { version: done } })
    // Asked again: the first ones were kept, the last ones only remembered; none runs again.
    codes = []
    for (let sequence = 2; sequence < 2 + done; sequence++) {
      codes.push(codeOf(driver.numbered({ session, sequence, lowest: 1 }, set('/a', ''))))
    }
    expect(new Set(codes)).toEqual(new Set(['results', 'unknown']))
    expect(driver.read('exists', '/a')).toMatchObject({ stat: { version: done } })
    // Answered, they go.
    driver.numbered({ session, sequence: 100, lowest: 100 }, set('/a', ''))
    expect(driver.machine.resultBytes).toBeLessThan(200)
    driver.close(session)
    expect(driver.machine.resultBytes).toBe(0)
  })
})

describe('sessions', () => {
  it('the same nonce is the same session while it lives; ids are log indexes and never come again', () => {
    const driver = new TreeDriver()
    driver.tick(1)
    const session = driver.open(5000, 77)
    expect(session).toBe(driver.index)
    driver.multi(0, create('/a'))
    expect(driver.openReply(9000, 77)).toEqual({ kind: 'opened', session, timeoutMs: 5000 })
    driver.restart()
    expect(driver.open(5000, 77)).toBe(session)
    driver.close(session)
    const next = driver.open(5000, 77)
    expect(next).toBe(driver.index)
    expect([...driver.machine.sessions()].map(({ id }) => id)).toEqual([next])
  })

  it('an open that comes after its time opens nothing', () => {
    const driver = new TreeDriver()
    driver.tick(2000)
    expect(codeOf(driver.openReply(5000, 1, 1999))).toBe('unavailable')
    expect(codeOf(driver.openReply(5000, 1, 2000))).toBe('opened')
    expect(driver.machine.sessionCount).toBe(1)
  })

  it('a timeout out of bounds becomes the nearest one', () => {
    const driver = new TreeDriver()
    expect(driver.openReply(0, 1)).toMatchObject({ timeoutMs: 100 })
    expect(driver.openReply(0xffffffff, 2)).toMatchObject({ timeoutMs: 3_600_000 })
  })

  it('with its session go its ephemeral nodes, in the same entry; later writes and reads of it are refused', () => {
    for (const how of ['close', 'expire'] as const) {
      const driver = new TreeDriver()
      const [one, two] = [driver.open(), driver.open()]
      driver.multi(0, create('/p'))
      driver.multi(one, create('/p/b', '', EPHEMERAL), create('/p/a', '', EPHEMERAL), create('/kept'))
      driver.multi(two, create('/p/c', '', EPHEMERAL))
      expect(how === 'close' ? driver.close(one) : driver.expire(one)).toEqual(ENDED)
      expect(driver.names('/p')).toEqual(['c'])
      expect(driver.read('exists', '/p')).toMatchObject({ stat: { childVersion: 5, childCount: 1 } })
      expect(codeOf(driver.multi(one, create('/late')))).toBe('session-expired')
      expect(codeOf(driver.read('get', '/p', one))).toBe('session-expired')
      expect(driver.names('/')).toEqual(['kept', 'p'])
      expect(how === 'close' ? driver.close(one) : driver.expire(one)).toEqual(NOT_ENDED)
    }
  })

  it('an expiry counts only in the term in which it was decided', () => {
    const driver = new TreeDriver()
    const session = driver.open()
    driver.multi(session, create('/e', '', EPHEMERAL))
    driver.term = 4
    // Decided by the leader of term 3, and passed on; or decided by one that lost its term and won the next.
    expect(driver.expire(session, 3)).toEqual(NOT_ENDED)
    expect(driver.expire(session, 5)).toEqual(NOT_ENDED)
    expect(driver.names('/')).toEqual(['e'])
    expect(codeOf(driver.multi(session, set('/e', 'alive')))).toBe('results')
    expect(driver.expire(session, 4)).toEqual(ENDED)
    expect(driver.names('/')).toEqual([])
  })

  it('session 0, the leader itself, writes without a record, and owns nothing', () => {
    const driver = new TreeDriver()
    const words = { session: 0, sequence: 1 }
    expect(codeOf(driver.numbered(words, create('/a')))).toBe('results')
    expect(codeOf(driver.numbered(words, create('/a')))).toBe('node-exists')
    expect(codeOf(driver.numbered(words, create('/e', '', EPHEMERAL)))).toBe('session-expired')
  })
})

describe('the tree', () => {
  it('the sequence counts the children ever created, ten digits wide, and lives as long as their parent', () => {
    const driver = new TreeDriver()
    const session = driver.open()
    driver.multi(session, create('/q'), create('/q/plain'))
    driver.multi(session, create('/q/n-', '', PERSISTENT_SEQUENTIAL), create('/q/', '', EPHEMERAL_SEQUENTIAL))
    expect(driver.names('/q')).toEqual(['0000000002', 'n-0000000001', 'plain'])
    driver.close(session)
    driver.restart()
    driver.multi(0, remove('/q/n-0000000001'), create('/q/n-', '', PERSISTENT_SEQUENTIAL))
    expect(driver.names('/q')).toEqual(['n-0000000003', 'plain'])
    driver.multi(0, remove('/q/n-0000000003'), remove('/q/plain'), remove('/q'), create('/q'))
    driver.multi(0, create('/q/n-', '', PERSISTENT_SEQUENTIAL))
    expect(driver.names('/q')).toEqual(['n-0000000000'])
  })

  it("a deposed master's multi changes nothing: its election node went with its session", () => {
    const driver = new TreeDriver()
    const [old, next] = [driver.open(), driver.open()]
    driver.multi(0, create('/masters'), create('/slots', 'initial'))
    driver.multi(old, create('/masters/m-', '', EPHEMERAL_SEQUENTIAL))
    driver.multi(next, create('/masters/m-', '', EPHEMERAL_SEQUENTIAL))
    driver.multi(old, check('/masters/m-0000000000', 0), set('/slots', 'old'))
    driver.expire(old)
    const digest = driver.machine.digest()
    const late = [check('/masters/m-0000000000', 0), set('/slots', 'late'), create('/late')]
    expect(codeOf(driver.multi(old, ...late))).toBe('session-expired')
    // And through whatever session: the check alone is enough.
    expect(driver.multi(0, ...late)).toMatchObject({ error: { code: 'no-node', operation: 0 } })
    expect(driver.machine.digest()).not.toBe(digest)
    expect(driver.names('/')).toEqual(['masters', 'slots'])
    expect(driver.read('exists', '/slots')).toMatchObject({ stat: { version: 1, modificationId: 6 } })
    expect(codeOf(driver.multi(next, check('/masters/m-0000000001', 0), set('/slots', 'next')))).toBe('results')
  })

  it('every limit is an error, never a crash, and a write over it changes nothing', () => {
    const driver = new TreeDriver({ maxChildren: 3, maxNodes: 6, maxTreeBytes: 100, maxDataBytes: 50, maxSessions: 2 })
    const session = driver.open()
    driver.open()
    expect(codeOf(driver.openReply(1000, 99))).toBe('unavailable')
    driver.multi(session, create('/a'), create('/b'), create('/c'))
    const over = [
      create('/d'),
      create('/a/x', 'x'.repeat(51)),
      set('/a', 'x'.repeat(51)),
      create('/a/n-', '', PERSISTENT_SEQUENTIAL),
    ]
    driver.multi(session, set('/b', 'x'.repeat(50)))
    expect(driver.machine.treeBytes).toBe(57)
    const before = driver.machine.treeBytes
    expect(codeOf(driver.multi(session, over[0]))).toBe('too-large')
    expect(codeOf(driver.multi(session, over[1]))).toBe('too-large')
    expect(codeOf(driver.multi(session, over[2]))).toBe('too-large')
    // 57 + 44 > 100 bytes.
    expect(codeOf(driver.multi(session, set('/c', 'x'.repeat(44))))).toBe('too-large')
    expect(codeOf(driver.multi(session, create('/a/x', 'x'.repeat(40))))).toBe('too-large')
    expect(codeOf(driver.multi(session, create('/a/1'), create('/a/2'), create('/a/3')))).toBe('too-large')
    expect(driver.machine.treeBytes).toBe(before)
    expect(driver.machine.nodeCount).toBe(4)
    expect(codeOf(driver.multi(session, create('/a/1'), create('/a/2')))).toBe('results')
    expect(driver.machine.nodeCount).toBe(6)
  })

  it('the limits are those of the log: a replica restarted with others goes on with them', () => {
    const driver = new TreeDriver({ maxChildren: 2 })
    driver.multi(0, create('/a'), create('/b'))
    const other = new TreeStateMachine()
    other.restore(driver.machine.checkpointState())
    driver.machine = other
    expect(codeOf(driver.multi(0, create('/c')))).toBe('too-large')
    other.restore(null)
    expect(other.nodeCount).toBe(1)
    driver.index = 0
    for (const name of ['a', 'b', 'c']) expect(codeOf(driver.multi(0, create(`/${name}`)))).toBe('results')
  })

  it('what the log holds is not kept alive: data is copied', () => {
    const driver = new TreeDriver()
    const payload = encodePayload(
      {
        kind: PAYLOAD_METADATA,
        slot: asSlotId(0),
        stampMs: 0,
        session: 0,
        sequence: 0,
        lowestUnanswered: 0,
        retryUntilMs: 0,
      },
      encodeMetadataWrite({ kind: 'multi', operations: [create('/a', 'good')] }),
    )
    stampPayload(payload, 12345)
    driver.payload(payload)
    payload.fill(0)
    expect(driver.machine.logTimeMs).toBe(12345)
    expect(driver.read('get', '/a')).toMatchObject({ node: { data: latin1Bytes('good') } })
  })

  it('an entry of another kind is passed over, and its stamp counts', () => {
    const driver = new TreeDriver()
    driver.stampMs = 500
    const reply = driver.writeBytes(
      { kind: 'multi', operations: [create('/a')] },
      { session: 0, sequence: 0 },
      PAYLOAD_WRITE,
    )
    expect(reply.length).toBeGreaterThan(0)
    expect(driver.names('/')).toEqual([])
    expect(driver.machine.logTimeMs).toBe(500)
    expect(codeOf(driver.numbered({ session: 0, sequence: 1, lowest: 2 }, create('/a')))).toBe('unavailable')
  })

  it('the deepest tree and the largest parent are written, read back and taken down', () => {
    const driver = new TreeDriver()
    const depth = METADATA_LIMITS.maxPathBytes / 2
    const paths = Array.from({ length: depth }, (_, i) => '/d'.repeat(i + 1))
    driver.multi(0, ...paths.map((path) => create(path)))
    expect(codeOf(driver.multi(0, create(`${paths[depth - 1]}/x`)))).toBe('bad-path')
    const session = driver.open()
    for (let i = 0; i < 20; i++) {
      const many = Array.from({ length: 1000 }, () => create('/e-', '', EPHEMERAL_SEQUENTIAL))
      expect(codeOf(driver.multi(session, ...many))).toBe('results')
    }
    driver.restart()
    expect(driver.names('/')).toHaveLength(20_001)
    expect(driver.close(session)).toEqual(ENDED)
    expect(driver.names('/')).toEqual(['d'])
    driver.multi(0, ...paths.reverse().map((path) => remove(path)))
    expect(driver.machine.nodeCount).toBe(1)
    expect(driver.machine.treeBytes).toBe(1)
  })
})

describe('a checkpoint', () => {
  it('has a head that another kind of file does not have', () => {
    const driver = new TreeDriver()
    driver.multi(driver.open(), create('/a', 'x'))
    const state = driver.machine.checkpointState()
    expect(String.fromCharCode(...state.subarray(0, 4))).toBe('MTRE')
    const machine = new TreeStateMachine()
    for (const [at, value] of [
      [0, 0x4e],
      [4, 2],
    ]) {
      const other = state.slice()
      other[at] = value
      expect(() => machine.restore(other)).toThrow(DecodeError)
    }
    expect(() => machine.restore(Uint8Array.from([...state, 0]))).toThrow(DecodeError)
    expect(() => machine.restore(state.subarray(0, state.length - 1))).toThrow(DecodeError)
    expect(machine.nodeCount).toBe(1)
  })

  it('hangs on the state and not on the way to it', () => {
    const [one, two] = [new TreeDriver(), new TreeDriver()]
    one.multi(0, create('/b'), create('/a'), create('/c'), remove('/c'))
    two.multi(0, create('/c'), create('/a'), create('/b'), remove('/c'))
    expect(one.machine.checkpointState()).toEqual(two.machine.checkpointState())
    expect(one.machine.digest()).toBe(two.machine.digest())
    two.multi(0, check('/a'))
    one.multi(0, check('/b'))
    expect(one.machine.digest()).toBe(two.machine.digest())
    one.expire(99, asTerm(1))
    expect(one.machine.digest()).not.toBe(two.machine.digest())
  })
})
