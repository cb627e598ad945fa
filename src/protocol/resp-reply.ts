/**
 * Replies as RESP3 bytes: what the state machine answers, what the log's session records keep, what doors send. A reply is
 * one whole Uint8Array that nobody changes, so common ones are shared. For a connection that speaks RESP2 the door turns
 * it round at the last moment: `toResp2`.
 * Source: the RESP3 specification (redis/redis-specifications, protocol/RESP3.md).
 */
import { assert } from '../base/assert.ts'
import { concatBytes, latin1Bytes, latin1Text, utf8Bytes } from '../base/bytes.ts'

const CR = 0x0d
const LF = 0x0a

export const OK_REPLY: Uint8Array = latin1Bytes('+OK\r\n')
export const QUEUED_REPLY: Uint8Array = latin1Bytes('+QUEUED\r\n')
export const PONG_REPLY: Uint8Array = latin1Bytes('+PONG\r\n')
/** RESP3's only null. */
export const NULL_REPLY: Uint8Array = latin1Bytes('_\r\n')
const TRUE_REPLY: Uint8Array = latin1Bytes('#t\r\n')
const FALSE_REPLY: Uint8Array = latin1Bytes('#f\r\n')
const EMPTY_ARRAY_REPLY: Uint8Array = latin1Bytes('*0\r\n')
/** RESP2 has two nulls; an aborted EXEC answers this one, and only its door can know that. */
export const RESP2_NULL_ARRAY: Uint8Array = latin1Bytes('*-1\r\n')
const RESP2_NULL_BULK: Uint8Array = latin1Bytes('$-1\r\n')

const FIRST_SHARED_INTEGER = -2
const SHARED_INTEGERS: Uint8Array[] = []
for (let value = FIRST_SHARED_INTEGER; value < 1024; value++) SHARED_INTEGERS.push(latin1Bytes(`:${value}\r\n`))

/** A line holds no CR or LF: Redis puts spaces in their place. Characters up to U+00FF stand for bytes, any higher makes it UTF-8. */
function line(type: string, text: string): Uint8Array {
  const clean = `${type}${text.replace(/[\r\n]/g, ' ')}\r\n`
  for (let i = 0; i < clean.length; i++) if (clean.charCodeAt(i) > 0xff) return utf8Bytes(clean)
  return latin1Bytes(clean)
}

export function simpleString(text: string): Uint8Array {
  return line('+', text)
}

/** `text` begins with its code: `ERR syntax error`. */
export function errorReply(text: string): Uint8Array {
  return line('-', text)
}

export function integerReply(value: number | bigint): Uint8Array {
  if (typeof value === 'number') {
    assert(Number.isSafeInteger(value), 'integerReply: not a safe integer')
    const shared = value - FIRST_SHARED_INTEGER
    if (shared >= 0 && shared < SHARED_INTEGERS.length) return SHARED_INTEGERS[shared]
  }
  return latin1Bytes(`:${value}\r\n`)
}

export function booleanReply(value: boolean): Uint8Array {
  return value ? TRUE_REPLY : FALSE_REPLY
}

export function doubleReply(value: number): Uint8Array {
  if (Number.isNaN(value)) return latin1Bytes(',nan\r\n')
  if (!Number.isFinite(value)) return latin1Bytes(value > 0 ? ',inf\r\n' : ',-inf\r\n')
  return latin1Bytes(`,${value}\r\n`)
}

export function bigNumberReply(value: bigint): Uint8Array {
  return latin1Bytes(`(${value}\r\n`)
}

/** Copies the view: the reply stays good when the view does not. */
export function bulkReply(view: Uint8Array): Uint8Array {
  return prefixed(0x24, view)
}

export function bulkText(text: string): Uint8Array {
  return bulkReply(utf8Bytes(text))
}

/** `format` is three characters: txt or mkd. */
export function verbatimReply(format: string, text: string): Uint8Array {
  assert(format.length === 3, 'verbatimReply: a format has three characters')
  return prefixed(0x3d, utf8Bytes(`${format}:${text}`))
}

/** type | length | CR LF | body | CR LF, in one allocation. */
function prefixed(type: number, body: Uint8Array): Uint8Array {
  const digits = decimalDigits(body.length)
  const out = new Uint8Array(digits + 5 + body.length)
  out[0] = type
  putDecimal(out, 1, digits, body.length)
  let at = digits + 1
  out[at++] = CR
  out[at++] = LF
  out.set(body, at)
  at += body.length
  out[at++] = CR
  out[at] = LF
  return out
}

