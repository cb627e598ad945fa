/**
 * OPCODE_SCAN: what SCAN, KEYS and RANDOMKEY ask a group for. From (the request's slot, position) on it looks at keys in (slot, hash) order,
 * over all following slots as long as this group owns them.
 *
 *   arguments := position | how many keys to look at | [glob pattern | [type]]         as decimal text and bytes
 *   reply     := [next slot, next position, [keys that match and have not expired]]
 *
 * The next slot is the slot count once the last slot is done. Keys with equal hashes are never split, so a few more than asked for
 * may be looked at. Where the next slot is another group's, the walk goes on there from position 0.
 */
import { assert } from '../../base/assert.ts'
import { asSlotId } from '../../base/brand.ts'
import { globMatches } from '../../base/glob.ts'
import { SCAN_END, type ScanPosition } from '../../ports/key-space.ts'
import { arrayReply, bulkReply, integerReply } from '../../protocol/resp-reply.ts'
import { parseInteger } from '../integer-text.ts'
import { type CommandHandler, isWord, NOT_AN_INTEGER } from './handler.ts'

/** Keys that one query looks at, and slots without any key that it passes by: both bound its time on the event loop. */
const MAX_KEYS = 4096
const POSITIONS = 2 ** 48
/** Beyond, the reply is long enough. */
const MAX_KEY_BYTES = 1024 * 1024

function numberIn(text: Uint8Array, min: number, max: number): number | null {
  const value = parseInteger(text)
  return value === null || value < min || value > max ? null : Number(value)
}

export const SCAN_SLOTS: CommandHandler = {
  checkSyntax: (args) =>
    numberIn(args[0], 0, POSITIONS - 1) === null || numberIn(args[1], 1, MAX_KEYS) === null ? NOT_AN_INTEGER : null,
  execute(context, args) {
    const { slotCount } = context.slots
    const limit = numberIn(args[1], 1, MAX_KEYS)
    let position: ScanPosition | null = numberIn(args[0], 0, POSITIONS - 1)
    assert(limit !== null && position !== null, 'scan ran with a syntax error')
    const pattern = args.length > 2 ? args[2] : null
    // Every value is a string.
    const shown = args.length < 4 || isWord(args[3], 'string')
    const keys: Uint8Array[] = []
    let looked = 0
    let bytes = 0
    let slot: number = context.slot
    while (slot < slotCount && context.slots.owns(slot)) {
      position = context.scan(asSlotId(slot), position, limit - looked, (key, visible) => {
        looked++
        if (!visible || !shown || (pattern !== null && !globMatches(pattern, key))) return
        keys.push(bulkReply(key))
        bytes += key.length
      })
      // It stops early where thousands of removed keys lie in between: enough work for once, too.
      if (position !== SCAN_END) break
      slot++
      position = 0
      if (context.mutations.scanSkipsSlot && looked >= limit) slot = Math.min(slot + 1, slotCount)
      if (looked >= limit || bytes > MAX_KEY_BYTES) break
    }
    return arrayReply([integerReply(slot), integerReply(position), arrayReply(keys)])
  },
}
