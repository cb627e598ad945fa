// The forms of CLUSTER's replies, and its errors, against a real redis-server in cluster mode that owns all slots.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeRequest, freePort, RawClient, startTcpDoor, type TcpDoor } from '../tcp-door.testkit.ts'
import { TestClusterView } from './cluster-view.testkit.ts'

const DIRECTORY = mkdtempSync(join(tmpdir(), 'quorate-cluster-'))
let redis: ChildProcess
let door: TcpDoor
let clients: RawClient[]

beforeAll(async () => {
  // A cluster's bus takes the port above by 10000.
  let port = 0
  do port = await freePort()
  while (port > 55_000)
  const options = { 'cluster-enabled': 'yes', 'cluster-config-file': 'nodes.conf', save: '', bind: '127.0.0.1' }
  const args = Object.entries({ port: String(port), ...options }).flatMap(([name, value]) => [`--${name}`, value])
  redis = spawn('redis-server', args, { cwd: DIRECTORY, stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise<void>((resolve, reject) => {
    let log = ''
    redis.once('exit', () => reject(new Error(`redis-server ended: ${log}`)))
    redis.stdout?.on('data', (bytes: Buffer) => {
      log += bytes.toString()
      if (log.includes('Ready to accept connections')) resolve()
    })
  })
  const view = new TestClusterView(1, 1, 1)
  door = await startTcpDoor({ view, places: view })
  clients = [await RawClient.connect(port), await RawClient.connect(door.port)]
  await clients[0].replies(encodeRequest(['CLUSTER', 'ADDSLOTSRANGE', '0', '16383']), 1)
  for (let state = ''; !state.includes('cluster_state:ok'); ) {
    state = (await clients[0].replies(encodeRequest(['CLUSTER', 'INFO']), 1))[0]
  }
})

afterAll(async () => {
  for (const client of clients) client.end()
  const ended = new Promise((resolve) => redis.once('exit', resolve))
  redis.kill('SIGTERM')
  await ended
  await door.stop()
  rmSync(DIRECTORY, { recursive: true, force: true })
})

async function both(words: readonly string[]): Promise<[string, string]> {
  const request = encodeRequest(words)
  const [[expected], [actual]] = await Promise.all(clients.map((client) => client.replies(request, 1)))
  return [expected, actual]
}

/** Types and names stay; ids, addresses and numbers do not. */
function formOf(reply: string): string {
  return reply
    .replace(/\$40\r\n[0-9a-f]{40}/g, 'ID')
    .replace(/\$\d+\r\n(host-1|127\.0\.0\.1)?\r\n/g, 'HOST\r\n')
    .replace(/:(?!0\r|16383\r)\d+\r\n/g, ':PORT\r\n')
}

describe.each([2, 3])('in RESP%i', (protocol) => {
  beforeAll(async () => {
    const replies = await both(['HELLO', String(protocol)])
    for (const reply of replies) expect(reply).toContain('mode\r\n$7\r\ncluster')
  })

  it.each(['SLOTS', 'SHARDS', 'LINKS', 'MYID'])('CLUSTER %s has the same form', async (name) => {
    const [expected, actual] = await both(['CLUSTER', name])
    expect(formOf(actual)).toBe(formOf(expected))
  })

  it('CLUSTER NODES and INFO have the same form', async () => {
    const line = /^[=$]\d+\r\n(?:txt:)?[0-9a-f]{40} \S*:\d+@\d+ myself,master - 0 0 \d+ connected 0-16383\n\r\n$/
    for (const reply of await both(['CLUSTER', 'NODES'])) expect(reply).toMatch(line)
    const [expected, actual] = await both(['CLUSTER', 'INFO'])
    const fields = (reply: string): string[] => reply.match(/cluster_[a-z_]+(?=:)/g) ?? []
    expect(fields(expected)).toEqual(expect.arrayContaining(fields(actual)))
    expect(actual[0]).toBe(expected[0])
    for (const reply of [expected, actual]) {
      expect(reply).toMatch(/cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:16384\r\n/)
    }
  })

  it('errors, slots and counts are the same', async () => {
    const same = async (...words: string[]): Promise<void> => {
      const [expected, actual] = await both(words)
      expect(actual, words.join(' ')).toBe(expected)
    }
    for (const key of ['', 'a', '{a}b', '{}a', 'a{b}{c}', '\0\xff']) await same('CLUSTER', 'KEYSLOT', key)
    for (const slot of ['0', '15495', '16384', '-1', 'x', '1.5', '99999999999999999999']) {
      await same('CLUSTER', 'COUNTKEYSINSLOT', slot)
      await same('CLUSTER', 'GETKEYSINSLOT', slot, '5')
    }
    await same('SET', 'a', '1')
    await same('CLUSTER', 'COUNTKEYSINSLOT', '15495')
    await same('CLUSTER', 'GETKEYSINSLOT', '15495', '1')
    await same('CLUSTER', 'GETKEYSINSLOT', '15495', '-1')
    await same('CLUSTER', 'GETKEYSINSLOT', '15495', 'x')
    await same('CLUSTER', 'REPLICAS', 'abc')
    await same('CLUSTER', 'COUNT-FAILURE-REPORTS', 'abc')
    await same('CLUSTER', 'NONSENSE')
    await same('MGET', 'a', 'b')
    await same('MSET', 'a', '1', 'b', '2')
    await same('SSUBSCRIBE', 'a', 'b')
    for (const words of [['MULTI'], ['SET', 'a', '1'], ['SET', 'b', '2'], ['EXEC'], ['EXEC']]) await same(...words)
    for (const words of [['MULTI'], ['MGET', 'a', 'b'], ['EXEC'], ['READONLY'], ['GET', 'a'], ['READWRITE']]) {
      await same(...words)
    }
    for (const words of [['SSUBSCRIBE', 'a'], ['SPUBLISH', 'b', 'm'], ['SUNSUBSCRIBE'], ['PUBSUB', 'SHARDCHANNELS']]) {
      await same(...words)
    }
    await same('FLUSHALL')
  })
})
