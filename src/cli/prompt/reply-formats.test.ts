// Replies for programs: raw bytes, and lines of JSON.
import { expect, test } from 'vitest'
import { type RespValue, RespValueParser } from '../resp-value.ts'
import { replyJson } from './reply-json.ts'
import { replyRaw } from './reply-raw.ts'
import { serverError } from './server-error.ts'

function parsed(wire: string): RespValue {
  return new RespValueParser().push(Buffer.from(wire, 'latin1'))[0]
}

const FORMATS: [wire: string, raw: string, json: string][] = [
  ['_\r\n', '', 'null'],
  ['+OK\r\n', 'OK', '"OK"'],
  [':3\r\n', '3', '3'],
  [':9223372036854775807\r\n', '9223372036854775807', '9223372036854775807'],
  ['(123456789012345678901234567890\r\n', '123456789012345678901234567890', '123456789012345678901234567890'],
  [',3.10\r\n', '3.10', '3.10'],
  [',-inf\r\n', '-inf', '"-inf"'],
  ['#f\r\n', 'false', 'false'],
  ['$3\r\na\nb\r\n', 'a\nb', '"a\\nb"'],
  ['$2\r\n\xff\x00\r\n', '\xff\x00', '{"base64":"/wA="}'],
  ['=5\r\ntxt:a\r\n', 'a', '"a"'],
  ['*0\r\n', '', '[]'],
  ['*3\r\n:1\r\n_\r\n*2\r\n+a\r\n+b\r\n', '1\n\na\nb', '[1,null,["a","b"]]'],
  ['%2\r\n+a\r\n:1\r\n+b\r\n%0\r\n', 'a\n1\nb\n', '{"a":1,"b":{}}'],
  ['%2\r\n+a\r\n:1\r\n+a\r\n:2\r\n', 'a\n1\na\n2', '[["a",1],["a",2]]'],
  ['%1\r\n:1\r\n:2\r\n', '1\n2', '[[1,2]]'],
  ['~1\r\n:1\r\n', '1', '[1]'],
  [
    '*1\r\n-WRONGTYPE not so\r\n',
    'WRONGTYPE not so',
    '[{"error":{"code":"WRONGTYPE","message":"not so","mend":"TYPE says what the key holds"}}]',
  ],
]

test.each(FORMATS)('%j', (wire, raw, json) => {
  expect(replyRaw(parsed(wire)).toString('latin1')).toBe(`${raw}\n`)
  expect(replyJson(parsed(wire))).toBe(json)
  JSON.parse(json)
})

test('an error reply has a code, a message, and a mend where there is one', () => {
  expect(serverError('ERR value is not an integer')).toEqual({ code: 'ERR', message: 'value is not an integer' })
  expect(serverError('UNCERTAIN no leader')).toMatchObject({ code: 'UNCERTAIN', mend: expect.stringContaining('look') })
  expect(serverError("ERR unknown command 'x'")).toMatchObject({ mend: '`help` lists the commands' })
  expect(serverError('odd')).toEqual({ code: 'ERR', message: 'odd' })
})
