// A typed line as redis-cli would split it.
import { expect, test } from 'vitest'
import { splitWords } from './split-words.ts'

const LINES: [string, string[] | null][] = [
  ['', []],
  ['   \t ', []],
  ['get a', ['get', 'a']],
  ['  put  a   b ', ['put', 'a', 'b']],
  ['put a "hello world"', ['put', 'a', 'hello world']],
  ['put a ""', ['put', 'a', '']],
  ['put "a\\"b" \'it\\\'s\'', ['put', 'a"b', "it's"]],
  ['put a "\\x41\\n\\t\\\\"', ['put', 'a', 'A\n\t\\']],
  ["put a '\\n'", ['put', 'a', '\\n']],
  ['put a "ключ"', ['put', 'a', 'ключ']],
  ['put a 😀', ['put', 'a', '😀']],
  ['put a b"c', ['put', 'a', 'b"c']],
  ['put a "open', null],
  ['put "a"b', null],
  ['put "a\\"', null],
]

test.each(LINES)('%j', (line, words) => {
  expect(splitWords(line)?.map((word) => word.toString('utf8')) ?? null).toEqual(words)
})

test('an escape of one byte is that byte, not its UTF-8 form', () => {
  expect(splitWords('"\\xff\\x00"')).toEqual([Buffer.of(255, 0)])
})
