/** BITFIELD, BITFIELD_RO, as Redis 7.0: integers of 1 to 64 bits (unsigned: to 63) anywhere in a string. */

import { assert } from '../../base/assert.ts'
import { EMPTY_BYTES, latin1Text } from '../../base/bytes.ts'
import { arrayReply, errorReply, integerReply, NULL_REPLY } from '../../protocol/resp-reply.ts'
import { parseInteger } from '../integer-text.ts'
import { EVENT_SETBIT } from '../key-events.ts'
import { type CommandHandler, isWord, NOT_AN_INTEGER, SYNTAX_ERROR, valueWouldBeTooLarge } from './handler.ts'
import { lengthened } from './ranges.ts'

type Overflow = 'wrap' | 'sat' | 'fail'

interface Step {
  readonly kind: 'get' | 'set' | 'incrby'
  readonly signed: boolean
  readonly bits: number
  /** Of its first bit. */
  readonly offset: number
  /** The new value, or the increment. */
  readonly operand: bigint
  readonly overflow: Overflow
}

const BAD_TYPE = 'ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.'
const BAD_OFFSET = 'ERR bit offset is not an integer or out of range'
/** Redis's: 512 MiB of bits. What is above the value limit is refused when it runs. */
const OFFSET_END = 2 ** 32

function parseType(word: Uint8Array): { readonly signed: boolean; readonly bits: number } | null {
  const match = /^([iu])([1-9][0-9]?)$/.exec(latin1Text(word))
  if (match === null) return null
  const signed = match[1] === 'i'
  const bits = Number(match[2])
  return bits > (signed ? 64 : 63) ? null : { signed, bits }
}

/** `#n`: the nth integer of this width. */
function parseOffset(word: Uint8Array, bits: number): number | null {
  const counted = word[0] === 0x23
  const number = parseInteger(counted ? word.subarray(1) : word)
  if (number === null) return null
  const offset = BigInt(number) * BigInt(counted ? bits : 1)
  return offset < 0n || offset >= OFFSET_END ? null : Number(offset)
}

/** All steps, or an error's text. */
function parseSteps(args: readonly Uint8Array[], readsOnly: boolean): Step[] | string {
  const steps: Step[] = []
  let overflow: Overflow = 'wrap'
  for (let i = 1; i < args.length; ) {
    const left = args.length - 1 - i
    const word = args[i]
    if (isWord(word, 'overflow') && left >= 1) {
      const wanted = (['wrap', 'sat', 'fail'] as const).find((name) => isWord(args[i + 1], name))
      if (wanted === undefined) return 'ERR Invalid OVERFLOW type specified'
      overflow = wanted
      i += 2
      continue
    }
    const kind = isWord(word, 'get') ? 'get' : isWord(word, 'set') ? 'set' : isWord(word, 'incrby') ? 'incrby' : null
    if (kind === null || left < (kind === 'get' ? 2 : 3)) return SYNTAX_ERROR
    const type = parseType(args[i + 1])
    if (type === null) return BAD_TYPE
    const offset = parseOffset(args[i + 2], type.bits)
    if (offset === null) return BAD_OFFSET
    let operand = 0n
    if (kind !== 'get') {
      const value = parseInteger(args[i + 3])
      if (value === null) return NOT_AN_INTEGER
      operand = BigInt(value)
    }
    steps.push({ kind, ...type, offset, operand, overflow })
    i += kind === 'get' ? 3 : 4
  }
  if (readsOnly && steps.some((step) => step.kind !== 'get')) {
    return 'ERR BITFIELD_RO only supports the GET subcommand'
  }
  return steps
}

function readField(bytes: Uint8Array, { offset, bits, signed }: Step): bigint {
  const first = offset >>> 3
  const last = (offset + bits - 1) >>> 3
  let window = 0n
  for (let at = first; at <= last; at++) window = (window << 8n) | BigInt(bytes[at] ?? 0)
  const behind = (last + 1) * 8 - (offset + bits)
  const value = BigInt.asUintN(bits, window >> BigInt(behind))
  return signed ? BigInt.asIntN(bits, value) : value
}

function writeField(bytes: Uint8Array, { offset, bits }: Step, value: bigint): void {
  const first = offset >>> 3
  const last = (offset + bits - 1) >>> 3
  const behind = BigInt((last + 1) * 8 - (offset + bits))
  const mask = ((1n << BigInt(bits)) - 1n) << behind
  let window = 0n
  for (let at = first; at <= last; at++) window = (window << 8n) | BigInt(bytes[at])
  window = (window & ~mask) | (BigInt.asUintN(bits, value) << behind)
  for (let at = last; at >= first; at--) {
    bytes[at] = Number(window & 0xffn)
    window >>= 8n
  }
}

/** What fits the field; null: it does not, and OVERFLOW FAIL says so. */
function fitted({ signed, bits, overflow }: Step, value: bigint): bigint | null {
  const max = signed ? (1n << BigInt(bits - 1)) - 1n : (1n << BigInt(bits)) - 1n
  const min = signed ? -max - 1n : 0n
  if (value >= min && value <= max) return value
  if (overflow === 'fail') return null
  if (overflow === 'sat') return value > max ? max : min
  return signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value)
}

/** Changes the bytes; the step's reply. */
function runStep(bytes: Uint8Array, step: Step): Uint8Array {
  const old = readField(bytes, step)
  if (step.kind === 'get') return integerReply(old)
  // A negative number that is to be set in an unsigned field is a huge one, as in Redis.
  const setTo = step.signed ? step.operand : BigInt.asUintN(64, step.operand)
  const value = fitted(step, step.kind === 'set' ? setTo : old + step.operand)
  if (value === null) return NULL_REPLY
  writeField(bytes, step, value)
  return integerReply(step.kind === 'set' ? old : value)
}

function bitfield(readsOnly: boolean): CommandHandler {
  return {
    checkSyntax(args) {
      const steps = parseSteps(args, readsOnly)
      return typeof steps === 'string' ? steps : null
    },
    execute(context, args) {
      const steps = parseSteps(args, readsOnly)
      assert(typeof steps !== 'string', 'BITFIELD ran with a syntax error')
      let end = 0
      for (const step of steps) if (step.kind !== 'get') end = Math.max(end, ((step.offset + step.bits - 1) >>> 3) + 1)
      if (end === 0) {
        const value = context.find(args[0])?.value ?? EMPTY_BYTES
        return arrayReply(steps.map((step) => runStep(value, step)))
      }
      if (end > context.limits.maxValueBytes) return errorReply(valueWouldBeTooLarge(end, context.limits))
      const { bytes, expiresAtMs } = lengthened(context, args[0], end)
      const before = context.find(args[0])?.value.length ?? 0
      const replies: Uint8Array[] = []
      let changed = bytes.length > before
      for (const step of steps) {
        const reply = runStep(bytes, step)
        replies.push(reply)
        if (step.kind !== 'get' && reply !== NULL_REPLY) changed = true
      }
      if (changed) context.put(args[0], bytes, expiresAtMs, EVENT_SETBIT)
      return arrayReply(replies)
    },
  }
}

export const BITFIELD: CommandHandler = bitfield(false)
export const BITFIELD_RO: CommandHandler = bitfield(true)
