/** Commands on one slot: the hot path. Limits and syntax are checked here, before anything is proposed. */
import { asSlotId, type SlotId } from '../../base/brand.ts'
import { slotOf } from '../../base/slot.ts'
import { checkSyntax } from '../../kv/commands/index.ts'
import type { RequestWords } from '../../protocol/resp-parser.ts'
import { errorReply } from '../../protocol/resp-reply.ts'
import type { RespConnection } from './connection.ts'
import type { Door, DoorCommand } from './door.ts'
import { CROSS_SLOT, keyTooLong, valueTooLong } from './errors.ts'
import { wordViews } from './words.ts'

/** Type, length, version and checksum around a string in a DUMP. */
const RDB_WRAPPING_BYTES = 32

export function runSingleSlot(door: Door, connection: RespConnection, command: DoorCommand): boolean {
  const words = connection.words
  const refusal = refusalOf(door, command, words)
  if (refusal !== null) {
    connection.answer(refusal)
    return true
  }
  const { slotCount } = door.router
  const { firstKey, lastKey } = command.spec
  const slot =
    firstKey === lastKey
      ? slotOf(words.args, slotCount, words.offsets[2 * firstKey], words.offsets[2 * firstKey + 1])
      : commonSlot(command, words, slotCount)
  if (slot === SEVERAL_SLOTS) connection.answer(CROSS_SLOT)
  else submitWhole(door, connection, command, asSlotId(slot))
  return true
}

/** The whole command goes to one slot; its reply is the router's. */
export function submitWhole(door: Door, connection: RespConnection, command: DoorCommand, slot: SlotId): void {
  const request = connection.open()
  request.slot = slot
  request.write = command.write
  request.level = connection.client.readLevel
  request.command = door.builder.build(command.spec.opcode, connection.words, 1)
  connection.submit(request)
}

/** Why the request cannot be proposed, as a reply; null: nothing is wrong with it. */
export function refusalOf(door: Door, command: DoorCommand, words: RequestWords): Uint8Array | null {
  const tooLong = lengthRefusal(door, command, words)
  if (tooLong !== null) return tooLong
  if (command.uncheckedWords === 0 || command.uncheckedWords === words.wordCount) return null
  const problem = checkSyntax(command.spec.opcode, wordViews(words, 1), door.options)
  return problem === null ? null : errorReply(problem)
}

export function lengthRefusal(door: Door, command: DoorCommand, words: RequestWords): Uint8Array | null {
  const { offsets, wordCount } = words
  const { maxKeyBytes, maxValueBytes } = door.options
  // All words together are shorter than one may be: the usual case.
  if (wordCount < 2 || offsets[2 * wordCount - 1] - offsets[2] <= Math.min(maxKeyBytes, maxValueBytes)) return null
  const { firstKey, lastKey, keyStep } = command.spec
  const last = lastKey < 0 ? wordCount + lastKey : lastKey
  // What RESTORE is given is a value in its wrapping; the value itself is looked at when that has been taken off.
  const longest = command.spec.name === 'restore' ? maxValueBytes + RDB_WRAPPING_BYTES : maxValueBytes
  for (let i = 1; i < wordCount; i++) {
    const length = offsets[2 * i + 1] - offsets[2 * i]
    const isKey = firstKey > 0 && i >= firstKey && i <= last && (i - firstKey) % keyStep === 0
    if (isKey && length > maxKeyBytes) return keyTooLong(length, maxKeyBytes)
    if (length > longest) return valueTooLong(length, maxValueBytes)
  }
  return null
}

/** The one slot of all the command's keys; -1: it has none; -2: they lie in several. */
export function commonSlot(command: DoorCommand, words: RequestWords, slotCount: number): number {
  const { firstKey, lastKey, keyStep } = command.spec
  if (firstKey === 0) return NO_SLOT
  const last = lastKey < 0 ? words.wordCount + lastKey : lastKey
  let slot = NO_SLOT
  for (let i = firstKey; i <= last; i += keyStep) {
    const own = slotOf(words.args, slotCount, words.offsets[2 * i], words.offsets[2 * i + 1])
    if (slot !== NO_SLOT && slot !== own) return SEVERAL_SLOTS
    slot = own
  }
  return slot
}

export const NO_SLOT = -1
export const SEVERAL_SLOTS = -2
