import { describe, expect, it } from 'vitest'
import { present } from '../base/assert.ts'
import { asGroupId, asLogIndex, asNodeId, asReplicaId, asSlotId, asTerm } from '../base/brand.ts'
import { EMPTY_BYTES, utf8Bytes } from '../base/bytes.ts'
import { crc32c } from '../base/crc32c.ts'
import {
  encodeCommand,
  encodePayload,
  encodeWatches,
  PAYLOAD_METADATA,
  PAYLOAD_MOVE,
  PAYLOAD_TICK,
  PAYLOAD_WRITE,
  type PayloadKind,
} from '../protocol/command.ts'
import { COMMANDS_BY_NAME } from '../protocol/command-table.ts'
import { ENTRY_COMMAND, ENTRY_MEMBERSHIP, ENTRY_NOOP, type Entry, type EntryKind } from '../protocol/entry.ts'
import { encodeMembership } from '../protocol/membership.ts'
import { encodeMetadataWrite, SESSION_NONCE_BYTES } from '../protocol/metadata-command.ts'
import { PERSISTENT } from '../protocol/metadata-operation.ts'
import { encodeMove, FIRST_CURSOR, type MoveCommand } from '../protocol/move-command.ts'
import { type DumpResult, dumpLog, EntryText } from './dump.ts'
import { quote } from './quote.ts'
import { WalWorld } from './wal.testkit.ts'

const bytes = (word: string | Uint8Array): Uint8Array => (typeof word === 'string' ? utf8Bytes(word) : word)

function commandBytes(name: string, ...words: (string | Uint8Array)[]): Uint8Array {
  return encodeCommand(present(COMMANDS_BY_NAME.get(name), name).opcode, words.map(bytes))
}

function payload(command: Uint8Array, kind: PayloadKind = PAYLOAD_WRITE): Uint8Array {
  const header = { slot: asSlotId(3), stampMs: 1234, session: 1, sequence: 1, lowestUnanswered: 1, retryUntilMs: 9 }
  return encodePayload({ kind, ...header }, command)
}

function entry(index: number, content: Uint8Array, kind: EntryKind = ENTRY_COMMAND): Entry {
  return { index: asLogIndex(index), term: asTerm(2), kind, payload: content }
}

function textOf(...entries: Entry[]): string[] {
  const lines: string[] = []
  const text = new EntryText((line) => lines.push(line))
  for (const one of entries) text.entry(one)
  return lines
}

