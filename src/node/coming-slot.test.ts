// A node that still believes a slot to be where it once was, while it is on its way back there: the owner of now is asked as soon as the table names it.
import { expect, it } from 'vitest'
import { present } from '../base/assert.ts'
import { asGroupId, asNodeId, asSlotId } from '../base/brand.ts'
import { BytesReader, latin1Bytes, latin1Text } from '../base/bytes.ts'
import { comingReply } from '../kv/refusals.ts'
import { encodeCommand } from '../protocol/command.ts'
import { COMMANDS_BY_NAME } from '../protocol/command-table.ts'
import { decodeRequestMessage, OUTCOME_REPLY } from '../protocol/request-message.ts'
import { Scheduler } from '../simulation/scheduler.ts'
import { SimClock } from '../simulation/sim-clock.ts'
import { Router } from './request-router.ts'
import { SlotRoutes } from './slot-routes.ts'

const [FORMER, OWNER] = [asGroupId(1), asGroupId(2)]
const SLOT = asSlotId(0)

it('the word of a group that a slot comes to does not stand before the table', () => {
  const scheduler = new Scheduler(1)
  const routes = new SlotRoutes([FORMER])
  let asked = 0
  const channel = {
    send: (_to: number, _lane: number, bytes: Uint8Array) => {
      const message = decodeRequestMessage(new BytesReader(bytes.slice()))
      if (message.type !== 'request') throw new Error('not a request')
      const { group, epoch, id } = message
      if (group === FORMER) asked++
      const reply = group === OWNER ? latin1Bytes('+OK\r\n') : comingReply(SLOT, 9)
      const response = { type: 'response', group, epoch, id, outcome: OUTCOME_REPLY, leader: asNodeId(group) } as const
      scheduler.after(1, 'message', () => router.onResponse({ ...response, reply }))
      return true
    },
    flush: () => {},
    isConnected: () => true,
    queuedBytes: () => 0,
  }
  const bounds = { maxUnanswered: 100, maxUnansweredBytes: 1 << 20, maxCommandBytes: 1 << 16 }
  const router = new Router(
    { self: asNodeId(9), slotCount: 1, incarnation: 1, requestDeadlineMs: 30_000, ...bounds },
    new SimClock(scheduler, { label: 'router' }),
    channel,
    {
      groupOf: (slot) => routes.groupOf(slot),
      replica: () => undefined,
      nodesOf: (group) => [asNodeId(group)],
      epochOf: (slot) => routes.epochOf(slot),
      learned: (slot, group, reconfigId, serves) => routes.learned(slot, group, reconfigId, serves),
      doubted: (slot) => routes.doubted(slot),
    },
    () => {},
  )
  router.start()
  const set = encodeCommand(present(COMMANDS_BY_NAME.get('set'), 'set').opcode, ['k', 'v'].map(latin1Bytes))
  let answer: string | null = null
  router.write(SLOT, set, (reply) => {
    answer = latin1Text(reply)
  })
  scheduler.runUntil(100)
  expect(asked).toBeGreaterThan(0)
  expect(answer).toBeNull()
  routes.publish(SLOT, OWNER, 4)
  scheduler.runUntil(1_000)
  expect(answer).toBe('+OK\r\n')
  router.stop()
})
