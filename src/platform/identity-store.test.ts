// Changes of the identity of a running node, on the real file system.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createNodeDirectory, readIdentity } from './data-directory.ts'
import { sampleIdentity } from './identity.testkit.ts'
import { IdentityStore } from './identity-store.ts'

const IDENTITY = sampleIdentity()
const [GROUP] = IDENTITY.groups

let directory: string
let store: IdentityStore

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'quorate-identity-store-')), 'node')
  createNodeDirectory(directory, IDENTITY)
  store = new IdentityStore(directory, IDENTITY)
})

afterEach(() => rmSync(join(directory, '..'), { recursive: true, force: true }))

function saved(change: Parameters<IdentityStore['save']>[0]): Promise<string | null> {
  return new Promise((done) => store.save(change, done))
}

function onDisk(): unknown {
  return readIdentity(directory)
}

test('each change is on disk when it calls back, in the order of the calls, and keeps what it does not name', async () => {
  const order: number[] = []
  const calls = Array.from({ length: 20 }, (_, i) =>
    saved({ groups: [{ ...GROUP, weight: i }] }).then((error) => {
      expect(error).toBeNull()
      order.push(i)
      const { groups } = JSON.parse(readFileSync(join(directory, 'identity.json'), 'utf8')) as typeof IDENTITY
      expect(groups[0].weight).toBeGreaterThanOrEqual(i)
    }),
  )
  const nodes = IDENTITY.nodes.slice(0, 1)
  calls.push(saved({ nodes }).then((error) => expect(error).toBeNull()))
  await Promise.all(calls)
  expect(order).toEqual(calls.slice(1).map((_, i) => i))
  expect(onDisk()).toEqual({ ok: true, value: { ...IDENTITY, nodes, groups: [{ ...GROUP, weight: 19 }] } })
  expect(readdirSync(directory)).toEqual(['identity.json'])
})

test('what waits goes out with one write', async () => {
  const first = saved({ groups: [] })
  let calledBack = 0
  const atOnce = new Promise<number>((done) => {
    for (let i = 0; i < 200; i++) {
      store.save({ groups: [GROUP] }, () => {
        calledBack++
        if (calledBack === 1) process.nextTick(() => done(calledBack))
      })
    }
  })
  await first
  expect(calledBack).toBe(0)
  expect(await atOnce).toBe(200)
  expect(store.identity.groups).toEqual([GROUP])
})

test('a node that the cluster knows no more still knows itself', async () => {
  expect(await saved({ nodes: IDENTITY.nodes.slice(1) })).toBeNull()
  expect(onDisk()).toMatchObject({ ok: true, value: { nodes: [{ nodeId: 2 }, { nodeId: 1 }] } })
})

test('what could not be read again is not written, and the next change is as if it had not been asked for', async () => {
  expect(await saved({ groups: [GROUP, GROUP] })).toMatch(/groups names group 1 twice/)
  expect(onDisk()).toEqual({ ok: true, value: IDENTITY })
  expect(await saved({ nodes: IDENTITY.nodes })).toBeNull()
  expect(onDisk()).toEqual({ ok: true, value: IDENTITY })
})

test('a failed write says why', async () => {
  rmSync(directory, { recursive: true })
  expect(await saved({ groups: [] })).toMatch(/identity\.json was not written: ENOENT/)
  expect(store.identity).toEqual(IDENTITY)
})

test('after the end nothing is under way, nothing begins, and nothing calls back', async () => {
  let calledBack = 0
  for (const change of [{ groups: [] }, { nodes: [] }]) store.save(change, () => calledBack++)
  await store.end()
  const after = JSON.stringify(onDisk())
  store.save({ groups: [GROUP] }, () => calledBack++)
  await store.end()
  await new Promise((turn) => setImmediate(turn))
  expect(calledBack).toBe(0)
  expect(JSON.stringify(onDisk())).toBe(after)
})
