/**
 * DEL, EXISTS, MGET and MSET over several slots: one part a slot, all at once, the replies joined. Not atomic across slots. A part whose outcome is unknown
 * makes the whole reply `-UNCERTAIN`; else the first error of a part is the reply. Keys in one slot go as one request, which is atomic.
 */
import { assert, present } from '../../base/assert.ts'
import { asSlotId, type SlotId } from '../../base/brand.ts'
import { latin1Bytes } from '../../base/bytes.ts'
import { slotOf } from '../../base/slot.ts'
import {
  arrayElements,
  arrayReply,
  errorReply,
  hasErrorCode,
  integerOf,
  integerReply,
  isErrorReply,
  OK_REPLY,
} from '../../protocol/resp-reply.ts'
import type { RespConnection } from './connection.ts'
import type { Door, DoorCommand } from './door.ts'
import type { ReplySink, Request } from './request.ts'
import { commonSlot, refusalOf, SEVERAL_SLOTS, submitWhole } from './single-slot.ts'

const UNCERTAIN = latin1Bytes('-UNCERTAIN')

export function runFanOut(door: Door, connection: RespConnection, command: DoorCommand): boolean {
  const words = connection.words
  const refusal = refusalOf(door, command, words)
  if (refusal !== null) {
    connection.answer(refusal)
    return true
  }
  const slot = commonSlot(command, words, door.router.slotCount)
  if (slot !== SEVERAL_SLOTS) {
    submitWhole(door, connection, command, asSlotId(slot))
    return true
  }
  const parts = split(command, connection, door.router.slotCount)
  const joiner = new PartJoiner(
    connection,
    connection.openKeepingWords(),
    command,
    [...parts.values()],
    words.wordCount - 1,
  )
  let part = 0
  for (const [partSlot, picked] of parts) {
    connection.submitPart(
      asSlotId(partSlot),
      command.write,
      door.builder.buildPicked(command.spec.opcode, words, picked),
      joiner,
      part++,
    )
  }
  return true
}

/** Word indexes by slot, each key followed by what belongs to it, in the order of the request. */
function split(command: DoorCommand, connection: RespConnection, slotCount: number): Map<SlotId, number[]> {
  const { args, offsets, wordCount } = connection.words
  const { firstKey, keyStep } = command.spec
  const parts = new Map<SlotId, number[]>()
  for (let i = firstKey; i < wordCount; i += keyStep) {
    const slot = slotOf(args, slotCount, offsets[2 * i], offsets[2 * i + 1])
    let picked = parts.get(slot)
    if (picked === undefined) {
      picked = []
      parts.set(slot, picked)
    }
    for (let word = i; word < i + keyStep; word++) picked.push(word)
  }
  return parts
}

class PartJoiner implements ReplySink {
  readonly #connection: RespConnection
  readonly #whole: Request
  readonly #command: DoorCommand
  readonly #picked: readonly (readonly number[])[]
  readonly #keyCount: number
  readonly #replies: Uint8Array[]
  #left: number

  constructor(
    connection: RespConnection,
    whole: Request,
    command: DoorCommand,
    picked: readonly (readonly number[])[],
    keyCount: number,
  ) {
    assert(picked.length > 1, 'PartJoiner: one part needs no joining')
    this.#connection = connection
    this.#whole = whole
    this.#command = command
    this.#picked = picked
    this.#keyCount = keyCount
    this.#replies = new Array<Uint8Array>(picked.length)
    this.#left = picked.length
  }

  onReply(part: number, reply: Uint8Array): void {
    assert(this.#replies[part] === undefined && this.#left > 0, 'PartJoiner: a part answered twice')
    this.#replies[part] = reply
    this.#left--
    if (this.#left === 0) this.#connection.settle(this.#whole, this.#join())
  }

  #join(): Uint8Array {
    const error = joinedError(this.#replies)
    if (error !== null) return error
    const name = this.#command.spec.name
    if (name === 'mset') return OK_REPLY
    return name === 'mget' ? this.#joinArrays() : sumOf(this.#replies)
  }

  #joinArrays(): Uint8Array {
    const values = new Array<Uint8Array>(this.#keyCount)
    for (let part = 0; part < this.#replies.length; part++) {
      const elements = present(arrayElements(this.#replies[part]), 'MGET: a part that is no array')
      const picked = this.#picked[part]
      assert(elements.length === picked.length, 'MGET: a part with another number of values than keys')
      for (let i = 0; i < picked.length; i++) values[picked[i] - 1] = elements[i]
    }
    return arrayReply(values)
  }
}

/** An unknown outcome before any other error, then the first. */
export function joinedError(replies: readonly Uint8Array[]): Uint8Array | null {
  let first: Uint8Array | null = null
  for (const reply of replies) {
    if (!isErrorReply(reply)) continue
    if (hasErrorCode(reply, UNCERTAIN)) return reply
    first ??= reply
  }
  return first
}

export function sumOf(replies: readonly Uint8Array[]): Uint8Array {
  let sum = 0
  for (const reply of replies) {
    const value = integerOf(reply)
    if (value === null) return errorReply('ERR a part of the request was answered with something that is no number')
    sum += value
  }
  return integerReply(sum)
}
