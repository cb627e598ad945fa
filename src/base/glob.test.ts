import { expect, it } from 'vitest'
import { globMatchesText } from './glob.ts'

it.each([
  ['*', '', true],
  ['*', 'anything', true],
  ['', '', true],
  ['', 'a', false],
  ['save', 'save', true],
  ['save', 'saved', false],
  ['max*', 'maxclients', true],
  ['*clients', 'maxclients', true],
  ['m*c*s', 'maxclients', true],
  ['m*c*x', 'maxclients', false],
  ['?ave', 'save', true],
  ['?ave', 'ave', false],
  ['[sr]ave', 'rave', true],
  ['[^sr]ave', 'rave', false],
  ['[^sr]ave', 'wave', true],
  ['[a-t]ave', 'save', true],
  ['[t-a]ave', 'save', true],
  ['[t-z]ave', 'save', false],
  ['[\\]]x', ']x', true],
  ['\\*', '*', true],
  ['\\*', 'x', false],
  ['[abc', 'c', true],
])('%j against %j', (pattern, text, matches) => {
  expect(globMatchesText(pattern, text)).toBe(matches)
})

it('takes no longer for patterns made to be slow', () => {
  expect(globMatchesText('*a'.repeat(500), `${'a'.repeat(5000)}b`)).toBe(false)
})
