// Messages to a node that does not lead the group, and such as nobody can read.
import { expect, it } from 'vitest'
import { asLogIndex, asNodeId, asSlotId, type NodeId } from '../../base/brand.ts'
import { SILENT_LOGGER } from '../../ports/logger.ts'
import {
  decodeMigrationMessage,
  encodeMigrationMessage,
  type MigrationMessage,
} from '../../protocol/migration-message.ts'
import { MIGRATION_TYPE } from '../../protocol/node-call.ts'
import { Scheduler } from '../../simulation/scheduler.ts'
import { SimClock } from '../../simulation/sim-clock.ts'
import { GroupMoves } from './group-moves.ts'
import { DESTINATION, SOURCE } from './moves-world.testkit.ts'

const SELF = asNodeId(1)
const ASKER = asNodeId(2)
const ASK: MigrationMessage = {
  type: 'ask',
  toGroup: SOURCE,
  fromGroup: DESTINATION,
  reconfigId: 7,
  requestId: 9,
  asked: 'source',
  own: { kind: 'staging', disableIndex: asLogIndex(0) },
  slots: [asSlotId(1)],
}

function bytesOf(message: MigrationMessage): Uint8Array {
  return new Uint8Array([MIGRATION_TYPE, ...encodeMigrationMessage(message)])
}

function withoutReplicas(leader: NodeId | null) {
  const sent: [NodeId, MigrationMessage][] = []
  const scheduler = new Scheduler(1)
  const warnings: string[] = []
  const moves = new GroupMoves(
    {
      self: SELF,
      clock: new SimClock(scheduler, { label: 'node' }),
      logger: { ...SILENT_LOGGER, warn: (event) => warnings.push(event) },
      replica: () => undefined,
      send: (to, bytes) => {
        expect(bytes[0]).toBe(MIGRATION_TYPE)
        sent.push([to, decodeMigrationMessage(bytes.subarray(1))])
        return true
      },
      knowNode: () => {},
      leaderOf: () => leader,
      addressOf: (node) => `host-${node}:7000`,
    },
    { maxStageBytes: 1_000, bytesPerSecond: 0 },
  )
  return { moves, sent, scheduler, warnings }
}

const REDIRECT = { type: 'redirect', toGroup: DESTINATION, fromGroup: SOURCE, reconfigId: 7, requestId: 9 } as const

it('says who leads, where it knows, and never itself', () => {
  const known = withoutReplicas(asNodeId(3))
  known.moves.onMessage(ASKER, bytesOf(ASK))
  const leader = { nodeId: asNodeId(3), address: 'host-3:7000' }
  expect(known.sent).toEqual([[ASKER, { ...REDIRECT, leader }]])
  for (const unknown of [withoutReplicas(null), withoutReplicas(SELF)]) {
    unknown.moves.onMessage(ASKER, bytesOf(ASK))
    expect(unknown.sent).toEqual([[ASKER, { ...REDIRECT, leader: null }]])
    // What asks for nothing gets nothing.
    unknown.moves.onMessage(ASKER, bytesOf({ ...REDIRECT, leader: null }))
    expect(unknown.sent.length).toBe(1)
  }
})

it('passes over what does not decode', () => {
  const { moves, sent, warnings } = withoutReplicas(null)
  const whole = bytesOf(ASK)
  for (let length = 1; length < whole.length; length++) moves.onMessage(ASKER, whole.subarray(0, length))
  moves.onMessage(ASKER, new Uint8Array([MIGRATION_TYPE, 99]))
  expect(warnings.length).toBe(whole.length)
  expect(sent).toEqual([])
  moves.onMessage(ASKER, whole)
  expect(sent.length).toBe(1)
})

it('sends to its own node as an event of its own', () => {
  const { moves, sent, scheduler } = withoutReplicas(null)
  moves.onMessage(SELF, bytesOf(ASK))
  // The redirect has come back to where the question came from: here, where nobody waits for it.
  scheduler.runUntil(10)
  expect(sent).toEqual([])
  moves.stop()
  moves.onMessage(ASKER, bytesOf(ASK))
  expect(sent).toEqual([])
})