describe("NaiveKV's text form", () => {
  it('has put and delete with transaction 0 and the version', () => {
    expect(
      textOf(
        entry(1, payload(commandBytes('set', 'a', 'b'))),
        entry(2, payload(commandBytes('mset', 'a', '1', 'c', '2'))),
        entry(3, payload(commandBytes('del', 'a', 'c'))),
      ),
    ).toEqual([
      'put "a" "b" "0" "1"',
      'put "a" "1" "0" "2"',
      'put "c" "2" "0" "2"',
      'delete "a" "0" "3"',
      'delete "c" "0" "3"',
    ])
  })

  it('writes other commands in the same style', () => {
    expect(
      textOf(
        entry(17, payload(commandBytes('incr', 'k'))),
        entry(18, payload(commandBytes('set', 'k', 'v', 'NX', 'PX', '100'))),
        entry(19, payload(commandBytes('kv.cas', 'k', 'v', 'w'))),
        entry(20, payload(commandBytes('flushall'))),
      ),
    ).toEqual([
      'incr "k" "0" "17"',
      'set "k" "v" "NX" "PX" "100" "0" "18"',
      'kv.cas "k" "v" "w" "0" "19"',
      'flush "3" "0" "20"',
    ])
  })

  it('frames a transaction with start and commit, which alone has the version', () => {
    const exec = encodeCommand(present(COMMANDS_BY_NAME.get('exec'), 'exec').opcode, [
      encodeWatches([]),
      commandBytes('set', 'a', '1'),
      commandBytes('del', 'b'),
    ])
    expect(textOf(entry(5, payload(exec)))).toEqual([
      'start "1"',
      'put "a" "1" "1"',
      'delete "b" "1"',
      'commit "1" "5"',
    ])
  })

  it('gives an interleaved transaction the lowest free number', () => {
    const lines: string[] = []
    const text = new EntryText((line) => lines.push(line))
    const copy = text.start()
    const other = text.start()
    text.commit(copy, 8)
    const third = text.start()
    text.commit(other, 1)
    expect([copy, other, third]).toEqual([1, 2, 1])
    expect(lines).toEqual(['start "1"', 'start "2"', 'commit "1" "8"', 'start "1"', 'commit "2" "1"'])
  })

  it('shows what the masters agree on as comments', () => {
    const operations = [
      { kind: 'create', path: '/kv/slots', data: bytes('x'), options: PERSISTENT },
      { kind: 'check', path: '/kv/version', version: 3 },
    ] as const
    const writes = [
      encodeMetadataWrite({ kind: 'open', timeoutMs: 1000, nonce: new Uint8Array(SESSION_NONCE_BYTES) }),
      encodeMetadataWrite({ kind: 'multi', operations }),
    ]
    expect(textOf(...writes.map((write, i) => entry(i + 1, payload(write, PAYLOAD_METADATA))))).toEqual([
      '# 1 open of metadata session 1',
      '# 2 create /kv/slots "x"',
      '# 2 check /kv/version',
    ])
  })

  it('shows a move as a transaction of its destination, with its progress', () => {
    const slot = { first: asSlotId(3), last: asSlotId(3), predecessor: 0 }
    const peer = { group: asGroupId(7), nodes: [] }
    const begin = { reconfigId: 5, fence: 1, peer, slots: [slot] }
    const next = { ...FIRST_CURSOR, sourceGeneration: 1, index: 812 }
    const items = [
      { key: bytes('a'), value: bytes('1'), expiresAtMs: 0 },
      { key: bytes('b'), value: null, expiresAtMs: 0 },
    ]
    const part = { slot: asSlotId(3), expected: FIRST_CURSOR, next, sessions: EMPTY_BYTES, items }
    const moves: MoveCommand[] = [
      { kind: 'begin-destination', ...begin },
      { kind: 'stage', reconfigId: 5, parts: [part] },
      { kind: 'enable', reconfigId: 5, disableIndex: 812, sourceLogTimeMs: 1 },
      { kind: 'begin-source', ...begin, reconfigId: 6 },
      { kind: 'begin-destination', ...begin, reconfigId: 8 },
      { kind: 'drop', reconfigId: 8 },
      { kind: 'begin-destination', ...begin, reconfigId: 9 },
    ]
    expect(textOf(...moves.map((command, i) => entry(i + 1, payload(encodeMove(command), PAYLOAD_MOVE))))).toEqual([
      'start "1"',
      'put "a" "1" "1"',
      'delete "b" "1"',
      'put "$migration-worker-7" "5 812" "1"',
      'commit "1" "3"',
      '# 4 begin-source of reconfig 6',
      'start "1"',
      '# 6 drop of reconfig 8',
      'start "1"',
    ])
  })

  it('says in comments what changes no data, and what it cannot read', () => {
    const members = [{ replicaId: asReplicaId(1), nodeId: asNodeId(2), role: 'voter' as const }]
    expect(
      textOf(
        entry(1, EMPTY_BYTES, ENTRY_NOOP),
        entry(2, encodeMembership({ members }), ENTRY_MEMBERSHIP),
        entry(3, payload(EMPTY_BYTES, PAYLOAD_TICK)),
        entry(4, Uint8Array.of(9)),
      ),
    ).toEqual([
      '# 1 no-op of term 2',
      '# 2 membership 1@2 voter',
      '# 3 tick 1234',
      '# 4 cannot be decoded (command payload: unknown kind 9): "\\t"',
    ])
  })

  it('escapes quotes, control characters and what is not UTF-8', () => {
    expect(quote(utf8Bytes('say "hi"\\'))).toBe('"say \\"hi\\"\\\\"')
    expect(quote(utf8Bytes('a\n\r\t\u0001\u007f'))).toBe('"a\\n\\r\\t\\x01\\x7f"')
    expect(quote(utf8Bytes('键é😀'))).toBe('"键é😀"')
    expect(quote(Uint8Array.of(0xff, 0xc3, 0x28, 0xe4, 0xbd))).toBe('"\\xff\\xc3(\\xe4\\xbd"')
    // Overlong, surrogate, beyond U+10FFFF.
    expect(quote(Uint8Array.of(0xc0, 0x80))).toBe('"\\xc0\\x80"')
    expect(quote(Uint8Array.of(0xed, 0xa0, 0x80))).toBe('"\\xed\\xa0\\x80"')
    expect(quote(Uint8Array.of(0xf4, 0x90, 0x80, 0x80))).toBe('"\\xf4\\x90\\x80\\x80"')
    expect(quote(utf8Bytes('\u0085\u2028'))).toBe('"\\u0085\\u2028"')
  })
})

