// RESP3's types keep what they say, whole and cut at every byte.
import { expect, test } from 'vitest'
import { type RespValue, RespValueParser } from './resp-value.ts'

const text = (value: string): RespValue => ({ kind: 'bulk', bytes: Buffer.from(value) })

const VALUES: [string, RespValue][] = [
  ['+OK\r\n', { kind: 'simple', text: 'OK' }],
  [',3.10\r\n', { kind: 'double', text: '3.10' }],
  ['(123456789012345678901234567890\r\n', { kind: 'big-number', value: 123456789012345678901234567890n }],
  [':9223372036854775807\r\n', { kind: 'integer', value: 9223372036854775807n }],
  ['=8\r\ntxt:a\r\nb\r\n', { kind: 'verbatim', format: 'txt', bytes: Buffer.from('a\r\nb') }],
  ['%1\r\n$1\r\na\r\n*0\r\n', { kind: 'map', items: [text('a'), { kind: 'array', items: [] }] }],
  ['~2\r\n#t\r\n_\r\n', { kind: 'set', items: [{ kind: 'boolean', value: true }, { kind: 'nil' }] }],
  ['>2\r\n+message\r\n$0\r\n\r\n', { kind: 'push', items: [{ kind: 'simple', text: 'message' }, text('')] }],
  // An attribute says something of the value that follows; that value is the reply.
  ['|1\r\n+ttl\r\n:3\r\n$1\r\nx\r\n', text('x')],
  [
    '*2\r\n|1\r\n+a\r\n:1\r\n:2\r\n:3\r\n',
    {
      kind: 'array',
      items: [
        { kind: 'integer', value: 2 },
        { kind: 'integer', value: 3 },
      ],
    },
  ],
]

test.each(VALUES)('%j', (wire, value) => {
  const bytes = Buffer.from(wire, 'latin1')
  expect(new RespValueParser().push(bytes)).toEqual([value])
  for (let cut = 1; cut < bytes.length; cut++) {
    const parser = new RespValueParser()
    expect([...parser.push(bytes.subarray(0, cut)), ...parser.push(bytes.subarray(cut))]).toEqual([value])
  }
  const single = new RespValueParser()
  expect([...bytes].flatMap((byte) => single.push(Buffer.of(byte)))).toEqual([value])
})

test('a long value in many chunks is joined once', () => {
  const parser = new RespValueParser()
  const chunk = Buffer.alloc(64 * 1024, 'a')
  expect(parser.push(Buffer.from(`$${chunk.length * 512}\r\n`))).toEqual([])
  for (let i = 0; i < 512; i++) expect(parser.push(chunk)).toEqual([])
  const [value] = parser.push(Buffer.from('\r\n'))
  expect(value.kind === 'bulk' && value.bytes.length).toBe(chunk.length * 512)
})

test('what is no reply is refused at its first byte', () => {
  expect(() => new RespValueParser().push(Buffer.from('HTTP/1.1'))).toThrow('unexpected reply type "H"')
  expect(() => new RespValueParser().push(Buffer.from('(12x\r\n'))).toThrow('bad integer')
})
