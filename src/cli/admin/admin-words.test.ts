// The words behind `quorate admin`, and the tables that answers become.
import { expect, test } from 'vitest'
import { PLAIN } from '../prompt/palette.ts'
import { adminLines, bar, bytesText } from './admin-tables.ts'
import { parseAdminWords } from './admin-words.ts'

const GOOD: [words: string, call: string, args: Record<string, unknown>][] = [
  ['status', 'status', {}],
  ['--json status --addr a:1', 'status', {}],
  ['move 0-9,12 --to 2 --wait', 'move', { ranges: '0-9,12', to: 2 }],
  ['move --key k --to=2', 'move', { key: 'k', to: 2 }],
  ['rebalance --dry-run', 'rebalance', { dryRun: true }],
  ['group create --weight 20 --nodes 1,2,3', 'group-create', { weight: 20, nodes: [1, 2, 3] }],
  ['group weight 1 5', 'group-weight', { group: 1, weight: 5 }],
  ['group drain 1 --wait', 'group-drain', { group: 1 }],
  ['join 4 --masters', 'join', { node: 4, masters: true }],
  ['leave 4 --group 2', 'leave', { node: 4, group: 2 }],
  ['replace 1 5', 'replace', { old: 1, new: 5 }],
  ['recover-masters --yes --lost 1,2', 'recover-masters', { yes: true, lost: [1, 2] }],
  ['key-group -- --odd', 'key-group', { key: '--odd' }],
]

test.each(GOOD)('%s', (words, call, args) => {
  expect(parseAdminWords(words.split(' '))).toMatchObject({ ok: true, value: { call, args } })
})

test.each([
  '',
  'fly',
  'group',
  'group fly',
  'status 1',
  'status --wait',
  'slots --watch',
  'group weight 1',
  'group weight 1 x',
  'move 0-9 --to',
  'move 0-9 --to 1 --to 2',
  'join 4 --masters=yes --group 1',
])('%s is no command line', (words) => {
  expect(parseAdminWords(words.split(' ').filter((word) => word !== ''))).toMatchObject({
    ok: false,
    failure: { code: 'usage' },
  })
})

test('a move is a line with a bar', () => {
  const move = { reconfigId: 3, from: 1, to: 2, slots: [[0, 9]], phase: 'copying', keys: 5, bytes: 1024 }
  const lines = adminLines('migrations', { migrations: [{ ...move, bytesPerSecond: 512, secondsLeft: 2 }] }, PLAIN)
  expect(lines[1]).toBe('3         1 -> 2  0-9    copying  [#########...........]  5 keys  1.0 KiB  512 B/s  2 s left')
  expect(bar({ phase: 'done' })).toBe(`[${'#'.repeat(20)}]`)
  expect(bytesText(3 * 1024 ** 3)).toBe('3.0 GiB')
})

test('control characters of an answer do not reach the terminal', () => {
  expect(adminLines('token', { token: 'a\u001b[31m' }, PLAIN)).toEqual(['a?[31m'])
})
