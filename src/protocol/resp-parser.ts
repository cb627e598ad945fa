/**
 * Requests as they come from a Redis client: RESP arrays of bulk strings, and inline commands. Incremental over chunks of any size; it
 * never throws for what a client sends, and holds at most one unfinished request plus one chunk.
 *
 *   request := "*" count CRLF ("$" length CRLF bytes CRLF)*      (RESP: same in versions 2 and 3)
 *            | word (space word)* LF                              (inline; words may be quoted)
 *
 * A word of a request is a pair of offsets into `args`; nothing is copied and no object is made per word: making objects
 * is what costs (measured: offsets alone are more than ten times as fast as one view per word).
 *
 * What counts as malformed, and the words said about it, are those of Redis 7 (networking.c). As there, the two bytes that end a line or a
 * bulk are skipped unread. Two deviations, both so that the outcome never depends on how the bytes were cut into chunks:
 * a line longer than 64 KiB is refused even if its end has come; a NUL does not end the search for a line's end.
 */
import { assert } from '../base/assert.ts'
import { EMPTY_BYTES, latin1Text } from '../base/bytes.ts'
import { splitInline } from './inline-command.ts'

export interface RespParserLimits {
  /** Bound on one bulk string and on the sum of a request's bulk strings. */
  readonly maxRequestBytes: number
  /** Redis 6's bound, and its words; Redis 7 lets 2^31 pass. */
  readonly maxWords: number
}

export const DEFAULT_PARSER_LIMITS: RespParserLimits = { maxRequestBytes: 512 * 1024 * 1024, maxWords: 1024 * 1024 }

/** PROTO_INLINE_MAX_SIZE. */
export const MAX_LINE_BYTES = 64 * 1024

/** More bytes are needed. */
export const PARSE_MORE = 0
/** A request stands in `args`, `offsets` and `wordCount` until the next call. */
export const PARSE_REQUEST = 1
/** Malformed: `error` says how; nothing more will be parsed. */
export const PARSE_ERROR = 2
export type ParseOutcome = typeof PARSE_MORE | typeof PARSE_REQUEST | typeof PARSE_ERROR

const CR = 13
const LF = 10
const DOLLAR = 36
const STAR = 42
const MINUS = 45
const ZERO = 48

/** An emptied buffer larger than this is given back. */
const KEPT_BUFFER_BYTES = 16 * 1024
const INITIAL_WORDS = 16

const NO_LINE = -1
const BAD_LENGTH = -2

/** The words of one request, as offsets into bytes. */
export interface RequestWords {
  readonly args: Uint8Array
  /** Word i is args[offsets[2i], offsets[2i+1]). */
  readonly offsets: Int32Array
  readonly wordCount: number
}

export class RespParser implements RequestWords {
  /** What the offsets point into. Valid until the next `next()`, `feed()` or `endFeed()`. */
  args: Uint8Array = EMPTY_BYTES
  /** Word i is args[offsets[2i], offsets[2i+1]). */
  offsets: Int32Array = new Int32Array(2 * INITIAL_WORDS)
  wordCount = 0
  /** Without the leading "Protocol error: ". Empty: none. */
  error = ''

  readonly #limits: RespParserLimits
  /** Either the chunk being fed or #own. */
  #bytes: Uint8Array = EMPTY_BYTES
  #own: Uint8Array = EMPTY_BYTES
  #inOwn = false
  /** Where the request under way begins; all before it is done with. */
  #start = 0
  #lastStart = 0
  #at = 0
  #end = 0
  /** Words of the request under way that have not come yet; 0: its first line has not come. */
  #wordsLeft = 0
  /** Length of the bulk under way; -1: its header has not come. */
  #bulkLength = -1
  #requestBytes = 0
  /** Bytes of the unfinished line that were searched already, so that a line fed byte by byte is not searched anew each time. */
  #searched = 0
  #length = 0

  constructor(limits: RespParserLimits = DEFAULT_PARSER_LIMITS) {
    assert(limits.maxRequestBytes <= 0x3fff_ffff, 'RespParser: offsets are 31 bits wide')
    this.#limits = limits
  }

  /** Bytes not yet given out as requests. */
  get pendingBytes(): number {
    return this.#end - this.#start
  }

  /** Bytes of the request that was given out last. */
  get requestBytes(): number {
    return this.#start - this.#lastStart
  }

