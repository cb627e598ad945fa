/**
 * FLUSHALL (FLUSHDB) and DBSIZE: one part for every slot, a bounded number at a time. They stand alone on their connection: earlier requests are answered
 * first, later ones are read afterwards, so that order holds in every slot although the parts start one after another.
 */
import { present } from '../../base/assert.ts'
import { asSlotId } from '../../base/brand.ts'
import { encodeCommand } from '../../protocol/command.ts'
import { COMMANDS_BY_NAME } from '../../protocol/command-table.ts'
import { isErrorReply, OK_REPLY } from '../../protocol/resp-reply.ts'
import type { RespConnection } from './connection.ts'
import type { Door, DoorCommand } from './door.ts'
import { SYNTAX_ERROR } from './errors.ts'
import { joinedError, sumOf } from './fan-out.ts'
import type { ReplySink, Request } from './request.ts'
import { wordLower } from './words.ts'

const MAX_PARTS_AT_ONCE = 128
const FLUSH_OPCODE = present(COMMANDS_BY_NAME.get('flushall'), 'no flushall in the command table').opcode

/** FLUSHDB too: there is one database. */
export function runFlushAll(door: Door, connection: RespConnection): boolean {
  const words = connection.words
  const mode = words.wordCount === 2 ? wordLower(words, 1) : ''
  if (words.wordCount > 2 || (words.wordCount === 2 && mode !== 'async' && mode !== 'sync')) {
    connection.answer(SYNTAX_ERROR)
    return true
  }
  return runOverAllSlots(door, connection, FLUSH_OPCODE, true)
}

export function runDbSize(door: Door, connection: RespConnection, command: DoorCommand): boolean {
  return runOverAllSlots(door, connection, command.spec.opcode, false)
}

function runOverAllSlots(door: Door, connection: RespConnection, opcode: number, write: boolean): boolean {
  if (connection.pendingCount > 0) return false
  new AllSlots(door, connection, opcode, write).start()
  return true
}

class AllSlots implements ReplySink {
  readonly #connection: RespConnection
  readonly #write: boolean
  readonly #whole: Request
  readonly #bytes: Uint8Array
  readonly #replies: Uint8Array[] = []
  readonly #slotCount: number
  readonly #cluster: Door['cluster']
  #nextSlot = 0
  #outstanding = 0
  #failed = false

  constructor(door: Door, connection: RespConnection, opcode: number, write: boolean) {
    this.#connection = connection
    this.#write = write
    this.#whole = connection.openKeepingWords()
    this.#bytes = encodeCommand(opcode, [])
    this.#slotCount = door.router.slotCount
    this.#cluster = door.cluster
  }

  start(): void {
    this.#connection.beginExclusive(this.#whole)
    this.#fill()
    if (this.#outstanding === 0) this.#settle()
  }

  onReply(_part: number, reply: Uint8Array): void {
    this.#outstanding--
    this.#replies.push(reply)
    // What is asked for cannot be had any more: waiting out a deadline for each of the other slots would help nobody.
    if (isErrorReply(reply)) this.#failed = true
    if (!this.#failed) this.#fill()
    if (this.#outstanding === 0) this.#settle()
  }

  #settle(): void {
    const error = joinedError(this.#replies)
    this.#connection.settle(this.#whole, error ?? (this.#write ? OK_REPLY : sumOf(this.#replies)))
  }

  #fill(): void {
    while (this.#outstanding < MAX_PARTS_AT_ONCE && this.#nextSlot < this.#slotCount) {
      const slot = asSlotId(this.#nextSlot++)
      // On the port that speaks Redis Cluster a node answers for what it leads.
      if (this.#cluster !== null && !this.#cluster.leads(slot)) continue
      this.#outstanding++
      this.#connection.submitPart(slot, this.#write, this.#bytes, this, slot)
    }
  }
}
