/** The plain model's bit commands: a value is a text of '0' and '1', and what is asked for is a part of that text. */
import {
  array,
  clamp,
  int,
  integer,
  type ModelHandler,
  type ModelKeys,
  NOT_AN_INTEGER,
  nil,
  SYNTAX,
} from './redis-model-parts.ts'

const BAD_OFFSET = '-ERR bit offset is not an integer or out of range\r\n'
const OFFSET_END = 2n ** 32n

function bitsOf(text: string): string {
  return Array.from(text, (character) => character.charCodeAt(0).toString(2).padStart(8, '0')).join('')
}

function textOf(bits: string): string {
  return bits.replace(/.{8}/g, (byte) => String.fromCharCode(Number.parseInt(byte, 2)))
}

/** Filled up with zeros to whole bytes that hold `length` bits. */
function upTo(bits: string, length: number): string {
  return bits.padEnd(Math.ceil(length / 8) * 8, '0')
}

function spliced(bits: string, at: number, part: string): string {
  return bits.slice(0, at) + part + bits.slice(at + part.length)
}

function offsetOf(text: string): number | null {
  const offset = integer(text)
  return offset === null || offset < 0n || offset >= OFFSET_END ? null : Number(offset)
}

const setbit: ModelHandler = (keys, [key, offsetText, bit]) => {
  const offset = offsetOf(offsetText)
  if (offset === null) return BAD_OFFSET
  if (bit !== '0' && bit !== '1') return '-ERR bit is not an integer or out of range\r\n'
  const found = keys.find(key)
  const before = bitsOf(found?.text ?? '')
  const after = spliced(upTo(before, offset + 1), offset, bit)
  if (found === null || after !== before) keys.put(key, textOf(after), found?.expiresAtMs ?? null)
  return int(Number(before[offset] ?? '0'))
}

const getbit: ModelHandler = (keys, [key, offsetText]) => {
  const offset = offsetOf(offsetText)
  return offset === null ? BAD_OFFSET : int(Number(bitsOf(keys.find(key)?.text ?? '')[offset] ?? '0'))
}

function unitBits(word: string | undefined): number | null {
  const unit = word?.toLowerCase() ?? 'byte'
  return unit === 'byte' ? 8 : unit === 'bit' ? 1 : null
}

/** The part of the bits, or null where it is empty. */
function part(bits: string, start: bigint, end: bigint, unit: number): { from: number; bits: string } | null {
  const range = clamp(start, end, bits.length / unit)
  return range === null
    ? null
    : { from: range.first * unit, bits: bits.slice(range.first * unit, (range.last + 1) * unit) }
}

const bitcount: ModelHandler = (keys, args) => {
  const [key, startText = '0', endText = '-1', unitText] = args
  const found = keys.find(key)
  if (found === null) return int(0)
  if (args.length === 2 || args.length > 4) return SYNTAX
  const start = integer(startText)
  const end = integer(endText)
  if (start === null || end === null) return NOT_AN_INTEGER
  if (args.length > 1 && start < 0n && end < 0n && start > end) return int(0)
  const unit = unitBits(unitText)
  if (unit === null) return SYNTAX
  return int(part(bitsOf(found.text), start, end, unit)?.bits.replaceAll('0', '').length ?? 0)
}

const bitpos: ModelHandler = (keys, args) => {
  const [key, bitText, startText = '0', endText = '-1', unitText] = args
  const bit = integer(bitText)
  if (bit === null) return NOT_AN_INTEGER
  if (bit !== 0n && bit !== 1n) return '-ERR The bit argument must be 1 or 0.\r\n'
  const found = keys.find(key)
  if (found === null) return int(bit === 1n ? -1 : 0)
  if (args.length > 5) return SYNTAX
  const start = integer(startText)
  if (start === null) return NOT_AN_INTEGER
  const unit = unitBits(unitText)
  if (unit === null) return SYNTAX
  const end = integer(endText)
  if (end === null) return NOT_AN_INTEGER
  const bits = bitsOf(found.text)
  const looked = part(bits, start, end, unit)
  if (looked === null) return int(-1)
  const at = looked.bits.indexOf(String(bit))
  // Zeros go on for ever behind the value, unless an end was given.
  if (at < 0) return int(bit === 0n && args.length <= 3 ? bits.length : -1)
  return int(looked.from + at)
}

