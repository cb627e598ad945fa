import { expect, test } from 'vitest'
import { FAULT_NAMES } from './faults.ts'
import { parseOptions } from './options.ts'

test('everything has a default', () => {
  expect(parseOptions([])).toEqual({ minutes: 1, seed: 1, faults: [...FAULT_NAMES], json: false })
})

test('everything can be said', () => {
  const words = ['--minutes', '0.5', '--seed', '42', '--faults', 'restart-all,kill', '--mode', 'raft', '--json']
  expect(parseOptions(words)).toEqual({ minutes: 0.5, seed: 42, faults: ['kill', 'restart-all'], json: true })
})

test.each([
  [['--faults', 'kill,partition'], /^option .* The fault partition is not built yet; built are kill, pause, /],
  [['--faults', 'zookeeper'], /The fault zookeeper is not built yet/],
  [['--faults', 'flood'], /Known: kill, pause, restart-all/],
  [['--faults', ''], /Known: kill/],
  [['--mode', 'semi-sync'], /semi-sync is not built yet/],
  [['--mode', 'chain'], /Known: raft/],
  [['--minutes', '0'], /Above 0/],
  [['--minutes', 'long'], /Above 0/],
  [['--seed', '-1'], /A whole number is wanted/],
  [['--nonsense'], /unknown option '--nonsense'/],
  [['now'], /too many arguments|unknown word 'now'/],
])('%j is refused in one line', (words, message) => {
  expect(() => parseOptions(words)).toThrow(message)
  expect(() => parseOptions(words)).toThrow(/^[^\n]+$/)
})
