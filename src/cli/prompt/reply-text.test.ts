// Replies as a person reads them.
import { expect, test } from 'vitest'
import { type RespValue, RespValueParser } from '../resp-value.ts'
import { paletteFor } from './palette.ts'
import { pageText, quoted, replyText } from './reply-text.ts'

function parsed(wire: string): RespValue {
  return new RespValueParser().push(Buffer.from(wire, 'utf8'))[0]
}

const TEXTS: [wire: string, text: string][] = [
  ['_\r\n', '(nil)'],
  ['+OK\r\n', 'OK'],
  [':3\r\n', '(integer) 3'],
  [',2.50\r\n', '(double) 2.50'],
  [',inf\r\n', '(double) inf'],
  ['(12345678901234567890\r\n', '(big number) 12345678901234567890'],
  ['#t\r\n', '(true)'],
  ['-ERR unknown command\r\n', '(error) ERR unknown command'],
  ['$6\r\na "b"\n\r\n', '"a \\"b\\"\\n"'],
  ['=11\r\ntxt:# A\r\nb\n\r\n', '# A\nb'],
  ['*0\r\n', '(empty array)'],
  ['~0\r\n', '(empty set)'],
  ['%0\r\n', '(empty map)'],
  ['*2\r\n:1\r\n_\r\n', '1) (integer) 1\n2) (nil)'],
  ['*2\r\n*2\r\n:1\r\n:2\r\n+x\r\n', '1) 1) (integer) 1\n   2) (integer) 2\n2) x'],
  ['%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n', '1# a => (integer) 1\n2# b => \n   1) (integer) 2'],
  ['~1\r\n+a\r\n', '1~ a'],
  [`*10\r\n${'+x\r\n'.repeat(10)}`, `${[1, 2, 3, 4, 5, 6, 7, 8, 9].map((at) => ` ${at}) x\n`).join('')}10) x`],
]

test.each(TEXTS)('%j', (wire, text) => {
  expect(replyText(parsed(wire))).toBe(text)
})

test('text stays readable, other bytes are escaped one by one', () => {
  expect(quoted(Buffer.from('ключ'))).toBe('"ключ"')
  expect(quoted(Buffer.of(0xff, 0x41, 0x00))).toBe('"\\xffA\\x00"')
  expect(quoted(Buffer.from('\u001b[31m'))).toBe('"\\x1b[31m"')
})

test('no reply steers the terminal', () => {
  expect(replyText(parsed('+a\u001b[2Jb\r\n'))).toBe('a\\x1b[2Jb')
  expect(pageText(Buffer.from('a\u001b]0;x\u0007\n\tb\r\n'))).toBe('a\\x1b]0;x\\x07\n\tb')
})

test('colours on a terminal alone, and not under NO_COLOR', () => {
  const error = parsed('-ERR no\r\n')
  expect(replyText(error, paletteFor({ isTTY: true }, {}))).toBe('\u001b[31m(error) ERR no\u001b[39m')
  expect(replyText(error, paletteFor({ isTTY: true }, { NO_COLOR: '1' }))).toBe('(error) ERR no')
  expect(replyText(error, paletteFor({ isTTY: true }, { TERM: 'dumb' }))).toBe('(error) ERR no')
  expect(replyText(error, paletteFor({}, {}))).toBe('(error) ERR no')
})
