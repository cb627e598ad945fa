// Joining a cluster, against a server that speaks RESP: what is asked, when it is asked again, and what is taken for an answer.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { freePort } from '../chaos/free-port.ts'
import { readIdentity } from '../platform/data-directory.ts'
import { identityOf, type JoinRequest, joinCluster } from './join-cluster.ts'
import { RespReplyParser } from './resp-reply.ts'

const TOKEN = 'ffeeddccbbaa99887766554433221100'
const NODE = { peer: 'h:7383', resp: 'h:7379', cluster: 'h:7380', roles: ['master', 'worker'] }
const ANSWER = {
  nodeId: 4,
  clusterId: '00112233445566778899aabbccddeeff',
  slotCount: 64,
  hashKey: '0123456789abcdef',
  secret: TOKEN,
  nodes: [{ nodeId: 1, ...NODE }],
  groups: [{ groupId: 0, replicas: [{ replicaId: 1, nodeId: 1 }], slots: [], weight: 0, made: false }],
}

let root: string
let server: Server
let asked: string[][]
/** What the server says to each question in turn; the last one again and again. Null: it hangs up. */
let script: (string | null)[]

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'quorate-join-'))
  asked = []
  server = createServer((socket) => serve(socket))
  await new Promise<void>((up) => server.listen(0, '127.0.0.1', up))
})

afterEach(async () => {
  await new Promise((down) => server.close(down))
  rmSync(root, { recursive: true, force: true })
})

function serve(socket: Socket): void {
  const requests = new RespReplyParser()
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    for (const request of requests.push(chunk)) {
      const answer = script[Math.min(asked.length, script.length - 1)]
      asked.push((request as Buffer[]).map(String))
      if (answer === null) socket.destroy()
      else socket.write(answer)
    }
  })
}

function bulk(value: unknown): string {
  const text = JSON.stringify(value)
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`
}

function refusal(code: string): string {
  return bulk({ error: { code, message: `because of ${code}`, mend: 'mend it' } })
}

async function request(changes: Partial<JoinRequest> = {}): Promise<JoinRequest> {
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const directory = join(root, 'node')
  const port = await freePort()
  return { directory, host: '127.0.0.1', port, roles: ['worker'], addresses: [address], token: TOKEN, ...changes }
}

test('the newcomer shows its token and its addresses, and keeps what it is told', async () => {
  script = [bulk(ANSWER)]
  const { port, ...rest } = await request()
  const joined = await joinCluster({ ...rest, port })
  const addresses = { peer: `127.0.0.1:${port + 4}`, resp: `127.0.0.1:${port}`, cluster: `127.0.0.1:${port + 1}` }
  expect(asked.map(([command, name]) => [command, name])).toEqual([['KV.MASTER', 'JOIN']])
  expect(JSON.parse(asked[0][2])).toEqual({ token: TOKEN, ...addresses, roles: ['worker'] })
  const { nodes, ...told } = ANSWER
  const identity = { ...told, host: '127.0.0.1', port, roles: ['worker'], incarnation: 0 }
  const self = { nodeId: 4, ...addresses, roles: ['worker'] }
  expect(joined).toEqual({ ok: true, value: { ...identity, nodes: [...nodes, self] } })
  expect(readIdentity(rest.directory)).toEqual(joined)
})

test('while the masters are not ready it asks again, at the next address', async () => {
  script = [
    refusal('not-active'),
    '-CLUSTERDOWN no leader\r\n',
    null,
    '-ERR unavailable: no master; wait\r\n',
    bulk(ANSWER),
  ]
  const given = await request()
  const nobody = `127.0.0.1:${await freePort()}`
  expect(await joinCluster({ ...given, addresses: [nobody, ...given.addresses] })).toMatchObject({ ok: true })
  expect(asked).toHaveLength(5)
})

test('what will not change is not asked again, and leaves nothing behind', async () => {
  script = [refusal('wrong-token')]
  const given = await request()
  expect(await joinCluster(given)).toMatchObject({
    failure: { code: 'wrong-token', message: 'because of wrong-token', mend: 'mend it' },
  })
  expect(asked).toHaveLength(1)
  expect(readIdentity(given.directory)).toMatchObject({ failure: { code: 'no-node' } })
})

test('after a while it gives up, and says what the last word was', async () => {
  script = [refusal('unavailable')]
  const patience = { unreachableMs: 0, passingMs: 0 }
  expect(await joinCluster(await request(), patience)).toMatchObject({
    failure: {
      code: 'unavailable',
      message: expect.stringMatching(/let nobody join within 0 s: because of unavailable/),
    },
  })
  const addresses = [`127.0.0.1:${await freePort()}`]
  expect(await joinCluster(await request({ addresses }), patience)).toMatchObject({
    failure: { code: 'unreachable', message: expect.stringContaining(addresses[0]) },
  })
})

test('a taken port is named before anybody is asked: each id is used up once', async () => {
  script = [bulk(ANSWER)]
  const { port } = server.address() as AddressInfo
  expect(await joinCluster(await request({ port: port - 4 }))).toMatchObject({
    failure: { code: 'port-taken', message: expect.stringContaining(String(port)) },
  })
  expect(asked).toEqual([])
})

test('a directory with other files in it is left alone', async () => {
  script = [bulk(ANSWER)]
  const given = await request({ directory: join(root, 'node', 'deeper') })
  await joinCluster(given)
  expect(await joinCluster({ ...given, directory: join(root, 'node') })).toMatchObject({
    failure: { code: 'foreign-directory' },
  })
  expect(readdirSync(join(root, 'node')).filter((name) => name !== 'lock')).toEqual(['deeper'])
  expect(existsSync(join(root, 'node', 'identity.json'))).toBe(false)
})

test('an answer that makes no node is refused with the field named', async () => {
  const given = await request()
  const own = [{ replicaId: 2, nodeId: 4 }]
  const answers: [unknown, RegExp][] = [
    [null, /no JSON object/],
    [{}, /nodeId, nodes or groups are missing/],
    [{ ...ANSWER, secret: 'abc' }, /secret is not 32 hex digits/],
    [{ ...ANSWER, slotCount: 63 }, /slotCount is not a power of two/],
    [{ ...ANSWER, nodeId: 0 }, /nodeId is not a positive integer/],
    [{ ...ANSWER, nodes: [{ nodeId: 1 }] }, /lacks a list/],
    [{ ...ANSWER, nodes: [null] }, /lacks a list/],
    [{ ...ANSWER, groups: [{ ...ANSWER.groups[0], replicas: own }] }, /is new, and has a replica of group 0/],
  ]
  for (const [answer, why] of answers) {
    expect(identityOf(given, answer)).toMatchObject({
      failure: { code: 'malformed-answer', message: expect.stringMatching(why) },
    })
  }
})

test('what the answer claims about made replicas counts for nothing', async () => {
  const groups = ANSWER.groups.map((group) => ({ ...group, made: true }))
  expect(identityOf(await request(), { ...ANSWER, groups })).toMatchObject({ value: { groups: ANSWER.groups } })
})
