import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, latin1Bytes, latin1Text } from '../base/bytes.ts'
import { Prng } from '../base/prng.ts'
import { MAX_LINE_BYTES, PARSE_ERROR, PARSE_MORE, PARSE_REQUEST, RespParser } from './resp-parser.ts'

const LIMITS = { maxRequestBytes: 1024 * 1024, maxWords: 1024 }

interface Parsed {
  readonly requests: string[][]
  readonly error: string
}

function drain(parser: RespParser, into: string[][]): void {
  for (;;) {
    const outcome = parser.next()
    if (outcome !== PARSE_REQUEST) return
    const words: string[] = []
    for (let i = 0; i < parser.wordCount; i++) {
      words.push(latin1Text(parser.args, parser.offsets[2 * i], parser.offsets[2 * i + 1]))
    }
    into.push(words)
  }
}

/** Feeds the pieces through one buffer that is overwritten after each, as a socket's shared read buffer is. */
function parseChunks(chunks: readonly Uint8Array[], limits = LIMITS): Parsed {
  const parser = new RespParser(limits)
  const requests: string[][] = []
  const shared = new Uint8Array(Math.max(1, ...chunks.map((chunk) => chunk.length)))
  for (const chunk of chunks) {
    shared.set(chunk)
    parser.feed(shared.subarray(0, chunk.length))
    drain(parser, requests)
    parser.endFeed()
    shared.fill(0x2a)
  }
  return { requests, error: parser.error }
}

function cut(bytes: Uint8Array, random: Prng, maxPiece: number): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const to = Math.min(bytes.length, at + 1 + random.below(maxPiece))
    pieces.push(bytes.subarray(at, to))
    at = to
  }
  return pieces
}

const parse = (text: string): Parsed => parseChunks([latin1Bytes(text)])

function encode(words: readonly Uint8Array[]): Uint8Array {
  const parts = [latin1Bytes(`*${words.length}\r\n`)]
  for (const word of words) parts.push(latin1Bytes(`$${word.length}\r\n`), word, latin1Bytes('\r\n'))
  return concatBytes(parts)
}

describe('requests', () => {
  it.each([
    ['*1\r\n$4\r\nPING\r\n', [['PING']]],
    ['*2\r\n$3\r\nGET\r\n$0\r\n\r\n', [['GET', '']]],
    ['*0\r\n*-5\r\n*1\r\n$1\r\na\r\n', [['a']]],
    ['*1\r\n$3\r\na\r\n\r\n', [['a\r\n']]],
    // The two bytes after a bulk are skipped unread, as in Redis.
    ['*1\r\n$1\r\naXY*1\r\n$1\r\nb\r\n', [['a'], ['b']]],
    ['PING\r\n', [['PING']]],
    ['\r\n\n   \r\nPING\n', [['PING']]],
    ['set  a\t"b \\x41\\n\\"" \'c\\\'d\\n\'\r\n', [['set', 'a', 'b A\n"', "c'd\\n"]]],
    ['"" \'\' a\r\n', [['', '', 'a']]],
    ['a"b c"\r\n', [['ab c']]],
    ['PING\r\n*1\r\n$4\r\nPING\r\nECHO x\r\n', [['PING'], ['PING'], ['ECHO', 'x']]],
  ])('%j', (text, requests) => {
    expect(parse(text)).toEqual({ requests, error: '' })
  })

  it.each([
    ['*a\r\n', 'invalid multibulk length'],
    ['*\r\n', 'invalid multibulk length'],
    ['*01\r\n', 'invalid multibulk length'],
    ['*1025\r\n', 'invalid multibulk length'],
    ['*99999999999999999999\r\n', 'invalid multibulk length'],
    ['*1\r\n+PING\r\n', "expected '$', got '+'"],
    ['*1\r\n\r\n', "expected '$', got ' '"],
    ['*1\r\n$-1\r\n', 'invalid bulk length'],
    ['*1\r\n$x\r\n', 'invalid bulk length'],
    ['*1\r\n$1048577\r\n', 'invalid bulk length'],
    ['*3\r\n$1\r\nx\r\nfooz\r\n', "expected '$', got 'f'"],
    ['get "a\r\n', 'unbalanced quotes in request'],
    ['get "a"b\r\n', 'unbalanced quotes in request'],
    ["get 'a'b\r\n", 'unbalanced quotes in request'],
  ])('refuses %j', (text, error) => {
    expect(parse(text)).toEqual({ requests: [], error })
  })

  it('bounds lines', () => {
    const digits = '1'.repeat(MAX_LINE_BYTES + 1)
    expect(parse(`x${digits}\n`).error).toBe('too big inline request')
    expect(parse(`*${digits}`).error).toBe('too big mbulk count string')
    expect(parse(`*1\r\n$${digits}`).error).toBe('too big bulk count string')
  })

  it('gives what came before a malformed request, and nothing after it', () => {
    const text = 'PING\r\n*1\r\n$4\r\nECHO\r\n*1\r\n!\r\nPING\r\n'
    expect(parse(text)).toEqual({ requests: [['PING'], ['ECHO']], error: "expected '$', got '!'" })
  })

  it('bounds the sum of the bulks of a request, not only each', () => {
    const big = 600 * 1024
    const text = `*3\r\n$3\r\nSET\r\n$${big}\r\n${'k'.repeat(big)}\r\n$${big}\r\n`
    expect(parse(text).error).toBe('invalid bulk length')
  })

  it('gives a request again after unread, also in a later feed', () => {
    const parser = new RespParser(LIMITS)
    const first = encode([latin1Bytes('GET'), latin1Bytes('a')])
    const bytes = concatBytes([first, latin1Bytes('PING\r\n'), first])
    parser.feed(bytes)
    expect(parser.next()).toBe(PARSE_REQUEST)
    expect(parser.next()).toBe(PARSE_REQUEST)
    parser.unread()
    parser.endFeed()
    bytes.fill(0)
    expect(parser.pendingBytes).toBe(first.length + 6)
    parser.feed(latin1Bytes('*1\r\n$1\r\nz\r\n'))
    const requests: string[][] = []
    drain(parser, requests)
    expect(requests).toEqual([['PING'], ['GET', 'a'], ['z']])
  })
})

