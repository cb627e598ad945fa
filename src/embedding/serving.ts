/** Is a node serving? Asked of the node as a client would ask it, so that the answer is the thing itself: one linearizable read of each group. And the
 * masters, where they are on this node, have a leader. */
import { setTimeout as delay } from 'node:timers/promises'
import { present } from '../base/assert.ts'
import { asSlotId, type GroupId, type SlotId } from '../base/brand.ts'
import { MASTERS_GROUP } from '../master/tree-layout.ts'
import { encodeCommand } from '../protocol/command.ts'
import { COMMANDS_BY_NAME } from '../protocol/command-table.ts'
import type { NodeHost } from './node-host.ts'

/** It needs no key, so it runs on any slot, and reads counters only. */
const QUESTION = encodeCommand(present(COMMANDS_BY_NAME.get('dbsize'), 'DBSIZE is a command').opcode, [])
const ERROR_SIGN = 0x2d
/** After a refusal. The node answers none before it has tried for a whole request deadline. */
const ASK_AGAIN_MS = 10

/** Resolves to true once a linearizable read of every group has been answered through this node; to false when it ends or `givenUp` resolves. */
export async function whenServing(host: NodeHost, givenUp: Promise<void>): Promise<boolean> {
  const over = Promise.race([host.ended, givenUp]).then(() => null)
  const answers = await Promise.all([
    whenMastersLed(host, over),
    ...slotOfEachGroup(host).map((slot) => whenSlotServed(host, slot, over)),
  ])
  return answers.every((served) => served)
}

/** Of each group that has slots, as this node knows it. */
function slotOfEachGroup(host: NodeHost): readonly SlotId[] {
  const slots = new Map<GroupId, SlotId>()
  host.run(({ view }) => {
    for (let slot = 0; slot < view.slotCount; slot++) {
      const group = view.groupOf(asSlotId(slot))
      if (!slots.has(group)) slots.set(group, asSlotId(slot))
    }
  })
  return [...slots.values()]
}

async function whenMastersLed(host: NodeHost, over: Promise<null>): Promise<boolean> {
  for (;;) {
    const masters = host.node?.replica(MASTERS_GROUP)
    if (host.node !== null && (masters === undefined || masters.leaderNode !== null)) return true
    if ((await Promise.race([delay(ASK_AGAIN_MS, true), over])) === null) return false
  }
}

async function whenSlotServed(host: NodeHost, slot: SlotId, over: Promise<null>): Promise<boolean> {
  for (;;) {
    const answered = new Promise<Uint8Array>((answer) => {
      host.run((node) => node.router.read(slot, QUESTION, 'linearizable', false, answer))
    })
    const reply = await Promise.race([answered, over])
    if (reply === null) return false
    if (reply[0] !== ERROR_SIGN) return true
    await delay(ASK_AGAIN_MS)
  }
}
