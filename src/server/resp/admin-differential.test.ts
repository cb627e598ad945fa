// Administrative commands: the same bytes to the door and to a real Redis 7, and the same bytes back.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RawClient, type RealRedis, startRealRedis, startTcpDoor, type TcpDoor } from './tcp-door.testkit.ts'

let redis: RealRedis
let door: TcpDoor

beforeAll(async () => {
  redis = await startRealRedis()
  door = await startTcpDoor({}, { delayMs: null })
})

afterAll(async () => {
  await redis?.stop()
  await door?.stop()
})

async function bothUntilClosed(requests: readonly string[]): Promise<[expected: string, actual: string]> {
  const text = [...requests, 'QUIT'].map((request) => `${request}\r\n`).join('')
  const clients = await Promise.all([RawClient.connect(redis.port), RawClient.connect(door.port)])
  const [expected, actual] = await Promise.all(clients.map((client) => client.untilClosed(text)))
  return [masked(expected), masked(actual)]
}

/** Connections are numbered by each server in its own order. */
function masked(replies: string): string {
  return replies.replaceAll(/id\r\n:\d+/g, 'id\r\n:some')
}

describe('the same replies as Redis 7', () => {
  it.each([
    ['FUNCTION', ['FUNCTION FLUSH', 'FUNCTION FLUSH x', 'FUNCTION FLUSH Sync', 'FUNCTION FLUSH SYNC x', 'FUNCTION']],
    ['FUNCTION LIST', ['FUNCTION LIST', 'FUNCTION LIST x', 'FUNCTION LIST LIBRARYNAME', 'FUNCTION LIST LIBRARYNAME x']],
    ['FUNCTION LIST twice', ['FUNCTION LIST WITHCODE WITHCODE', 'FUNCTION LIST withcode libraryname *']],
    ['TIME', ['TIME x']],
    ['AUTH', ['AUTH', 'AUTH x', 'AUTH default', 'AUTH default x', 'AUTH default ""', 'AUTH joe x', 'AUTH a b c']],
    ['SELECT', ['SELECT 0', 'SELECT 1', 'SELECT -1', 'SELECT x', 'SELECT 00', 'SELECT -0', 'SELECT ""', 'SELECT 1.0']],
    ['SELECT beyond', ['SELECT 2147483648', 'SELECT -2147483649', 'SELECT 9223372036854775808', 'SELECT 99999999999']],
    ['RESET', ['RESET', 'RESET x', 'CLIENT SETNAME a', 'HELLO 3', 'GET none', 'RESET', 'CLIENT GETNAME', 'GET none']],
    ['RESET in MULTI', ['WATCH a', 'MULTI', 'SET a 1', 'RESET', 'EXEC', 'GET a']],
    ['unknown subcommands', ['CLIENT MAINT_NOTIFICATIONS ON', 'CONFIG x', 'COMMAND x y', 'OBJECT x', 'SLOWLOG x']],
  ])('to %s', async (_name, requests) => {
    const [expected, actual] = await bothUntilClosed(requests)
    expect(actual).toBe(expected)
  })

  it.each(['CLIENT', 'CONFIG', 'COMMAND', 'FUNCTION'])(
    'to the first line and the last two of %s HELP',
    async (name) => {
      const [expected, actual] = await bothUntilClosed([`${name} HELP`])
      const lines = [expected, actual].map((reply) => reply.split('\r\n').slice(1, -2))
      expect(lines[1][0]).toBe(lines[0][0])
      expect(lines[1].at(-2)).toBe('+HELP')
      expect(lines[1].length).toBeGreaterThan(4)
    },
  )
})