describe('fuzz', () => {
  const word = fc.uint8Array({ maxLength: 40 })
  const request = fc.array(word, { minLength: 1, maxLength: 20 })

  it('any chunking gives the same requests', () => {
    fc.assert(
      fc.property(
        fc.array(request, { maxLength: 20 }),
        fc.nat(),
        fc.integer({ min: 1, max: 60 }),
        (list, seed, piece) => {
          const bytes = concatBytes(list.map(encode))
          const expected = { requests: list.map((words) => words.map((bytes) => latin1Text(bytes))), error: '' }
          expect(parseChunks(cut(bytes, new Prng(seed), piece))).toEqual(expected)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('random garbage gives protocol errors at most, and the same for any chunking', () => {
    const random = new Prng(7)
    const alphabet = latin1Bytes('**$$\r\n\r\n\r\n0123456789-+ab"\'\\ \t')
    const errors = new Set<string>()
    for (let round = 0; round < 4000; round++) {
      const bytes = new Uint8Array(1 + random.below(60))
      const foreign = random.chance(0.2)
      for (let i = 0; i < bytes.length; i++)
        bytes[i] = foreign ? random.below(256) : alphabet[random.below(alphabet.length)]
      const whole = parseChunks([bytes])
      expect(parseChunks(cut(bytes, random, 1 + random.below(8)))).toEqual(whole)
      errors.add(whole.error)
    }
    for (const error of ['', 'invalid multibulk length', 'invalid bulk length', 'unbalanced quotes in request']) {
      expect(errors).toContain(error)
    }
  })

  it('holds no more than what came of one request: an announced length costs nothing', () => {
    const parser = new RespParser({ maxRequestBytes: 1024 * 1024, maxWords: 1024 * 1024 })
    const feed = (bytes: Uint8Array): void => {
      parser.feed(bytes)
      while (parser.next() === PARSE_REQUEST);
      parser.endFeed()
    }
    feed(latin1Bytes('*1000000\r\n$1000000\r\nabc'))
    expect(parser.heldBytes).toBeLessThan(2048)
    for (let i = 0; i < 100; i++) feed(new Uint8Array(9990))
    expect(parser.heldBytes).toBeLessThan(3 * 1024 * 1024)
    feed(concatBytes([new Uint8Array(997), latin1Bytes('\r\n*xyz\r\n')]))
    expect(parser.error).toBe("expected '$', got '*'")
    expect(parser.heldBytes).toBeLessThan(20 * 1024)
    expect(parser.next()).toBe(PARSE_ERROR)
  })

  it('gives a large buffer back after the request', () => {
    const parser = new RespParser(LIMITS)
    const value = new Uint8Array(900_000)
    const bytes = encode([latin1Bytes('SET'), latin1Bytes('k'), value])
    let requests = 0
    for (const piece of cut(bytes, new Prng(1), 65536)) {
      parser.feed(piece)
      while (parser.next() === PARSE_REQUEST) requests++
      parser.endFeed()
    }
    expect(requests).toBe(1)
    expect(parser.next()).toBe(PARSE_MORE)
    expect(parser.heldBytes).toBeLessThan(20 * 1024)
  })
})
