// A typed line as redis-cli would split it.
import { expect, test } from 'vitest'
import { splitWords } from './split-words.ts'

function wordsOf(line: string): string[] | string {
  const split = splitWords(line)
  return split.kind === 'words' ? split.words.map(({ bytes }) => bytes.toString('utf8')) : split.kind
}

const LINES: [string, string[] | string][] = [
  ['', []],
  ['   \t ', []],
  ['get a', ['get', 'a']],
  ['  put  a   b ', ['put', 'a', 'b']],
  ['put a "hello world"', ['put', 'a', 'hello world']],
  ['put a ""', ['put', 'a', '']],
  ['put "a\\"b" \'it\\\'s\'', ['put', 'a"b', "it's"]],
  ['put a "\\x41\\n\\t\\\\"', ['put', 'a', 'A\n\t\\']],
  ['put a "\\\\"', ['put', 'a', '\\']],
  ['put a "\\xzz"', ['put', 'a', 'xzz']],
  ["put a '\\n'", ['put', 'a', '\\n']],
  ['put a "ключ"', ['put', 'a', 'ключ']],
  ['put a 😀', ['put', 'a', '😀']],
  ['put a "\\😀"', ['put', 'a', '😀']],
  ['put a b"c', ['put', 'a', 'b"c']],
  ["put a it's", ['put', 'a', "it's"]],
  ['put a "one\ntwo"', ['put', 'a', 'one\ntwo']],
  ['put a "open', 'open'],
  ["put a 'open", 'open'],
  ['put "a\\"', 'open'],
  ['put "a"b', 'stray'],
]

test.each(LINES)('%j', (line, words) => {
  expect(wordsOf(line)).toEqual(words)
})

test('an escape of one byte is that byte, not its UTF-8 form', () => {
  expect(splitWords('"\\xff\\x00"')).toMatchObject({ words: [{ bytes: Buffer.of(255, 0) }] })
})

test('a line of bytes keeps every byte', () => {
  const split = splitWords('set \xff\x80 "\xfe\\n"', 'latin1')
  expect(split).toMatchObject({ words: [{}, { bytes: Buffer.of(0xff, 0x80) }, { bytes: Buffer.of(0xfe, 10) }] })
})

test('each word knows where it stands', () => {
  expect(splitWords('set "a b"  c')).toMatchObject({
    words: [
      { start: 0, end: 3, isQuoted: false },
      { start: 4, end: 9, isQuoted: true },
      { start: 11, end: 12 },
    ],
  })
})
