// What comes in besides typed lines: addresses, piped bytes, arguments.
import { expect, test } from 'vitest'
import { byteLines } from './byte-lines.ts'
import { parseAddresses } from './cluster-addresses.ts'
import { argumentBytes } from './program-arguments.ts'
import { commandLine, holdsSecret, mayHoldSecret } from './prompt-history.ts'

const ADDRESSES: [given: string, addresses: string[] | null][] = [
  ['127.0.0.1:7379', ['127.0.0.1:7379']],
  ['a:1, b:2,a:1', ['a:1', 'b:2']],
  ['node.example', ['node.example:7379']],
  ['7389', ['127.0.0.1:7389']],
  [':7389', ['127.0.0.1:7389']],
  ['[::1]:7389', ['::1:7389']],
  ['[fe80::1]', ['fe80::1:7379']],
  ['', null],
  ['a:1,', null],
  ['a:0', null],
  ['a:99999', null],
  ['a:b', null],
  ['redis://a:1', null],
  ['::1', null],
]

test.each(ADDRESSES)('--addr %j', (given, addresses) => {
  const parsed = parseAddresses(given)
  expect(parsed.ok ? parsed.value : null).toEqual(addresses)
})

async function linesOf(chunks: readonly string[], maxBytes: number): Promise<(string | null)[]> {
  const lines: (string | null)[] = []
  async function* source(): AsyncGenerator<Buffer> {
    for (const chunk of chunks) yield Buffer.from(chunk, 'latin1')
  }
  for await (const line of byteLines(source(), maxBytes)) lines.push(line?.toString('latin1') ?? null)
  return lines
}

test('bytes into lines, wherever they are cut; too long a line is null', async () => {
  expect(await linesOf(['a\nb', 'c\r\n\n\xff'], 100)).toEqual(['a', 'bc', '', '\xff'])
  expect(await linesOf(['abc', 'def\nok\nabcd', 'ef'], 4)).toEqual([null, 'ok', null])
  expect(await linesOf(['abcd\n'], 4)).toEqual(['abcd'])
  expect(await linesOf([], 4)).toEqual([])
})

test('arguments that are text are their UTF-8', () => {
  expect(argumentBytes(['SET', 'ключ', ''])).toEqual([Buffer.from('SET'), Buffer.from('ключ'), Buffer.alloc(0)])
  // Not what this process was started with: the replacement character itself is meant.
  expect(argumentBytes(['\ufffd'])).toEqual([Buffer.from('\ufffd')])
})

test('a command on one line reads back as itself', () => {
  const words = ['put', 'a', '', 'b c', 'd"e', "it's", 'two\nlines', 'ключ'].map((word) => Buffer.from(word))
  expect(commandLine([...words, Buffer.of(255)])).toBe('put a "" "b c" "d\\"e" "it\'s" "two\\nlines" ключ "\\xff"')
})

test('passwords are known by their commands', () => {
  const secret = (line: string): boolean => holdsSecret(line.split(' ').map((word) => Buffer.from(word)))
  for (const line of ['auth x', 'HELLO 3 auth me x', 'CONFIG SET requirepass x', 'ACL SETUSER me >x']) {
    expect([line, secret(line), mayHoldSecret(line)]).toEqual([line, true, true])
  }
  for (const line of ['HELLO 3', 'get auth', 'CONFIG GET requirepass', 'CONFIG SET maxmemory 1']) {
    expect([line, secret(line)]).toEqual([line, false])
  }
})
