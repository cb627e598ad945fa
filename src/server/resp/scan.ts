/**
 * SCAN, KEYS, RANDOMKEY: walks over the keys of all slots in (slot, hash) order. Each step is one query (OPCODE_SCAN, kv/commands/scan.ts)
 * to the group that owns the slot at hand; it goes on over the group's following slots and says where the next step begins. They stand
 * alone on their connection, as DBSIZE does.
 *
 * SCAN's cursor is the place itself, slot * 2^48 + hash position: no node remembers anything, so any node and any leader goes on from
 * it, and Redis's promise holds: a key that is there from the first call to the last is returned, at least once.
 */
import { present } from '../../base/assert.ts'
import { asSlotId } from '../../base/brand.ts'
import { latin1Bytes } from '../../base/bytes.ts'
import type { Random } from '../../ports/random.ts'
import { encodeCommand } from '../../protocol/command.ts'
import { OPCODE_SCAN } from '../../protocol/command-table.ts'
import type { RequestWords } from '../../protocol/resp-parser.ts'
import {
  arrayElements,
  arrayReply,
  bulkText,
  errorReply,
  integerOf,
  isErrorReply,
  NULL_REPLY,
} from '../../protocol/resp-reply.ts'
import type { RespConnection } from './connection.ts'
import type { Door } from './door.ts'
import { SYNTAX_ERROR } from './errors.ts'
import type { ReplySink, Request } from './request.ts'
import { wordCopy, wordLower, wordText } from './words.ts'

/** A slot and a position in its hash order: OPCODE_SCAN's unit of progress. */
interface Place {
  readonly slot: number
  readonly position: number
}

interface Filter {
  readonly pattern: Uint8Array | null
  readonly type: Uint8Array | null
}

const POSITIONS = 2n ** 48n
const CURSOR_END = 2n ** 64n
const INVALID_CURSOR = errorReply('ERR invalid cursor')
const NOT_AN_INTEGER = errorReply('ERR value is not an integer or out of range')
const DEFAULT_COUNT = 10
/** Of one SCAN: where slots are spread over many groups and hold nothing, more would make the caller wait. */
const MAX_STEPS_OF_SCAN = 16
export const KEYS_PER_STEP = 2048
/** A step looks at no more keys than this, whatever COUNT says. */
const MAX_COUNT = 4096
/** RANDOMKEY chooses among so many neighbours: keys far from their predecessor are else chosen too often. */
const RANDOM_SAMPLE = 32
const FIRST_PLACE: Place = { slot: 0, position: 0 }
export const NO_FILTER: Filter = { pattern: null, type: null }

/** What a walk does with the keys of a step; it returns the whole reply, or where to go on. */
type StepTaken = (keys: readonly Uint8Array[], next: Place) => Uint8Array | Place

export class Walk implements ReplySink {
  readonly #connection: RespConnection
  readonly #whole: Request
  readonly #filter: Filter
  readonly #count: number
  readonly #taken: StepTaken

