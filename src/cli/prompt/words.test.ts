// Completion, hints and help come from the command table; lines become commands.
import { expect, test } from 'vitest'
import { argumentHint } from './argument-hint.ts'
import { commandHelp } from './command-help.ts'
import { complete } from './completion.ts'
import { continueCommand, singleCommand } from './continue-command.ts'
import { COMMANDS } from './vocabulary.ts'

const COMPLETIONS: [line: string, candidates: string[], replaced: string][] = [
  ['psub', ['psubscribe '], 'psub'],
  ['PSUB', ['PSUBSCRIBE '], 'PSUB'],
  ['pu', ['publish', 'pubsub', 'punsubscribe', 'put'], 'pu'],
  ['set', ['set', 'setbit', 'setex', 'setnx', 'setrange'], 'set'],
  ['client set', ['setinfo', 'setname'], 'set'],
  ['CONFIG ', ['GET', 'HELP', 'RESETSTAT', 'REWRITE', 'SET'], ''],
  ['config get ', [], ''],
  ['SET k v e', ['ex', 'exat'], 'e'],
  ['SET k v EX 10 k', [], 'k'],
  ['SET k v EX ', [], ''],
  ['SET ', [], ''],
  ['scan 0 M', ['MATCH '], 'M'],
  ['delete a', [], 'a'],
  ['help pubsub num', ['numpat', 'numsub'], 'num'],
  ['help @str', ['@string '], '@str'],
  ['put "a', [], 'put "a'],
  ['nonsense x', [], 'x'],
]

test.each(COMPLETIONS)('Tab after %j', (line, candidates, replaced) => {
  expect(complete(line)).toEqual([candidates, replaced])
})

test('Tab on nothing offers every command', () => {
  expect(complete('')[0]).toHaveLength(COMMANDS.length)
})

const HINTS: [line: string, hint: string][] = [
  ['', ''],
  ['se', ''],
  ['get', ' key'],
  ['get ', 'key'],
  ['get a', ''],
  ['put', ' key value'],
  ['put greeting', ' value'],
  ['put greeting ', 'value'],
  ['put greeting "hello world"', ''],
  ['delete a ', '[key ...]'],
  ['cas a ', 'expected new'],
  ['object', ' <ENCODING|FREQ|HELP|IDLETIME|REFCOUNT>'],
  ['object encoding', ' key'],
  ['expire k 10 ', '[NX|XX|GT|LT]'],
  ['expire k 10 N', ''],
  ['ping', ' [message]'],
  ['put "a', ''],
  ['nonsense ', ''],
]

test.each(HINTS)('the hint of %j', (line, hint) => {
  expect(argumentHint(line)).toBe(hint)
})

function help(...topic: string[]): string {
  const outcome = commandHelp(topic)
  return outcome.ok ? outcome.value : `${outcome.failure.message}; ${outcome.failure.mend}`
}

test('help of a command says what the table says', () => {
  expect(help('setrange')).toBe(`SETRANGE key offset value
  Overwrite part of a string.
  since Redis 2.2.0
  group @string
  complexity O(1)
  arguments:
    key
    offset
    value`)
  expect(help('SET')).toContain(
    '    optional, one of: NX, XX, IFEQ comparison-value, IFNE comparison-value\n    optional: GET\n',
  )
  expect(help('kv.cas')).toContain('since Quorate 0.1.0')
  expect(help('cas')).toContain('the same as KV.CAS')
  expect(help('client', 'setname')).toMatch(/^CLIENT SETNAME connection-name\n/)
  expect(help('object')).toMatch(/subcommands:\n {4}OBJECT ENCODING {4}Return the encoding/)
  expect(help('unwatch')).toContain('no arguments')
  expect(help('@transactions').split('\n')).toHaveLength(5)
  expect(help()).toContain('Groups: @bitmap @cluster @connection')
})

test('help of what is not there leads on', () => {
  expect(help('sett')).toMatch(/^there is no command SETT; perhaps .*\bSET\b/)
  expect(help('zzzzzz')).toBe('there is no command ZZZZZZ; `help` lists the groups')
  expect(help('object', 'sizes')).toMatch(/^there is no command OBJECT SIZES; there are: OBJECT ENCODING, /)
  expect(help('@zzz')).toMatch(/^there is no group @zzz; there are: @bitmap/)
})

/** The words of each command, or the message of what is none. */
function commandsOf(...lines: string[]): (string[] | string)[] {
  const commands: (string[] | string)[] = []
  let before = ''
  for (const line of lines) {
    const step = continueCommand(before, line)
    before = step.kind === 'more' ? step.text : ''
    if (step.kind === 'command') commands.push(step.words.map(String))
    if (step.kind === 'bad') commands.push(step.message)
  }
  return before === '' ? commands : [...commands, `open: ${before}`]
}

test('a command goes on over lines inside quotes and after a backslash', () => {
  expect(commandsOf('put a "one', 'two"', 'get a')).toEqual([
    ['put', 'a', 'one\ntwo'],
    ['get', 'a'],
  ])
  expect(commandsOf('put a \\', 'b')).toEqual([['put', 'a', 'b']])
  expect(commandsOf('put a b\\', 'c')).toEqual([['put', 'a', 'bc']])
  expect(commandsOf('put a "b\\', 'c"')).toEqual([['put', 'a', 'bc']])
  expect(commandsOf("put a 'b\\", "c'")).toEqual([['put', 'a', 'b\\\nc']])
  // An even number of them stands for itself, and so does one behind a quote.
  expect(commandsOf('put a b\\\\')).toEqual([['put', 'a', 'b\\\\']])
  expect(commandsOf('put a "b\\\\"')).toEqual([['put', 'a', 'b\\']])
  expect(commandsOf('put a "', '', '"')).toEqual([['put', 'a', '\n\n']])
  expect(commandsOf('put a "open')).toEqual(['open: put a "open\n'])
  expect(commandsOf('put "a"b')).toEqual(['a closing quote is followed by something else than a blank'])
})

test('a line that must be a command of its own', () => {
  expect(singleCommand('put a \\', 'latin1')).toMatchObject({ kind: 'command' })
  expect(singleCommand('put a "open', 'latin1')).toMatchObject({ kind: 'bad', message: 'a quote is not closed' })
  expect(singleCommand('a'.repeat(40 * 1024 * 1024 + 1), 'latin1')).toMatchObject({ kind: 'bad' })
})
