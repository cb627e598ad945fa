// Replies: every type, cut anywhere, several in one chunk; and what is no reply at all.
import { expect, test } from 'vitest'
import { encodeRequest, RespError, type RespReply, RespReplyParser } from './resp-reply.ts'

const REPLIES: [string, RespReply][] = [
  ['+OK\r\n', 'OK'],
  ['-ERR no\r\n', new RespError('ERR no')],
  [':-42\r\n', -42],
  [':9223372036854775807\r\n', 9223372036854775807n],
  ['(123456789012345678901234567890\r\n', 123456789012345678901234567890n],
  [',1.5\r\n', 1.5],
  [',-inf\r\n', -Infinity],
  ['#t\r\n', true],
  ['_\r\n', null],
  ['$-1\r\n', null],
  ['*-1\r\n', null],
  ['$0\r\n\r\n', Buffer.alloc(0)],
  ['$5\r\na\r\nbc\r\n', Buffer.from('a\r\nbc')],
  ['=7\r\ntxt:abc\r\n', Buffer.from('abc')],
  ['!6\r\nERR no\r\n', new RespError('ERR no')],
  ['*2\r\n:1\r\n*1\r\n$1\r\nx\r\n', [1, [Buffer.from('x')]]],
  ['%1\r\n+a\r\n:1\r\n', ['a', 1]],
  ['~1\r\n:7\r\n', [7]],
]

test('every type of reply, whole and cut at every byte', () => {
  for (const [text, reply] of REPLIES) {
    const bytes = Buffer.from(text, 'latin1')
    expect(new RespReplyParser().push(bytes)).toEqual([reply])
    for (let cut = 1; cut < bytes.length; cut++) {
      const parser = new RespReplyParser()
      expect(parser.push(bytes.subarray(0, cut)), `${JSON.stringify(text)} cut at ${cut}`).toEqual([])
      expect(parser.push(bytes.subarray(cut))).toEqual([reply])
    }
  }
})

test('all replies of one chunk come at once, in order', () => {
  const text = REPLIES.map(([part]) => part).join('')
  expect(new RespReplyParser().push(Buffer.from(text, 'latin1'))).toEqual(REPLIES.map(([, reply]) => reply))
})

test('what is no reply is an error, not a wait without end', () => {
  expect(() => new RespReplyParser().push(Buffer.from('HTTP/1.1 400 Bad Request\r\n'))).toThrow('unexpected reply type')
  expect(() => new RespReplyParser().push(Buffer.from('$x\r\n'))).toThrow('bad length')
  expect(() => new RespReplyParser().push(Buffer.from('*1\r\n'.repeat(100)))).toThrow('nested too deeply')
})

test('a request is an array of bulk strings, lengths in bytes', () => {
  expect(encodeRequest(['SET', 'ключ', Uint8Array.of(0, 255)]).toString('latin1')).toBe(
    `*3\r\n$3\r\nSET\r\n$8\r\n${Buffer.from('ключ').toString('latin1')}\r\n$2\r\n\0\xff\r\n`,
  )
})