  constructor(connection: RespConnection, filter: Filter, count: number, taken: StepTaken) {
    this.#connection = connection
    this.#whole = connection.openKeepingWords()
    connection.beginExclusive(this.#whole)
    this.#filter = filter
    this.#count = count
    this.#taken = taken
  }

  /** There is nothing to walk over. */
  end(reply: Uint8Array): void {
    this.#connection.settle(this.#whole, reply)
  }

  step(from: Place): void {
    const { pattern, type } = this.#filter
    const args = [latin1Bytes(String(from.position)), latin1Bytes(String(this.#count))]
    if (pattern !== null || type !== null) args.push(pattern ?? latin1Bytes('*'))
    if (type !== null) args.push(type)
    this.#connection.submitPart(asSlotId(from.slot), false, encodeCommand(OPCODE_SCAN, args), this, 0)
  }

  onReply(_part: number, reply: Uint8Array): void {
    if (isErrorReply(reply)) {
      this.#connection.settle(this.#whole, reply)
      return
    }
    const [slot, position, keys] = present(arrayElements(reply), 'scan: a step that is no array')
    const next = {
      slot: present(integerOf(slot), 'scan: no next slot'),
      position: present(integerOf(position), 'scan: no next position'),
    }
    const outcome = this.#taken(present(arrayElements(keys), 'scan: keys that are no array'), next)
    if (outcome instanceof Uint8Array) this.#connection.settle(this.#whole, outcome)
    else this.step(outcome)
  }
}

/** On the port that speaks Redis Cluster a walk is over what this node leads: from there on. */
function nextHere({ cluster, router }: Door, place: Place): Place {
  if (cluster === null) return place
  let { slot } = place
  while (slot < router.slotCount && !cluster.leads(asSlotId(slot))) slot++
  return slot === place.slot ? place : { slot, position: 0 }
}

// --- SCAN -------------------------------------------------------------------------------------------------------

export function runScan(door: Door, connection: RespConnection): boolean {
  const { slotCount } = door.router
  const parsed = parseScan(connection.words)
  if (parsed instanceof Uint8Array) {
    connection.answer(parsed)
    return true
  }
  const asked = placeOf(parsed.cursor, slotCount)
  const from = asked === null ? null : nextHere(door, asked)
  if (from === null || from.slot >= slotCount) {
    connection.answer(scanReply(0n, []))
    return true
  }
  if (connection.pendingCount > 0) return false
  let steps = 0
  const walk = new Walk(connection, parsed.filter, parsed.count, (keys, next) => {
    steps++
    const place = nextHere(door, next)
    const cursor = cursorOf(place, slotCount)
    // Slots without keys are passed by here: an empty reply with a cursor helps nobody.
    return keys.length > 0 || cursor === 0n || steps === MAX_STEPS_OF_SCAN ? scanReply(cursor, keys) : place
  })
  walk.step(from)
  return true
}

interface ParsedScan {
  readonly cursor: bigint
  readonly count: number
  readonly filter: Filter
}

/** `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`, or the error to answer. */
function parseScan(words: RequestWords): ParsedScan | Uint8Array {
  const text = wordText(words, 1)
  const cursor = parseCursor(text)
  if (cursor === null) return INVALID_CURSOR
  let count = DEFAULT_COUNT
  let pattern: Uint8Array | null = null
  let type: Uint8Array | null = null
  for (let i = 2; i < words.wordCount; i += 2) {
    const option = wordLower(words, i)
    if (i + 1 === words.wordCount) return SYNTAX_ERROR
    if (option === 'count') {
      const wanted = wordText(words, i + 1)
      if (!/^(0|-?[1-9][0-9]{0,17})$/.test(wanted)) return NOT_AN_INTEGER
      if (Number(wanted) < 1) return SYNTAX_ERROR
      count = Math.min(Number(wanted), MAX_COUNT)
    } else if (option === 'match') pattern = wordCopy(words, i + 1)
    else if (option === 'type') type = latin1Bytes(wordLower(words, i + 1))
    else return SYNTAX_ERROR
  }
  return { cursor, count, filter: { pattern, type } }
}

/** As C's strtoul, which Redis uses: a sign is allowed, and minus counts down from 2^64. */
function parseCursor(text: string): bigint | null {
  const match = /^([+-]?)([0-9]{1,20})$/.exec(text)
  if (match === null) return null
  const number = BigInt(match[2])
  if (number >= CURSOR_END) return null
  return match[1] === '-' ? BigInt.asUintN(64, -number) : number
}

function cursorOf(place: Place, slotCount: number): bigint {
  return place.slot >= slotCount ? 0n : BigInt(place.slot) * POSITIONS + BigInt(place.position)
}

/** Null: beyond the last slot, where there is nothing. */
function placeOf(cursor: bigint, slotCount: number): Place | null {
  const slot = cursor / POSITIONS
  return slot >= slotCount ? null : { slot: Number(slot), position: Number(cursor % POSITIONS) }
}

function scanReply(cursor: bigint, keys: readonly Uint8Array[]): Uint8Array {
  return arrayReply([bulkText(String(cursor)), arrayReply(keys)])
}

// --- KEYS -------------------------------------------------------------------------------------------------------

export function runKeys(door: Door, connection: RespConnection): boolean {
  if (connection.pendingCount > 0) return false
  const limitBytes = door.options.hardOutputBytes / 4
  const found: Uint8Array[] = []
  let bytes = 0
  const filter: Filter = { pattern: wordCopy(connection.words, 1), type: null }
  const walk = new Walk(connection, filter, KEYS_PER_STEP, (keys, next) => {
    for (const key of keys) {
      found.push(key)
      bytes += key.length
    }
    if (bytes > limitBytes) return errorReply(`ERR the keys are more than ${limitBytes} bytes together: use SCAN`)
    const place = nextHere(door, next)
    return place.slot < door.router.slotCount ? place : arrayReply(found)
  })
  const from = nextHere(door, FIRST_PLACE)
  if (from.slot < door.router.slotCount) walk.step(from)
  else walk.end(arrayReply([]))
  return true
}

// --- RANDOMKEY --------------------------------------------------------------------------------------------------

/** From a random place on, once around: one of the first keys found. */
export function runRandomKey(door: Door, connection: RespConnection): boolean {
  if (connection.pendingCount > 0) return false
  const { slotCount } = door.router
  const start = { slot: below(door.random, slotCount), position: below(door.random, 2 ** 48) }
  const found: Uint8Array[] = []
  let wrapped = false
  const walk = new Walk(connection, NO_FILTER, RANDOM_SAMPLE, (keys, next) => {
    for (const key of keys) found.push(key)
    const around = wrapped && (next.slot > start.slot || (next.slot === start.slot && next.position >= start.position))
    if (found.length < RANDOM_SAMPLE && !around) {
      const place = nextHere(door, next)
      if (place.slot < slotCount) return place
      const first = nextHere(door, FIRST_PLACE)
      if (!wrapped && first.slot < slotCount) {
        wrapped = true
        return first
      }
    }
    return found.length === 0 ? NULL_REPLY : found[below(door.random, found.length)]
  })
  const later = nextHere(door, start)
  const from = later.slot < slotCount ? later : nextHere(door, FIRST_PLACE)
  wrapped = from !== later
  if (from.slot < slotCount) walk.step(from)
  else walk.end(NULL_REPLY)
  return true
}

function below(random: Random, limit: number): number {
  return Math.floor(random.unit() * limit)
}
