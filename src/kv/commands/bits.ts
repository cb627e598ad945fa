/** SETBIT, GETBIT, BITCOUNT, BITPOS, as Redis 7.0: bit 0 is the highest bit of byte 0; beyond the value all bits are 0. */

import { assert } from '../../base/assert.ts'
import { errorReply, integerReply } from '../../protocol/resp-reply.ts'
import { type Integer, parseInteger } from '../integer-text.ts'
import { EVENT_SETBIT } from '../key-events.ts'
import { type CommandHandler, isWord, NOT_AN_INTEGER, noSyntax, SYNTAX_ERROR, valueWouldBeTooLarge } from './handler.ts'
import { clampRange, lengthened } from './ranges.ts'

const BAD_OFFSET = 'ERR bit offset is not an integer or out of range'
/** Redis's: 512 MiB of bits. What is above the value limit is refused when it runs. */
const OFFSET_END = 2 ** 32

function bitOffset(text: Uint8Array): number | null {
  const offset = parseInteger(text)
  return offset === null || offset < 0 || offset >= OFFSET_END ? null : Number(offset)
}

function isBit(text: Uint8Array): boolean {
  return text.length === 1 && (text[0] === 0x30 || text[0] === 0x31)
}

function bitAt(value: Uint8Array, offset: number): 0 | 1 {
  const at = offset >>> 3
  return at < value.length && (value[at] & (0x80 >> (offset & 7))) !== 0 ? 1 : 0
}

export const SETBIT: CommandHandler = {
  checkSyntax(args) {
    if (bitOffset(args[1]) === null) return BAD_OFFSET
    return isBit(args[2]) ? null : 'ERR bit is not an integer or out of range'
  },
  execute(context, args) {
    const offset = bitOffset(args[1])
    assert(offset !== null, 'SETBIT ran with a syntax error')
    const at = offset >>> 3
    if (at >= context.limits.maxValueBytes) return errorReply(valueWouldBeTooLarge(at + 1, context.limits))
    const current = context.find(args[0])
    const before = current === null ? 0 : bitAt(current.value, offset)
    const wanted = args[2][0] === 0x31 ? 1 : 0
    // Nothing changes, and who watches the key hears nothing.
    if (current !== null && at < current.value.length && before === wanted) return integerReply(before)
    const { bytes, expiresAtMs } = lengthened(context, args[0], at + 1)
    const mask = 0x80 >> (offset & 7)
    bytes[at] = wanted === 1 ? bytes[at] | mask : bytes[at] & ~mask
    context.put(args[0], bytes, expiresAtMs, EVENT_SETBIT)
    return integerReply(before)
  },
}

export const GETBIT: CommandHandler = {
  checkSyntax: (args) => (bitOffset(args[1]) === null ? BAD_OFFSET : null),
  execute(context, args) {
    const offset = bitOffset(args[1])
    assert(offset !== null, 'GETBIT ran with a syntax error')
    const current = context.find(args[0])
    return integerReply(current === null ? 0 : bitAt(current.value, offset))
  },
}

interface BitRange {
  /** Bits, both included. */
  readonly first: number
  readonly last: number
}

type Unit = 1 | 8

function unitOf(word: Uint8Array | undefined): Unit | null {
  if (word === undefined || isWord(word, 'byte')) return 8
  return isWord(word, 'bit') ? 1 : null
}

function bitsOf(start: Integer, end: Integer, unit: Unit, valueBytes: number): BitRange | null {
  const range = clampRange(start, end, unit === 1 ? valueBytes * 8 : valueBytes)
  return range === null ? null : { first: range.first * unit, last: range.last * unit + unit - 1 }
}

function onesOf(byte: number): number {
  let rest = byte - ((byte >> 1) & 0x55)
  rest = (rest & 0x33) + ((rest >> 2) & 0x33)
  return (rest + (rest >> 4)) & 0x0f
}

/** The byte with the bits outside of the range cleared. */
function maskedByte(value: Uint8Array, at: number, { first, last }: BitRange): number {
  let byte = value[at]
  if (at === first >>> 3) byte &= 0xff >> (first & 7)
  if (at === last >>> 3) byte &= 0xff << (7 - (last & 7))
  return byte
}

export const BITCOUNT: CommandHandler = {
  // An absent key is 0, whatever else is wrong: what needs the value is checked with it.
  checkSyntax: noSyntax,
  execute(context, args) {
    const current = context.find(args[0])
    if (current === null) return integerReply(0)
    if (args.length === 2 || args.length > 4) return errorReply(SYNTAX_ERROR)
    const start = args.length > 1 ? parseInteger(args[1]) : 0
    const end = args.length > 1 ? parseInteger(args[2]) : -1
    if (start === null || end === null) return errorReply(NOT_AN_INTEGER)
    // Redis looks at the unit last of all.
    if (args.length > 1 && start < 0 && end < 0 && start > end) return integerReply(0)
    const unit = unitOf(args[3])
    if (unit === null) return errorReply(SYNTAX_ERROR)
    const range = bitsOf(start, end, unit, current.value.length)
    let ones = 0
    if (range !== null) {
      for (let at = range.first >>> 3; at <= range.last >>> 3; at++)
        ones += onesOf(maskedByte(current.value, at, range))
    }
    return integerReply(ones)
  },
}

function firstBit(value: Uint8Array, bit: 0 | 1, range: BitRange): number {
  for (let at = range.first >>> 3; at <= range.last >>> 3; at++) {
    if (value[at] === (bit === 1 ? 0 : 0xff)) continue
    const from = Math.max(range.first, at * 8)
    const to = Math.min(range.last, at * 8 + 7)
    for (let offset = from; offset <= to; offset++) if (bitAt(value, offset) === bit) return offset
  }
  return -1
}

export const BITPOS: CommandHandler = {
  checkSyntax(args) {
    const bit = parseInteger(args[1])
    if (bit === null) return NOT_AN_INTEGER
    return bit === 0 || bit === 1 ? null : 'ERR The bit argument must be 1 or 0.'
  },
  execute(context, args) {
    const bit = args[1][0] === 0x31 ? 1 : 0
    const current = context.find(args[0])
    if (current === null) return integerReply(bit === 1 ? -1 : 0)
    if (args.length > 5) return errorReply(SYNTAX_ERROR)
    const start = args.length > 2 ? parseInteger(args[2]) : 0
    if (start === null) return errorReply(NOT_AN_INTEGER)
    const unit = unitOf(args[4])
    if (unit === null) return errorReply(SYNTAX_ERROR)
    const end = args.length > 3 ? parseInteger(args[3]) : -1
    if (end === null) return errorReply(NOT_AN_INTEGER)
    const range = bitsOf(start, end, unit, current.value.length)
    if (range === null) return integerReply(-1)
    const found = firstBit(current.value, bit, range)
    // Zeros go on for ever behind the value, unless an end was given.
    if (found === -1 && bit === 0 && args.length <= 3) return integerReply(current.value.length * 8)
    return integerReply(found)
  },
}
