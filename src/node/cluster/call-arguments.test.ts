// What the administration's calls take, and what they refuse by name.
import { expect, test } from 'vitest'
import { CallArguments, checkArguments, rangesOf } from './call-arguments.ts'
import { decodeReply, decodeRequest, encodeReply, encodeRequest } from './call-message.ts'
import { MASTER_WRITES } from './master-writes.ts'

const REFUSED: [call: string, args: Record<string, unknown>, named: string][] = [
  ['move', { ranges: '0-5', to: 1, from: 2 }, 'from'],
  ['move', { ranges: '0-5' }, 'to'],
  ['move', { ranges: 'a-b', to: 1 }, 'ranges'],
  ['move', { to: 1 }, 'what is to move'],
  ['move', { ranges: '1', key: 'k', to: 1 }, 'what is to move'],
  ['group-create', { weight: -1 }, 'weight'],
  ['group-create', { weight: 1, nodes: [1, 'x'] }, 'nodes'],
  ['group-drain', { group: 1, draining: 'yes' }, 'draining'],
  ['join', { node: 1 }, 'which group'],
  ['join', { node: 1, group: 1, masters: true }, 'which group'],
  ['join', { node: 1.5, group: 1 }, 'node'],
  ['update-node', { node: 1, peer: 'a:1', resp: 'a:2', cluster: 'a:3', roles: ['king'] }, 'roles'],
  ['replace', { old: 1, new: 2 ** 32 }, 'new'],
]

test.each(REFUSED)('%s %j is refused, and %s named', (call, args, named) => {
  const write = MASTER_WRITES.get(call)
  const checked = checkArguments(call, write?.schema ?? {}, args)
  const error = checked instanceof CallArguments ? (write?.check?.(checked) ?? null) : checked
  expect(error?.code).toBe('malformed-argument')
  expect(error?.message).toContain(named)
  expect(error?.mend).not.toBe('')
})

test('slots are ranges and single ones, as text or pairs', () => {
  expect(rangesOf('0-5,7')).toEqual([
    [0, 5],
    [7, 7],
  ])
  expect(rangesOf([[1, 2]])).toEqual([[1, 2]])
  for (const bad of ['', '1-', '-1', '1,,2', '1-2-3', [], [[1]], [[1, 16_384]], 5, null])
    expect(rangesOf(bad)).toBeNull()
})

test('calls and their answers come over the wire as they went', () => {
  const args = { key: 'grün ☃ 🎈', to: 2 }
  expect(decodeRequest(encodeRequest('move', args))).toEqual({ call: 'move', args })
  expect(decodeReply(encodeReply(null, { a: [1] }))).toEqual({ error: null, answer: { a: [1] } })
  const error = { code: 'not-active', message: 'm', mend: 'x', activeMaster: 3 as never }
  expect(decodeReply(encodeReply(error, null))).toEqual({ error, answer: null })
  for (const bad of ['', '[]', '{"call":1,"args":{}}', '{"call":"a"}']) {
    expect(decodeRequest(new TextEncoder().encode(bad))).toBeNull()
  }
})