function decimalDigits(value: number): number {
  let digits = 1
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++
  return digits
}

function putDecimal(out: Uint8Array, at: number, digits: number, value: number): void {
  let rest = value
  for (let i = at + digits - 1; i >= at; i--) {
    out[i] = 0x30 + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}

/** The head of an array: its elements' bytes follow. */
export function arrayHead(count: number): Uint8Array {
  return latin1Bytes(`*${count}\r\n`)
}

/** Parts are whole replies. */
export function arrayReply(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 0 ? EMPTY_ARRAY_REPLY : concatBytes([arrayHead(parts.length), ...parts])
}

export function mapReply(pairs: readonly (readonly [Uint8Array, Uint8Array])[]): Uint8Array {
  return concatBytes([latin1Bytes(`%${pairs.length}\r\n`), ...pairs.flat()])
}

export function setReply(parts: readonly Uint8Array[]): Uint8Array {
  return concatBytes([latin1Bytes(`~${parts.length}\r\n`), ...parts])
}

export function pushReply(parts: readonly Uint8Array[]): Uint8Array {
  return concatBytes([latin1Bytes(`>${parts.length}\r\n`), ...parts])
}

export function isErrorReply(reply: Uint8Array): boolean {
  return reply.length > 0 && reply[0] === 0x2d
}

/** True where an error reply's first word is `code`; `code` is given as `-CODE` bytes. */
export function hasErrorCode(reply: Uint8Array, code: Uint8Array): boolean {
  if (reply.length <= code.length || reply[0] !== 0x2d) return false
  for (let i = 1; i < code.length; i++) if (reply[i] !== code[i]) return false
  const next = reply[code.length]
  return next === 0x20 || next === CR
}

/** An integer reply's value; null where the reply is none, or is not a safe integer. */
export function integerOf(reply: Uint8Array): number | null {
  if (reply.length < 4 || reply[0] !== 0x3a) return null
  const value = Number(latin1Text(reply, 1, lineEnd(reply, 1)))
  return Number.isSafeInteger(value) ? value : null
}

/** The bytes of a bulk string reply, as a view. */
export function bulkContent(reply: Uint8Array): Uint8Array {
  assert(reply.length > 0 && reply[0] === 0x24, 'bulkContent: the reply is no bulk string')
  return reply.subarray(lineEnd(reply, 1) + 2, reply.length - 2)
}

/** The elements of an array reply as views of whole replies; null where the reply is no array. */
export function arrayElements(reply: Uint8Array): Uint8Array[] | null {
  if (reply.length === 0 || reply[0] !== 0x2a) return null
  const head = lineEnd(reply, 1)
  const count = lengthOf(reply, 1, head)
  const elements: Uint8Array[] = []
  let at = head + 2
  for (let i = 0; i < count; i++) {
    const end = skip(reply, at, 0)
    elements.push(reply.subarray(at, end))
    at = end
  }
  return elements
}

// --- RESP3 to RESP2 -------------------------------------------------------------------------------------------

/** Replies are our own, so a malformed one is a bug here; the bound keeps such a bug from eating the stack. */
const MAX_DEPTH = 32

/**
 * The same reply for a RESP2 connection: null as `$-1`, maps, sets and pushes as flat arrays, doubles, big numbers and
 * verbatim strings as bulk strings, booleans as 1 and 0, attributes dropped. Lines, integers, errors and bulk strings
 * are returned as they are, not copied; so is an array that holds nothing else.
 */
export function toResp2(reply: Uint8Array): Uint8Array {
  const type = reply.length === 0 ? 0x2b : reply[0]
  if (type === 0x24 || type === 0x2b || type === 0x3a || type === 0x2d) return reply
  if (type === 0x5f) return RESP2_NULL_BULK
  if (type === 0x2a && isPlain(reply)) return reply
  const parts: Uint8Array[] = []
  const end = convert(reply, 0, parts, 0)
  assert(end === reply.length, 'toResp2: bytes behind the reply')
  return concatBytes(parts)
}

/** True where nothing but arrays, lines, integers, errors and bulk strings stand in the reply. */
function isPlain(reply: Uint8Array): boolean {
  for (let at = 0; at < reply.length; ) {
    const type = reply[at]
    const head = lineEnd(reply, at + 1)
    if (type === 0x24) at = head + 2 + lengthOf(reply, at + 1, head) + 2
    else if (type === 0x2a || type === 0x2b || type === 0x3a || type === 0x2d) at = head + 2
    else return false
  }
  return true
}

/** Appends the RESP2 form of the reply that begins at `at`; returns where the next one begins. */
function convert(reply: Uint8Array, at: number, parts: Uint8Array[], depth: number): number {
  assert(depth < MAX_DEPTH, 'toResp2: nested too deep')
  const head = lineEnd(reply, at + 1)
  const next = head + 2
  switch (reply[at]) {
    case 0x2b: // +
    case 0x2d: // -
    case 0x3a: // :
      parts.push(reply.subarray(at, next))
      return next
    case 0x24: {
      const end = next + lengthOf(reply, at + 1, head) + 2
      parts.push(reply.subarray(at, end))
      return end
    }
    case 0x5f: // _
      parts.push(RESP2_NULL_BULK)
      return next
    case 0x23: // #
      parts.push(integerReply(reply[at + 1] === 0x74 ? 1 : 0))
      return next
    case 0x2c: // ,
    case 0x28: // (
      parts.push(bulkReply(reply.subarray(at + 1, head)))
      return next
    case 0x3d: {
      // = with "txt:" in front of the text
      const length = lengthOf(reply, at + 1, head)
      parts.push(bulkReply(reply.subarray(next + 4, next + length)))
      return next + length + 2
    }
    case 0x21: {
      // ! an error with a length
      const length = lengthOf(reply, at + 1, head)
      parts.push(errorReply(latin1Text(reply, next, next + length)))
      return next + length + 2
    }
    case 0x7c: {
      // | attributes, in front of the reply that they describe
      const end = skipMany(reply, next, 2 * lengthOf(reply, at + 1, head), depth + 1)
      return convert(reply, end, parts, depth + 1)
    }
    default:
      return convertAggregate(reply, at, head, parts, depth)
  }
}

function convertAggregate(reply: Uint8Array, at: number, head: number, parts: Uint8Array[], depth: number): number {
  const type = reply[at]
  assert(type === 0x2a || type === 0x7e || type === 0x3e || type === 0x25, `toResp2: unknown type ${type}`)
  const length = lengthOf(reply, at + 1, head)
  const count = type === 0x25 ? 2 * length : length
  parts.push(arrayHead(count))
  let offset = head + 2
  for (let i = 0; i < count; i++) offset = convert(reply, offset, parts, depth + 1)
  return offset
}

/** Where the reply that begins at `at` ends; it may be a RESP2 one. */
function skip(reply: Uint8Array, at: number, depth: number): number {
  assert(depth < MAX_DEPTH, 'reply: nested too deep')
  const head = lineEnd(reply, at + 1)
  if (reply[at + 1] === 0x2d) return head + 2
  switch (reply[at]) {
    case 0x24: // $
    case 0x3d: // =
    case 0x21: // !
      return head + 2 + lengthOf(reply, at + 1, head) + 2
    case 0x2a: // *
    case 0x7e: // ~
    case 0x3e: // >
      return skipMany(reply, head + 2, lengthOf(reply, at + 1, head), depth + 1)
    case 0x25: // %
      return skipMany(reply, head + 2, 2 * lengthOf(reply, at + 1, head), depth + 1)
    case 0x7c: // |
      return skip(reply, skipMany(reply, head + 2, 2 * lengthOf(reply, at + 1, head), depth + 1), depth + 1)
    default:
      return head + 2
  }
}

function skipMany(reply: Uint8Array, from: number, count: number, depth: number): number {
  let at = from
  for (let i = 0; i < count; i++) at = skip(reply, at, depth)
  return at
}

/** Where the CR of the line's end stands. */
function lineEnd(reply: Uint8Array, from: number): number {
  const end = reply.indexOf(CR, from)
  assert(end >= 0 && end + 1 < reply.length, 'reply: a line without its end')
  return end
}

function lengthOf(reply: Uint8Array, from: number, to: number): number {
  let value = 0
  for (let i = from; i < to; i++) value = value * 10 + (reply[i] - 0x30)
  assert(to > from && value >= 0 && value <= reply.length, 'reply: a length that cannot be')
  return value
}