const bitop: ModelHandler = (keys, [word, destination, ...sources]) => {
  const operation = word.toLowerCase()
  if (!['and', 'or', 'xor', 'not'].includes(operation)) return SYNTAX
  if (operation === 'not' && sources.length > 1) return '-ERR BITOP NOT must be called with a single source key.\r\n'
  const texts = sources.map((key) => keys.find(key)?.text ?? '')
  const length = Math.max(...texts.map((text) => text.length))
  if (length === 0) {
    if (keys.find(destination) !== null) keys.remove(destination)
    return int(0)
  }
  const bytes = texts.map((text) => Array.from(text.padEnd(length, '\0'), (character) => character.charCodeAt(0)))
  const result = bytes[0].map((byte, i) => {
    if (operation === 'not') return byte ^ 0xff
    const others = bytes.slice(1).map((other) => other[i])
    return others.reduce((a, b) => (operation === 'and' ? a & b : operation === 'or' ? a | b : a ^ b), byte)
  })
  keys.put(destination, String.fromCharCode(...result), null)
  return int(length)
}

interface Step {
  readonly kind: string
  readonly signed: boolean
  readonly width: number
  readonly offset: number
  readonly operand: bigint
  readonly overflow: string
}

function parseStep(kind: string, words: readonly string[], overflow: string): Step | string {
  const type = /^([iu])([1-9][0-9]?)$/.exec(words[0])
  const signed = type?.[1] === 'i'
  const width = Number(type?.[2] ?? 0)
  if (type === null || width > (signed ? 64 : 63)) {
    return '-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.\r\n'
  }
  const counted = words[1].startsWith('#')
  const number = integer(counted ? words[1].slice(1) : words[1])
  const offset = number === null ? -1n : number * BigInt(counted ? width : 1)
  if (offset < 0n || offset >= OFFSET_END) return BAD_OFFSET
  const operand = kind === 'get' ? 0n : integer(words[2])
  return operand === null ? NOT_AN_INTEGER : { kind, signed, width, offset: Number(offset), operand, overflow }
}

function parseSteps(words: readonly string[]): Step[] | string {
  const steps: Step[] = []
  let overflow = 'wrap'
  for (let i = 0; i < words.length; ) {
    const kind = words[i].toLowerCase()
    const length = kind === 'get' ? 3 : kind === 'overflow' ? 2 : 4
    if (!['get', 'set', 'incrby', 'overflow'].includes(kind) || i + length > words.length) return SYNTAX
    if (kind === 'overflow') {
      overflow = words[i + 1].toLowerCase()
      if (!['wrap', 'sat', 'fail'].includes(overflow)) return '-ERR Invalid OVERFLOW type specified\r\n'
    } else {
      const step = parseStep(kind, words.slice(i + 1, i + length), overflow)
      if (typeof step === 'string') return step
      steps.push(step)
    }
    i += length
  }
  return steps
}

/** What the field will hold; null: OVERFLOW FAIL. */
function fitted({ signed, width, overflow }: Step, value: bigint): bigint | null {
  const size = BigInt(signed ? width - 1 : width)
  const max = 2n ** size - 1n
  const min = signed ? -max - 1n : 0n
  if (value >= min && value <= max) return value
  if (overflow === 'fail') return null
  if (overflow === 'sat') return value > max ? max : min
  return signed ? BigInt.asIntN(width, value) : BigInt.asUintN(width, value)
}

function readField(bits: string, { signed, width, offset }: Step): bigint {
  const value = BigInt(`0b${bits.slice(offset, offset + width).padEnd(width, '0')}`)
  return signed ? BigInt.asIntN(width, value) : value
}

function bitfield(readsOnly: boolean): ModelHandler {
  return (keys: ModelKeys, [key, ...words]) => {
    const steps = parseSteps(words)
    if (typeof steps === 'string') return steps
    const writes = steps.filter((step) => step.kind !== 'get')
    if (readsOnly && writes.length > 0) return '-ERR BITFIELD_RO only supports the GET subcommand\r\n'
    const found = keys.find(key)
    const before = bitsOf(found?.text ?? '')
    let bits = upTo(before, Math.max(0, ...writes.map((step) => step.offset + step.width)))
    let changed = bits !== before
    const replies = steps.map((step) => {
      const old = readField(bits, step)
      if (step.kind === 'get') return int(old)
      // A negative number that is to be set in an unsigned field is a huge one.
      const setTo = step.signed ? step.operand : BigInt.asUintN(64, step.operand)
      const value = fitted(step, step.kind === 'set' ? setTo : old + step.operand)
      if (value === null) return nil(keys)
      changed = true
      bits = spliced(bits, step.offset, BigInt.asUintN(step.width, value).toString(2).padStart(step.width, '0'))
      return int(step.kind === 'set' ? old : value)
    })
    if (changed) keys.put(key, textOf(bits), found?.expiresAtMs ?? null)
    return array(replies)
  }
}

export const BIT_COMMANDS: Readonly<Record<string, ModelHandler>> = {
  setbit,
  getbit,
  bitcount,
  bitpos,
  bitop,
  bitfield: bitfield(false),
  bitfield_ro: bitfield(true),
}