function dump(world: WalWorld, directory = 'node/wal'): { lines: string[]; result: DumpResult } {
  const lines: string[] = []
  let result: DumpResult | null = null
  dumpLog(
    world.disk,
    directory,
    (line) => lines.push(line),
    (given) => {
      result = given
    },
  )
  for (let i = 0; i < 10_000 && result === null; i++) world.scheduler.step()
  return { lines, result: present<DumpResult>(result, 'the dump did not end') }
}

describe('dumpLog', () => {
  function filled(): WalWorld {
    const world = new WalWorld(1)
    world.reopen()
    const group = asGroupId(2)
    const hardState = { term: asTerm(2), votedFor: asReplicaId(7), commit: asLogIndex(1) }
    const entries = [entry(1, payload(commandBytes('set', 'a', 'b'))), entry(2, payload(commandBytes('del', 'a')))]
    world.append({ group, replicaId: asReplicaId(7), hardState, entries })
    world.append({ group, compaction: { index: asLogIndex(1), term: asTerm(2) } })
    world.append({ group: asGroupId(0), replicaId: asReplicaId(1) })
    world.flushNow()
    return world
  }
  const expected = [
    '# group 0 replica 1 term 0 vote 0 commit 0 compacted 0 base 0 last 0',
    '# group 2 replica 7 term 2 vote 7 commit 1 compacted 1 base 0 last 2',
    'put "a" "b" "0" "1"',
    'delete "a" "0" "2"',
  ]

  it('shows every group of a running log, the compacted entries that are still there too, and changes nothing', () => {
    const world = filled()
    world.run(300)
    const contents = (): string[] => [...world.disk.snapshot()].map(([path, file]) => `${path} ${crc32c(file)}`)
    const before = contents()
    expect(dump(world)).toEqual({ lines: expected, result: { kind: 'done' } })
    expect(contents()).toEqual(before)
  })

  it('shows what a crash left', () => {
    const world = filled()
    world.end('crash')
    expect(dump(world)).toEqual({ lines: expected, result: { kind: 'done' } })
  })

  it('shows a damaged log as far as it goes, and fails', () => {
    const world = filled()
    world.run(300)
    world.disk.flipBit('node/wal/segment-0000000000000001.wal', 2 * 4096 + 100)
    const { lines, result } = dump(world)
    expect(lines.at(-1)).toContain('# the log is damaged')
    expect(result.kind).toBe('failed')
  })

  it('fails where there is no log', () => {
    expect(dump(filled(), 'node/other').result).toEqual({ kind: 'failed', message: 'node/other: there is no log' })
  })
})
