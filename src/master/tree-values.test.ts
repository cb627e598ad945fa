import { expect, test } from 'vitest'
import { asGroupId, asNodeId, asSlotId } from '../base/brand.ts'
import { DecodeError, latin1Bytes } from '../base/bytes.ts'
import { METADATA_LIMITS } from '../protocol/metadata-operation.ts'
import { fenceOf, nodeIdOf, reconfigIdOf } from './cluster-epoch.ts'
import { genesisMembers } from './cluster-genesis.ts'
import { decodeMigrations, encodeMigrations } from './cluster-snapshot.ts'
import { decodeBucket, encodeBucket, type Reconfig } from './reconfig.ts'
import {
  decodeGenesis,
  decodeGroup,
  decodeNode,
  decodeReport,
  encodeGenesis,
  encodeGroup,
  encodeNode,
  encodeReport,
} from './registrations.ts'
import { decodeSlotTable, encodeSlotTable, tableRanges } from './slot-table.ts'
import { BUCKET_SIZE, MAX_RUNS } from './tree-layout.ts'

const RECONFIG: Reconfig = {
  reconfigId: 33,
  source: asGroupId(1),
  destination: asGroupId(2),
  slots: [
    { first: asSlotId(0), last: asSlotId(3), predecessor: 0 },
    { first: asSlotId(4), last: asSlotId(4), predecessor: 12 },
  ],
  byWeight: true,
  status: 'begun',
  callOff: 'cancel',
  reason: 'an operator’s "word"',
  isClean: false,
}

test('what is written is read back', () => {
  expect(decodeBucket(1, encodeBucket([RECONFIG]))).toEqual([RECONFIG])
  const members = genesisMembers(0, [1, 2].map(asNodeId))
  const group = { weight: 3, draining: true, members, nextReplica: 3 }
  expect(decodeGroup(asGroupId(1), encodeGroup(group))).toEqual(group)
  const genesis = {
    slots: [
      [0, 5],
      [7, 7],
    ] as const,
    replicas: members.map((member, i) => ({ ...member, made: i === 1 })),
  }
  expect(decodeGenesis(asGroupId(1), encodeGenesis(genesis))).toEqual(genesis)
  const learners = genesisMembers(1, [asNodeId(9)])
  const report = { index: 7, members, learners, leader: asNodeId(1) }
  expect(decodeReport(asGroupId(1), encodeReport(report))).toEqual(report)
  const node = { peer: 'a:1', resp: 'b:2', cluster: 'c:3', roles: ['master', 'worker'], leaving: true } as const
  expect(decodeNode(asNodeId(1), encodeNode(node))).toEqual(node)
  const index = { last: 40, first: 0, open: [0, 1] }
  expect(decodeMigrations(encodeMigrations(index))).toEqual(index)
})

test('the slot table in runs: 16384 slots that alternate fit one node, and neighbours are one run', () => {
  const groups = Array.from({ length: 16384 }, (_, slot) => asGroupId(1 + (slot % 2)))
  const reconfigIds = groups.map((_, slot) => slot * 3)
  const worst = encodeSlotTable({ version: 9, groups, reconfigIds })
  expect(worst.length).toBeLessThan(METADATA_LIMITS.maxDataBytes / 4)
  expect(decodeSlotTable(worst)).toEqual({ version: 9, groups, reconfigIds })
  const even = { version: 1, groups: groups.map(() => asGroupId(1)), reconfigIds: groups.map(() => 0) }
  expect(encodeSlotTable(even).length).toBe(27)
  expect(tableRanges([1, 1, 2, 1].map(asGroupId))).toEqual([
    { range: [0, 1], group: 1 },
    { range: [2, 2], group: 2 },
    { range: [3, 3], group: 1 },
  ])
})

test('the largest bucket and the largest table fit one write', () => {
  const slots = Array.from({ length: MAX_RUNS }, (_, i) => {
    return { first: asSlotId(15000 + 2 * i), last: asSlotId(15000 + 2 * i), predecessor: 2 ** 29 - 1 }
  })
  const bucket = encodeBucket(
    Array.from({ length: BUCKET_SIZE }, (_, i) => ({ ...RECONFIG, reconfigId: 32 + i, slots })),
  )
  expect(bucket.length).toBeLessThan(600 * 1024)
  expect(bucket.length + 230 * 1024 + 16 * 1024).toBeLessThan(METADATA_LIMITS.maxMultiBytes)
})

test('malformed data is refused, and named', () => {
  const refused = (read: () => unknown, message: RegExp): void => {
    expect(read).toThrow(DecodeError)
    expect(read).toThrow(message)
  }
  refused(() => decodeGroup(asGroupId(3), latin1Bytes('{')), /\/kv\/workers\/3: not JSON/)
  refused(() => decodeGroup(asGroupId(3), latin1Bytes('[]')), /no object/)
  refused(() => decodeGroup(asGroupId(3), latin1Bytes('{"v":2}')), /layout 2/)
  refused(() => decodeGroup(asGroupId(3), latin1Bytes('{"v":1,"members":[],"weight":-1}')), /weight/)
  const twice = '{"v":1,"weight":1,"members":[{"node":1,"replica":1},{"node":1,"replica":2}]}'
  refused(() => decodeGroup(asGroupId(3), latin1Bytes(twice)), /member twice/)
  refused(() => decodeGroup(asGroupId(0), latin1Bytes('{"v":1,"members":[{"node":1}]}')), /masters.group.*replica/)
  for (const slots of ['[0]', '[3,2]', '[0,1,1,4]']) {
    refused(() => decodeGenesis(asGroupId(3), latin1Bytes(`{"v":1,"slots":${slots},"replicas":[]}`)), /rising ranges/)
  }
  refused(() => decodeNode(asNodeId(1), latin1Bytes('{"v":1,"roles":["king"]}')), /king/)
  refused(() => decodeBucket(0, encodeBucket([RECONFIG])), /not of this bucket/)
  refused(() => decodeBucket(1, encodeBucket([RECONFIG, RECONFIG])), /out of order/)
  refused(() => decodeBucket(1, encodeBucket([{ ...RECONFIG, slots: [] }])), /no runs/)
  refused(() => decodeBucket(1, encodeBucket([{ ...RECONFIG, slots: [...RECONFIG.slots].reverse() }])), /run of slots/)
  const table = encodeSlotTable({ version: 1, groups: [1, 2].map(asGroupId), reconfigIds: [0, 0] })
  for (let length = 0; length < table.length; length++) refused(() => decodeSlotTable(table.slice(0, length)), /./)
  // Every single byte that is changed is either refused or means another table.
  for (let at = 0; at < table.length; at++) {
    const changed = table.slice()
    changed[at] ^= 0xff
    try {
      expect(decodeSlotTable(changed)).not.toEqual(decodeSlotTable(table))
    } catch (error) {
      expect(error).toBeInstanceOf(DecodeError)
    }
  }
})

test('the cluster epoch is the high part of every id', () => {
  expect(reconfigIdOf(0, 1)).toBe(1)
  expect(reconfigIdOf(1, 0)).toBeGreaterThan(reconfigIdOf(0, 2 ** 24 - 1))
  expect(nodeIdOf(31, 1)).toBeLessThan(2 ** 32)
  expect(Number.isSafeInteger(fenceOf(31, 2 ** 48 - 1))).toBe(true)
  expect(fenceOf(1, 1)).toBeGreaterThan(fenceOf(0, 2 ** 48 - 1))
  expect(() => reconfigIdOf(32, 0)).toThrow(/out of room/)
})
