// A promise broken within an embedded node: it stops at once, somebody is told, the others go on.
import fs, { readlinkSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { afterEach, expect, test } from 'vitest'
import type { LocalCluster } from './api.ts'
import type { ClusterNode } from './cluster-node.ts'
import type { QuorateError } from './quorate-error.ts'
import { call } from './redis-call.testkit.ts'
import { startLocalCluster } from './start-local-cluster.ts'
import { startNode } from './start-node.ts'
import { useTemporaryRoot } from './temporary-root.testkit.ts'

const root = useTemporaryRoot()
const SMALL = { maxValueBytes: 64 * 1024 }
const realSync = fs.fdatasync
let cluster: LocalCluster | null = null

afterEach(async () => {
  breakSyncs(null)
  await cluster?.close()
  cluster = null
})

/** From now on, syncs of files below the directory fail as on a broken disk. */
function breakSyncs(directory: string | null): void {
  const failing = (file: number, done: (error: Error | null) => void): void => {
    const broken = directory !== null && readlinkSync(`/proc/self/fd/${file}`).startsWith(directory)
    if (!broken) realSync(file, done)
    else setImmediate(() => done(Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' })))
  }
  fs.fdatasync = directory === null ? realSync : (failing as typeof fs.fdatasync)
  syncBuiltinESMExports()
}

interface Told {
  readonly error: QuorateError
  readonly nodeId: number
}

/** A cluster whose first failure resolves the promise. */
async function startWatched(): Promise<{ readonly running: LocalCluster; readonly failed: Promise<Told> }> {
  let tell: (told: Told) => void = () => {}
  const failed = new Promise<Told>((told) => {
    tell = told
  })
  const running = await startLocalCluster({ limits: SMALL, onFatal: (error, nodeId) => tell({ error, nodeId }) })
  cluster = running
  return { running, failed }
}

test('a sync that fails stops the node; the group goes on; the node can start again', async () => {
  const { running, failed } = await startWatched()
  const [first, second] = running.nodes
  expect(await call(second.address, 'SET', 'a', '1')).toBe('OK')
  breakSyncs(first.data)
  expect(await call(second.address, 'INCR', 'a')).toBe(2)
  const { error, nodeId } = await failed
  expect([nodeId, error.code, error.name]).toEqual([1, 'node-failed', 'QuorateError'])
  expect(error.message).toMatch(/sync.*EIO/)
  expect([first.state, first.failure?.message, first.status()]).toEqual(['failed', error.message, null])
  await expect(call(first.address, 'PING')).rejects.toThrow()
  await running.ready()
  expect(await call(second.address, 'INCR', 'a')).toBe(3)
  breakSyncs(null)
  await first.start()
  expect([first.state, first.failure]).toEqual(['running', null])
  expect(await call(first.address, 'GET', 'a')).toBe('3')
})

test('so does an error in its code', async () => {
  const { running, failed } = await startWatched()
  const node = running.nodes[2] as ClusterNode
  node.host.run(() => {
    throw new Error('an invariant that did not hold')
  })
  const { error, nodeId } = await failed
  expect([nodeId, node.state]).toEqual([3, 'failed'])
  expect(error.message).toMatch(/^Error: an invariant that did not hold\n +at /)
  expect(running.nodes[0].state).toBe('running')
})

test('during a start the promise tells, and nothing else', async () => {
  const told: QuorateError[] = []
  const data = `${root()}/broken`
  breakSyncs(data)
  const options = {
    data,
    create: true,
    port: 0,
    logger: 'silent',
    onFatal: (error: QuorateError) => told.push(error),
  } as const
  await expect(startNode(options)).rejects.toMatchObject({ name: 'QuorateError', code: 'data-directory' })
  breakSyncs(null)
  await (await startNode(options)).close()
  expect(told).toEqual([])
})
