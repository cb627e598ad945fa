// A refusal that is lost on its way: the read that was called behind the write must not be answered before it.
import { expect, it } from 'vitest'
import { present } from '../base/assert.ts'
import { asGroupId, asNodeId, asSlotId } from '../base/brand.ts'
import { BytesReader, latin1Bytes, latin1Text } from '../base/bytes.ts'
import { encodeCommand } from '../protocol/command.ts'
import { COMMANDS_BY_NAME } from '../protocol/command-table.ts'
import { decodeRequestMessage, OUTCOME_REPLY, REQUEST_WRITE } from '../protocol/request-message.ts'
import { Scheduler } from '../simulation/scheduler.ts'
import { SimClock } from '../simulation/sim-clock.ts'
import { Router } from './request-router.ts'

const GROUP = asGroupId(1)
const LEADER = asNodeId(2)
const SLOT = asSlotId(0)

function command(...words: string[]): Uint8Array {
  return encodeCommand(present(COMMANDS_BY_NAME.get(words[0]), words[0]).opcode, words.slice(1).map(latin1Bytes))
}

/** A leader whose disk is full for the first write; its refusal does not arrive. Returns the replies in the order in which they came. */
function run(refusalIsLost: boolean): string[] {
  const scheduler = new Scheduler(1)
  const replies: string[] = []
  let isFull = true
  let value = 'nothing'
  const answer = (bytes: Uint8Array): void => {
    const message = decodeRequestMessage(new BytesReader(bytes))
    if (message.type !== 'request') throw new Error('not a request')
    let reply = `+${value}\r\n`
    if (message.kind === REQUEST_WRITE) {
      reply = isFull ? '-DISKFULL no room\r\n' : '+OK\r\n'
      if (!isFull) value = 'set'
      const isLost = isFull && refusalIsLost
      isFull = false
      if (isLost) return
    }
    const { group, epoch, id } = message
    router.onResponse({
      type: 'response',
      group,
      epoch,
      id,
      outcome: OUTCOME_REPLY,
      leader: LEADER,
      reply: latin1Bytes(reply),
    })
  }
  const channel = {
    send: (_to: number, _lane: number, bytes: Uint8Array) => {
      const copy = bytes.slice()
      scheduler.after(1, 'message', () => answer(copy))
      return true
    },
    flush: () => {},
    isConnected: () => true,
    queuedBytes: () => 0,
  }
  const options = { self: asNodeId(1), slotCount: 1, incarnation: 1, requestDeadlineMs: 30_000 }
  const bounds = { maxUnanswered: 100, maxUnansweredBytes: 1 << 20, maxCommandBytes: 1 << 16 }
  const groups = {
    groupOf: () => GROUP,
    replica: () => undefined,
    nodesOf: () => [LEADER],
    epochOf: () => 0,
    learned: () => {},
    doubted: () => {},
  }
  const router = new Router(
    { ...options, ...bounds },
    new SimClock(scheduler, { label: 'router' }),
    channel,
    groups,
    () => {},
  )
  router.start()
  const heard = (reply: Uint8Array): number => replies.push(latin1Text(reply).trim())
  router.write(SLOT, command('set', 'k', 'v'), heard)
  router.read(SLOT, command('get', 'k'), 'linearizable', true, heard)
  scheduler.runUntil(20_000)
  router.stop()
  return replies
}

it('a read waits for the write before it, whatever became of the first refusal', () => {
  expect(run(false)).toEqual(['-DISKFULL no room', '+nothing'])
  expect(run(true)).toEqual(['+OK', '+set'])
})
