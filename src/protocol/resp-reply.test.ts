import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, latin1Bytes, latin1Text } from '../base/bytes.ts'
import {
  arrayElements,
  arrayReply,
  bigNumberReply,
  booleanReply,
  bulkReply,
  bulkText,
  doubleReply,
  errorReply,
  hasErrorCode,
  integerOf,
  integerReply,
  mapReply,
  NULL_REPLY,
  OK_REPLY,
  pushReply,
  setReply,
  simpleString,
  toResp2,
  verbatimReply,
} from './resp-reply.ts'

const text = (reply: Uint8Array): string => latin1Text(reply)

describe('replies as RESP3', () => {
  it.each([
    [simpleString('OK'), '+OK\r\n'],
    [errorReply('ERR bad\r\nword'), '-ERR bad  word\r\n'],
    [errorReply('ERR \xff'), '-ERR \xff\r\n'],
    [errorReply('ERR €'), '-ERR \xe2\x82\xac\r\n'],
    [integerReply(-2), ':-2\r\n'],
    [integerReply(-3), ':-3\r\n'],
    [integerReply(1023), ':1023\r\n'],
    [integerReply(1024), ':1024\r\n'],
    [integerReply(-9223372036854775808n), ':-9223372036854775808\r\n'],
    [bulkReply(latin1Bytes('a\r\nb')), '$4\r\na\r\nb\r\n'],
    [bulkReply(latin1Bytes('')), '$0\r\n\r\n'],
    [bulkReply(latin1Bytes('x'.repeat(1234))), `$1234\r\n${'x'.repeat(1234)}\r\n`],
    [bulkText('é'), '$2\r\n\xc3\xa9\r\n'],
    [verbatimReply('txt', 'hi'), '=6\r\ntxt:hi\r\n'],
    [doubleReply(1.5), ',1.5\r\n'],
    [doubleReply(Number.NEGATIVE_INFINITY), ',-inf\r\n'],
    [doubleReply(Number.NaN), ',nan\r\n'],
    [bigNumberReply(123n), '(123\r\n'],
    [booleanReply(false), '#f\r\n'],
    [arrayReply([]), '*0\r\n'],
    [arrayReply([OK_REPLY, NULL_REPLY]), '*2\r\n+OK\r\n_\r\n'],
    [mapReply([[bulkText('a'), integerReply(1)]]), '%1\r\n$1\r\na\r\n:1\r\n'],
  ])('%#', (reply, expected) => {
    expect(text(reply)).toBe(expected)
  })

  it('shares common integers and copies bulk views', () => {
    expect(integerReply(1)).toBe(integerReply(1))
    const view = latin1Bytes('abc')
    const reply = bulkReply(view)
    view.fill(0)
    expect(text(reply)).toBe('$3\r\nabc\r\n')
  })

  it('takes replies apart', () => {
    expect(integerOf(integerReply(-77))).toBe(-77)
    expect(integerOf(OK_REPLY)).toBeNull()
    const parts = [OK_REPLY, arrayReply([NULL_REPLY, bulkText('*2\r\n')]), mapReply([[OK_REPLY, NULL_REPLY]])]
    expect(arrayElements(arrayReply(parts))?.map(text)).toEqual(parts.map(text))
    expect(arrayElements(OK_REPLY)).toBeNull()
    expect(hasErrorCode(errorReply('BUSY wait'), latin1Bytes('-BUSY'))).toBe(true)
    expect(hasErrorCode(errorReply('BUSY'), latin1Bytes('-BUSY'))).toBe(true)
    expect(hasErrorCode(errorReply('BUSYGROUP x'), latin1Bytes('-BUSY'))).toBe(false)
    expect(hasErrorCode(OK_REPLY, latin1Bytes('-BUSY'))).toBe(false)
  })
})

describe('RESP3 to RESP2', () => {
  it.each([
    ['_\r\n', '$-1\r\n'],
    ['+OK\r\n', '+OK\r\n'],
    ['#t\r\n', ':1\r\n'],
    ['#f\r\n', ':0\r\n'],
    [',1.5\r\n', '$3\r\n1.5\r\n'],
    ['(12345678901234567890\r\n', '$20\r\n12345678901234567890\r\n'],
    ['=6\r\ntxt:hi\r\n', '$2\r\nhi\r\n'],
    ['!8\r\nERR a\r\nb\r\n', '-ERR a  b\r\n'],
    ['%1\r\n+a\r\n_\r\n', '*2\r\n+a\r\n$-1\r\n'],
    ['~2\r\n:1\r\n:2\r\n', '*2\r\n:1\r\n:2\r\n'],
    ['*2\r\n%1\r\n+a\r\n*1\r\n,2\r\n$3\r\n_\r\n\r\n', '*2\r\n*2\r\n+a\r\n*1\r\n$1\r\n2\r\n$3\r\n_\r\n\r\n'],
    ['|1\r\n+ttl\r\n:9\r\n*1\r\n_\r\n', '*1\r\n$-1\r\n'],
  ])('%j is %j', (resp3, resp2) => {
    expect(text(toResp2(latin1Bytes(resp3)))).toBe(resp2)
  })

  it('does not copy what is the same in both', () => {
    const plain = arrayReply([OK_REPLY, integerReply(1), bulkText('%1\r\n_\r\n'), arrayReply([errorReply('ERR x')])])
    expect(toResp2(plain)).toBe(plain)
  })

  it('handles any nesting, and leaves nothing over', () => {
    const { reply } = fc.letrec<{ reply: Uint8Array }>((tie) => ({
      reply: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        fc.constantFrom(OK_REPLY, NULL_REPLY, booleanReply(true), doubleReply(2.5), bigNumberReply(7n)),
        fc.uint8Array({ maxLength: 12 }).map(bulkReply),
        fc.maxSafeInteger().map(integerReply),
        fc.array(tie('reply'), { maxLength: 4 }).map(arrayReply),
        fc.array(tie('reply'), { maxLength: 4 }).map(setReply),
        fc.array(tie('reply'), { maxLength: 4 }).map(pushReply),
        fc.array(fc.tuple(tie('reply'), tie('reply')), { maxLength: 3 }).map(mapReply),
      ),
    }))
    fc.assert(
      fc.property(reply, (resp3) => {
        const once = toResp2(resp3)
        // Wrapped in an array it must be one element: nothing was cut off or left over.
        expect(arrayElements(concatBytes([latin1Bytes('*1\r\n'), once]))?.[0].length).toBe(once.length)
      }),
      { numRuns: 300 },
    )
  })
})
