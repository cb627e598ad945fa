// One node in this process, from a directory: made, opened again, refused.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { freePort } from '../chaos/free-port.ts'
import type { QuorateNode, StartNodeOptions } from './api.ts'
import { QuorateError } from './quorate-error.ts'
import { call } from './redis-call.testkit.ts'
import { startLocalCluster } from './start-local-cluster.ts'
import { startNode } from './start-node.ts'
import { useTemporaryRoot } from './temporary-root.testkit.ts'

const root = useTemporaryRoot()
const open: QuorateNode[] = []
const SMALL = { logger: 'silent', limits: { maxValueBytes: 64 * 1024, segmentBytes: 1024 * 1024 } } as const
let directories = 0

afterEach(async () => {
  for (const node of open.splice(0)) await node.close()
})

function fresh(): string {
  return join(root(), `node-${++directories}`)
}

async function start(options: StartNodeOptions): Promise<QuorateNode> {
  const node = await startNode({ ...SMALL, ...options })
  open.push(node)
  return node
}

async function refusal(options: StartNodeOptions): Promise<QuorateError> {
  const error = await start(options).then(
    () => 'it did not fail',
    (reason: unknown) => reason,
  )
  if (error instanceof QuorateError) return error
  throw new Error(`no QuorateError: ${String(error)}`)
}

test('a directory without a node is refused, unless a new cluster is asked for', async () => {
  const data = fresh()
  const error = await refusal({ data })
  expect(error).toMatchObject({ code: 'no-node', message: `no Quorate node in ${data}` })
  expect(error.mend).toContain("'create'")
  expect(existsSync(data)).toBe(false)

  const node = await start({ data, create: true, port: 0 })
  expect(node).toMatchObject({ id: 1, data, state: 'running', failure: null, url: `redis://${node.address}` })
  expect(node.status()?.groups).toMatchObject([{ id: 1, role: 'leader', slots: 1024 }])
  expect(await call(node.address, 'SET', 'a', 'b')).toBe('OK')
  await Promise.all([node.close(), node.close()])
  expect([node.state, node.status()]).toEqual(['stopped', null])

  const again = await start({ data, create: true, port: 0 })
  expect(await call(again.address, 'GET', 'a')).toBe('b')
})

test('a new cluster has the shape and port that were asked for; the directory keeps them', async () => {
  const data = fresh()
  const port = await freePort()
  const node = await start({ data, create: { groups: 3, slots: 16 }, port })
  expect(node.address).toBe(`127.0.0.1:${port}`)
  expect(node.status()).toMatchObject({ slotCount: 16, groups: [{ id: 1 }, { id: 2 }, { id: 3 }] })
  expect(node.status()?.groups.every(({ role }) => role === 'leader')).toBe(true)
  await node.close()
  const other = await refusal({ data, create: { groups: 2 } })
  expect(other).toMatchObject({ code: 'other-shape', message: `the node in ${data} was made with groups 3, not 2` })
  const again = await start({ data })
  expect(again.address).toBe(`127.0.0.1:${port}`)
})

test('a taken port is named, nothing is made, and the port is let go', async () => {
  const data = fresh()
  const port = await freePort()
  const squatter = createServer().listen(port + 4, '127.0.0.1')
  try {
    expect(await refusal({ data, create: true, port })).toMatchObject({
      code: 'port-taken',
      message: `port ${port + 4} is taken (127.0.0.1:${port + 4})`,
    })
    expect(existsSync(data)).toBe(false)
  } finally {
    await new Promise((closed) => squatter.close(closed))
  }
  const node = await start({ data, create: true, port })
  expect(await call(node.address, 'PING')).toBe('PONG')
})

test('one at a time on a directory; a failed start leaves it free', async () => {
  const data = fresh()
  const node = await start({ data, create: true, port: 0 })
  expect(await refusal({ data, port: 0 })).toMatchObject({ code: 'locked' })
  expect(await call(node.address, 'PING')).toBe('PONG')
  await node.close()
  const wal = join(data, 'wal')
  const segment = readdirSync(wal).find((name) => /^segment|\.wal$|^\d/.test(name)) ?? readdirSync(wal)[0]
  const bytes = readFileSync(join(wal, segment))
  const damaged = Uint8Array.from(bytes)
  damaged.fill(0xaa, 0, 64)
  writeFileSync(join(wal, segment), damaged)
  expect(await refusal({ data, port: 0 })).toMatchObject({ code: 'corrupt' })
  expect(await refusal({ data, port: 0 })).toMatchObject({ code: 'corrupt' })
  writeFileSync(join(wal, segment), bytes)
  await start({ data, port: 0 })
})

test('the nodes of a cluster start one by one from their directories, at the addresses on record', async () => {
  const data = fresh()
  const port = await freePort()
  const cluster = await startLocalCluster({ data, port, limits: SMALL.limits })
  expect(await call(cluster.addresses[0], 'SET', 'a', 'b')).toBe('OK')
  await cluster.close()
  const directory = (id: number): string => join(data, `node-${id}`)
  expect(await refusal({ data: directory(2), port: 0 })).toMatchObject({ code: 'wrong-port' })
  expect(await refusal({ data })).toMatchObject({ code: 'foreign-directory' })
  const second = await start({ data: directory(2), port: port + 10 })
  const third = await start({ data: directory(3) })
  expect([second.id, third.id]).toEqual([2, 3])
  expect(await call(third.address, 'GET', 'a')).toBe('b')
})

test('a start is given up', async () => {
  const data = fresh()
  for (const delayMs of [0, 1, 2, 4, 6, 8, 10, 15, 20, 30]) {
    const controller = new AbortController()
    setTimeout(() => controller.abort(), delayMs)
    const outcome = await start({ data, create: true, port: 0, signal: controller.signal }).catch((error) => error)
    if (outcome instanceof QuorateError) expect(outcome.code).toBe('aborted')
    else await (outcome as QuorateNode).close()
  }
  await start({ data, create: true, port: 0 })
})

test.each([
  [{ data: '' }, 'usage', "'data' is missing"],
  [{ data: 'x', port: -1 }, 'usage', "'port' -1 is out of range"],
  [{ data: 'x', create: { slots: 3 } }, 'usage', "'slots' 3 is no power of two up to 16384"],
] as const)('options %j are refused', async (options, code, message) => {
  const error = await refusal(options)
  expect({ code: error.code, message: error.message }).toEqual({ code, message })
})

test('what is not ours is left alone', async () => {
  const data = fresh()
  mkdirSync(data)
  writeFileSync(join(data, 'thesis.txt'), 'do not lose')
  expect(await refusal({ data, create: true, port: 0 })).toMatchObject({ code: 'foreign-directory' })
  expect(readdirSync(data)).toEqual(['thesis.txt'])
})
