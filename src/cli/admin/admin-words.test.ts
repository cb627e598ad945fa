// The words behind `quorate admin`, and the tables that answers become.
import { expect, test } from 'vitest'
import { PLAIN } from '../prompt/palette.ts'
import { adminLines, bar, bytesText } from './admin-tables.ts'
import { parseAdminWords, wantsHelp } from './admin-words.ts'

const GOOD: [words: string, call: string, args: Record<string, unknown>][] = [
  ['status', 'status', {}],
  ['--json status --addr a:1', 'status', {}],
  ['move 0-9,12 --to 2 --wait', 'move', { ranges: '0-9,12', to: 2 }],
  ['move --key k --to=2', 'move', { key: 'k', to: 2 }],
  ['rebalance --dry-run', 'rebalance', { dryRun: true }],
  ['group create --weight 20 --nodes 1,2,3', 'group-create', { weight: 20, nodes: [1, 2, 3] }],
  ['group weight 1 5', 'group-weight', { group: 1, weight: 5 }],
  ['group drain 1 --wait', 'group-drain', { group: 1 }],
  ['group undrain 1 --wait', 'group-drain', { group: 1, draining: false }],
  ['group create --weight 1 --anyway', 'group-create', { weight: 1, anyway: true }],
  ['move --key=--odd --to 2', 'move', { key: '--odd', to: 2 }],
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

test.each([
  ['move 0-9', '--to GROUP is missing'],
  ['move --to 1', 'FIRST-LAST,... or --key KEY is missing'],
  ['move 0-9 --key k --to 1', 'FIRST-LAST,... and --key KEY contradict each other'],
  ['group create --nodes 1', '--weight WEIGHT is missing'],
  ['join 4', '--group GROUP or --masters is missing'],
  ['join 4 --group 1 --masters', '--group GROUP and --masters contradict each other'],
  ['leave 4', '--group GROUP or --masters is missing'],
  ['status --frob', 'there is no option --frob'],
  ['slots --frob 3', 'there is no option --frob'],
  ['slots --yes', 'there is no --yes here'],
  ['group create --weight 1 --nodes --json', '--nodes lacks its value'],
])('%s: %s', (words, message) => {
  const parsed = parseAdminWords(words.split(' '))
  expect(parsed).toMatchObject({ ok: false, failure: { code: 'usage', message: expect.stringContaining(message) } })
})

test('help is wanted anywhere on the line, except as an argument', () => {
  for (const words of ['group --help', 'move 0-9 --to --help', 'status -h'])
    expect(wantsHelp(words.split(' '))).toBe(true)
  expect(wantsHelp(['key-group', '--', '--help'])).toBe(false)
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