  /** Bytes of memory held between chunks. */
  get heldBytes(): number {
    return this.#own.length + this.offsets.byteLength
  }

  /** Takes a chunk, which need stay unchanged only until `endFeed()`. Each feed is followed by exactly one endFeed. */
  feed(chunk: Uint8Array): void {
    if (this.error !== '') return
    if (this.#end === this.#start) {
      this.#bytes = chunk
      this.#inOwn = false
      this.#start = 0
      this.#at = 0
      this.#end = chunk.length
      return
    }
    assert(this.#inOwn, 'RespParser.feed: endFeed was not called')
    this.#reserve(chunk.length)
    this.#own.set(chunk, this.#end)
    this.#end += chunk.length
  }

  /** Copies what is not used up yet out of the chunk. */
  endFeed(): void {
    const rest = this.#end - this.#start
    if (rest === 0 || this.error !== '') {
      this.#drop()
      return
    }
    if (!this.#inOwn) {
      if (this.#own.length < rest) this.#own = new Uint8Array(Math.max(512, rest))
      this.#own.set(this.#bytes.subarray(this.#start, this.#end))
    } else if (this.#start > 0) {
      this.#own.copyWithin(0, this.#start, this.#end)
    }
    this.#rebase(rest)
    this.#bytes = this.#own
    this.#inOwn = true
  }

  /** Puts the last request back: the next `next()` gives it again. Only directly after PARSE_REQUEST. */
  unread(): void {
    assert(this.#wordsLeft === 0 && this.error === '', 'RespParser.unread: no whole request to put back')
    this.#start = this.#lastStart
    this.#at = this.#lastStart
    this.wordCount = 0
  }

  next(): ParseOutcome {
    if (this.error !== '') return PARSE_ERROR
    for (;;) {
      if (this.#wordsLeft > 0) return this.#bulks()
      if (this.#at >= this.#end) return PARSE_MORE
      if (this.#bytes[this.#at] !== STAR) {
        const outcome = this.#inline()
        if (outcome !== PARSE_REQUEST || this.wordCount > 0) return outcome
      } else {
        const count = this.#line('too big mbulk count string')
        if (count === NO_LINE) return this.error === '' ? PARSE_MORE : PARSE_ERROR
        if (this.#length > this.#limits.maxWords || count === BAD_LENGTH) return this.#fail('invalid multibulk length')
        this.wordCount = 0
        if (this.#length > 0) this.#wordsLeft = this.#length
        else this.#start = this.#at
      }
    }
  }

  #bulks(): ParseOutcome {
    while (this.#wordsLeft > 0) {
      if (this.#bulkLength < 0 && !this.#bulkHeader()) return this.error === '' ? PARSE_MORE : PARSE_ERROR
      const from = this.#at
      const to = from + this.#bulkLength
      if (to + 2 > this.#end) return PARSE_MORE
      if (this.wordCount * 2 === this.offsets.length) this.#growOffsets()
      this.offsets[2 * this.wordCount] = from
      this.offsets[2 * this.wordCount + 1] = to
      this.wordCount++
      this.#at = to + 2
      this.#bulkLength = -1
      this.#wordsLeft--
    }
    this.args = this.#bytes
    this.#finishRequest()
    return PARSE_REQUEST
  }

  /** False: not whole, or an error. */
  #bulkHeader(): boolean {
    const first = this.#at
    const outcome = this.#line('too big bulk count string')
    if (outcome === NO_LINE) return false
    if (this.#bytes[first] !== DOLLAR) {
      this.#fail(`expected '$', got '${latin1Text(this.#bytes, first, first + 1)}'`)
      return false
    }
    if (
      outcome === BAD_LENGTH ||
      this.#length < 0 ||
      this.#requestBytes + this.#length > this.#limits.maxRequestBytes
    ) {
      this.#fail('invalid bulk length')
      return false
    }
    this.#bulkLength = this.#length
    this.#requestBytes += this.#length
    return true
  }

  /** Reads the line at #at: one type byte, then a decimal number into #length. Advances past it unless it gives NO_LINE. */
  #line(tooLong: string): number {
    const bytes = this.#bytes
    let at = this.#at + 1
    let value = 0
    // The common case: a few digits, all there. Nine digits cannot overflow.
    const limit = Math.min(this.#end - 1, at + 9)
    for (; at < limit; at++) {
      const digit = bytes[at] - ZERO
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
    }
    const digits = at - this.#at - 1
    if (digits > 0 && at + 1 < this.#end && bytes[at] === CR && (digits === 1 || bytes[this.#at + 1] !== ZERO)) {
      this.#length = value
      this.#at = at + 2
      this.#searched = 0
      return 0
    }
    return this.#slowLine(tooLong)
  }

  #slowLine(tooLong: string): number {
    const end = this.#find(CR)
    if (end > this.#at + MAX_LINE_BYTES || (end < 0 && this.#end - this.#at > MAX_LINE_BYTES)) {
      this.#fail(tooLong)
      return NO_LINE
    }
    // The byte after CR belongs to the line.
    if (end < 0 || end + 2 > this.#end) return NO_LINE
    const value = decimal(this.#bytes, this.#at + 1, end)
    this.#at = end + 2
    this.#searched = 0
    this.#length = value ?? 0
    return value === null ? BAD_LENGTH : 0
  }

  #inline(): ParseOutcome {
    const end = this.#find(LF)
    if (end > this.#at + MAX_LINE_BYTES || (end < 0 && this.#end - this.#at > MAX_LINE_BYTES)) {
      return this.#fail('too big inline request')
    }
    if (end < 0) return PARSE_MORE
    const to = end > this.#at && this.#bytes[end - 1] === CR ? end - 1 : end
    const split = splitInline(this.#bytes, this.#at, to)
    if (split === null) return this.#fail('unbalanced quotes in request')
    this.#at = end + 1
    this.#searched = 0
    this.wordCount = split.offsets.length / 2
    while (this.offsets.length < split.offsets.length) this.#growOffsets()
    this.offsets.set(split.offsets)
    this.args = split.bytes
    this.#finishRequest()
    return PARSE_REQUEST
  }

  #finishRequest(): void {
    this.#lastStart = this.#start
    this.#start = this.#at
    this.#requestBytes = 0
  }

  #find(byte: number): number {
    const at = this.#bytes.subarray(0, this.#end).indexOf(byte, this.#at + this.#searched)
    // CR may stand last with its LF still to come: it is found again.
    if (at < 0) this.#searched = this.#end - this.#at
    return at
  }

  #fail(words: string): typeof PARSE_ERROR {
    this.error = words.replaceAll(/[\r\n]/g, ' ')
    this.wordCount = 0
    this.#wordsLeft = 0
    this.#drop()
    return PARSE_ERROR
  }

  #drop(): void {
    this.#bytes = EMPTY_BYTES
    this.args = EMPTY_BYTES
    if (this.#own.length > KEPT_BUFFER_BYTES) this.#own = EMPTY_BYTES
    if (this.offsets.length > 2 * 1024) this.offsets = new Int32Array(2 * INITIAL_WORDS)
    this.#inOwn = false
    this.#start = 0
    this.#at = 0
    this.#end = 0
    this.#searched = 0
  }

  /** Moves everything so that #start is 0. */
  #rebase(rest: number): void {
    const shift = this.#start
    if (shift > 0 && this.#wordsLeft > 0) {
      for (let i = 0; i < 2 * this.wordCount; i++) this.offsets[i] -= shift
    }
    this.#at -= shift
    this.#start = 0
    this.#end = rest
    assert(this.#at >= 0 && this.#at <= rest, 'RespParser: position outside the buffer')
  }

  #reserve(more: number): void {
    const needed = this.#end + more
    if (needed <= this.#own.length) return
    // Doubling with what has really come: an announced length alone allocates nothing.
    const grown = new Uint8Array(Math.max(needed, 2 * this.#own.length))
    grown.set(this.#own.subarray(0, this.#end))
    this.#own = grown
    this.#bytes = grown
  }

  #growOffsets(): void {
    const grown = new Int32Array(2 * this.offsets.length)
    grown.set(this.offsets)
    this.offsets = grown
  }
}

/** Redis's string2ll, for what can be a length: null where it is no integer or takes more than 18 digits. */
function decimal(bytes: Uint8Array, from: number, to: number): number | null {
  const negative = from < to && bytes[from] === MINUS
  const first = negative ? from + 1 : from
  const digits = to - first
  if (digits < 1 || digits > 18) return null
  if (bytes[first] === ZERO) return digits === 1 && !negative ? 0 : null
  let value = 0
  for (let at = first; at < to; at++) {
    const digit = bytes[at] - ZERO
    if (digit < 0 || digit > 9) return null
    value = value * 10 + digit
  }
  return negative ? -value : value
}
