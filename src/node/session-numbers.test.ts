import { expect, it } from 'vitest'
import { CLIENT_SESSION_FROM, CLIENT_SESSION_LASTS_MS } from '../protocol/client-session.ts'
import { ClientSessions, nodeSession } from './session-numbers.ts'

const NODE_IDS = [1, 2, 65_535, 31 * 2 ** 16 + 65_535]

it('never gives a number twice: over nodes, starts and kinds', () => {
  const seen = new Set<number>()
  let given = 0
  for (const nodeId of NODE_IDS) {
    for (const incarnation of [1, 2, 2047]) {
      seen.add(nodeSession(nodeId, incarnation))
      const clients = new ClientSessions(nodeId, incarnation)
      for (let i = 0; i < 3000; i++) seen.add(clients.take(0) ?? -1)
      given += 3001
    }
  }
  expect(seen.size).toBe(given)
  expect([...seen].every((session) => Number.isSafeInteger(session) && session > 0)).toBe(true)
})

it('keeps the two kinds apart at their ends', () => {
  const lastOfNodes = nodeSession(2 ** 21 - 1, 2 ** 31 - 1)
  expect(lastOfNodes).toBe(CLIENT_SESSION_FROM - 1)
  expect(new ClientSessions(1, 1).take(0)).toBeGreaterThanOrEqual(CLIENT_SESSION_FROM)
  const top = new ClientSessions(2 ** 21 - 1, 2047, 4, 2)
  expect(Array.from({ length: 4 }, () => top.take(0)).at(-1)).toBeLessThan(2 ** 53)
  expect(() => nodeSession(2 ** 21, 1)).toThrow(/node id 2097152/)
  expect(() => new ClientSessions(0, 1)).toThrow(/node id 0/)
})

it('gives a number out again only when its holder has long stopped to use it', () => {
  const clients = new ClientSessions(1, 1, 8, 4)
  const first = Array.from({ length: 8 }, (_, i) => clients.take(i * 1000))
  expect(new Set(first).size).toBe(8)
  expect(clients.take(8000)).toBeNull()
  expect(clients.take(CLIENT_SESSION_LASTS_MS)).toBeNull()
  // The first block was used up at 3000.
  const freeAgainMs = 3000 + CLIENT_SESSION_LASTS_MS + 120_000
  expect(clients.take(freeAgainMs - 1)).toBeNull()
  expect(Array.from({ length: 4 }, () => clients.take(freeAgainMs))).toEqual(first.slice(0, 4))
  expect(clients.take(freeAgainMs)).toBeNull()
})
