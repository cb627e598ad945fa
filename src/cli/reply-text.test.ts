// Replies as a person reads them.
import { expect, test } from 'vitest'
import { quoted, replyText } from './reply-text.ts'
import { RespError, type RespReply } from './resp-reply.ts'

const TEXTS: [RespReply, string][] = [
  [null, '(nil)'],
  ['OK', 'OK'],
  [3, '(integer) 3'],
  [2.5, '(double) 2.5'],
  [true, '(true)'],
  [new RespError('ERR unknown command'), '(error) ERR unknown command'],
  [Buffer.from('a "b"\n'), '"a \\"b\\"\\n"'],
  [[], '(empty array)'],
  [[1, null], '1) (integer) 1\n2) (nil)'],
  [[[1, 2], 'x'], '1) 1) (integer) 1\n   2) (integer) 2\n2) x'],
]

test.each(TEXTS)('%j', (reply, text) => {
  expect(replyText(reply)).toBe(text)
})

test('text stays readable, other bytes are escaped one by one', () => {
  expect(quoted(Buffer.from('ключ'))).toBe('"ключ"')
  expect(quoted(Buffer.of(0xff, 0x41, 0x00))).toBe('"\\xffA\\x00"')
  expect(quoted(Buffer.from('\u001b[31m'))).toBe('"\\x1b[31m"')
})
