// What may follow the words typed so far.
import { expect, test } from 'vitest'
import { commandDoc, documentedCommands } from '../../protocol/command-docs.ts'
import { parseSyntax, syntaxText } from '../../protocol/command-syntax.ts'
import { nextTokens, remainingSyntax } from './syntax-match.ts'

test('every syntax of the command table comes out as it went in', () => {
  for (const name of documentedCommands()) {
    const { syntax } = commandDoc(name)
    expect([name, syntaxText(parseSyntax(syntax))]).toEqual([name, syntax])
  }
})

const SET = commandDoc('set').syntax
const EXPIRIES = '[EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]'
const CONDITIONS = '[NX|XX|IFEQ comparison-value|IFNE comparison-value]'

const REST: [syntax: string, typed: string, rest: string | null][] = [
  ['key', '', 'key'],
  ['key', 'a', ''],
  ['key', 'a b', null],
  ['', 'a', null],
  ['key [key ...]', 'a', '[key ...]'],
  ['key [key ...]', 'a b c', '[key ...]'],
  ['key value [key value ...]', 'a', 'value [key value ...]'],
  ['key value [key value ...]', 'a b c', 'value [key value ...]'],
  ['key value [key value ...]', 'a b c d', '[key value ...]'],
  [SET, 'k v', `${CONDITIONS} [GET] ${EXPIRIES}`],
  // Options in any order, each once.
  [SET, 'k v ex', `seconds ${CONDITIONS} [GET]`],
  [SET, 'k v EX 10', `${CONDITIONS} [GET]`],
  [SET, 'k v EX 10 get', CONDITIONS],
  [SET, 'k v EX 10 PX', null],
  [SET, 'k v NONSENSE', null],
  ['key bit [start [end [BYTE|BIT]]]', 'k 1 0', '[end [BYTE|BIT]]'],
  ['key bit [start [end [BYTE|BIT]]]', 'k 1 0 -1', '[BYTE|BIT]'],
  ['<AND|OR> destkey key [key ...]', 'and', 'destkey key [key ...]'],
  ['<AND|OR> destkey key [key ...]', 'nor', null],
  [
    commandDoc('bitfield').syntax,
    'k OVERFLOW sat',
    '<SET encoding offset value|INCRBY encoding offset increment> ' +
      '[GET encoding offset|[OVERFLOW <WRAP|SAT|FAIL>] <SET encoding offset value|INCRBY encoding offset increment> ...]',
  ],
  [commandDoc('bitfield_ro').syntax, 'k GET u8', 'offset [GET encoding offset ...]'],
  [commandDoc('hello').syntax, '3 AUTH me', 'password [SETNAME clientname]'],
  [commandDoc('client|list').syntax, 'TYPE normal', '[ID client-id [client-id ...]]'],
  [
    commandDoc('client|kill').syntax,
    'ID 7 SKIPME no',
    '[ip:port|ID client-id|TYPE <NORMAL|MASTER|REPLICA|PUBSUB>|USER username|ADDR ip:port|LADDR ip:port|SKIPME <YES|NO> ...]',
  ],
]

test.each(REST)('%s <- %j', (syntax, typed, expected) => {
  const rest = remainingSyntax(parseSyntax(syntax), typed.split(' ').filter(Boolean))
  expect(rest === null ? null : syntaxText(rest)).toBe(expected)
})

test('the words that may come next as they are', () => {
  const after = (typed: string): string[] => nextTokens(remainingSyntax(parseSyntax(SET), typed.split(' ')) ?? [])
  expect(after('k')).toEqual([])
  expect(after('k v')).toEqual(['NX', 'XX', 'IFEQ', 'IFNE', 'GET', 'EX', 'PX', 'EXAT', 'PXAT', 'KEEPTTL'])
  expect(after('k v EX')).toEqual([])
  expect(after('k v NX KEEPTTL')).toEqual(['GET'])
})
