/** Is a node serving? Asked of the node as a client would ask it, so that the answer is the thing itself: one linearizable read of each group. */
import { setTimeout as delay } from 'node:timers/promises'
import { present } from '../base/assert.ts'
import { asSlotId } from '../base/brand.ts'
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
  const groups = host.identity?.groups ?? []
  const answers = await Promise.all(groups.map(({ slots: [[first]] }) => whenSlotServed(host, first, givenUp)))
  return answers.every((served) => served)
}

async function whenSlotServed(host: NodeHost, slot: number, givenUp: Promise<void>): Promise<boolean> {
  const over = Promise.race([host.ended, givenUp]).then(() => null)
  for (;;) {
    const answered = new Promise<Uint8Array>((answer) => {
      host.run((node) => node.router.read(asSlotId(slot), QUESTION, 'linearizable', false, answer))
    })
    const reply = await Promise.race([answered, over])
    if (reply === null) return false
    if (reply[0] !== ERROR_SIGN) return true
    await delay(ASK_AGAIN_MS)
  }
}
