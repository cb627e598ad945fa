// The data of a local cluster on the real file system: made whole or made anew, never half; moved to other ports; locked.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { freePort } from '../chaos/free-port.ts'
import { bumpIncarnation, createNodeDirectory, readIdentity, writeIdentity } from '../platform/data-directory.ts'
import type { Outcome } from '../platform/failure.ts'
import { sampleIdentity } from '../platform/identity.testkit.ts'
import { type DevData, mergeShape, openDevData, readShape } from './dev-data.ts'

const SHAPE = { nodes: 3, groups: 2, replicas: 3, slotCount: 16, host: '127.0.0.1', port: await freePort() }
const OTHER_PORT = await freePort()

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'quorate-dev-data-'))
})

afterEach(() => rmSync(root, { recursive: true, force: true }))

function codeOf(outcome: Outcome<unknown>): string {
  return outcome.ok ? 'ok' : outcome.failure.code
}

async function opened(given: object): Promise<DevData> {
  const outcome = await openDevData(root, given)
  if (!outcome.ok) throw new Error(outcome.failure.message)
  return outcome.value
}

test('one cluster id and one hash key for all nodes, kept over starts', async () => {
  const first = await opened(SHAPE)
  await first.lock.release()
  const second = await opened({})
  await second.lock.release()
  expect(new Set(first.identities.map(({ clusterId }) => clusterId)).size).toBe(1)
  expect(new Set(first.identities.map(({ hashKey }) => hashKey)).size).toBe(1)
  expect(second.identities).toEqual(first.identities)
  expect(second.shape).toEqual(SHAPE)
})

test('a crash while the cluster was made leaves nothing in the way and nothing of itself', async () => {
  const left = createNodeDirectory(join(root, 'node-1'), sampleIdentity())
  expect(left.ok).toBe(true)
  mkdirSync(join(root, 'node-2'))
  writeFileSync(join(root, 'cluster.json.new'), '{')
  const data = await opened(SHAPE)
  await data.lock.release()
  for (const identity of data.identities) {
    expect(readIdentity(join(root, `node-${identity.nodeId}`))).toEqual({ ok: true, value: identity })
    expect(identity.clusterId).not.toBe(sampleIdentity().clusterId)
  }
})

test('a node that has run without its cluster.json is not thrown away', async () => {
  createNodeDirectory(join(root, 'node-1'), sampleIdentity())
  bumpIncarnation(join(root, 'node-1'), sampleIdentity())
  expect(codeOf(await openDevData(root, SHAPE))).toBe('foreign-directory')
  expect(readIdentity(join(root, 'node-1'))).toMatchObject({ ok: true, value: { incarnation: 1 } })
})

test('other ports reach every identity; what the node has become since stays', async () => {
  const first = await opened(SHAPE)
  await first.lock.release()
  bumpIncarnation(join(root, 'node-2'), first.identities[1])
  const second = await opened({ port: OTHER_PORT })
  await second.lock.release()
  expect(second.identities.map(({ port }) => port)).toEqual([OTHER_PORT, OTHER_PORT + 10, OTHER_PORT + 20])
  expect(second.identities[0].nodes.map(({ peer }) => peer)).toEqual([
    `127.0.0.1:${OTHER_PORT + 4}`,
    `127.0.0.1:${OTHER_PORT + 14}`,
    `127.0.0.1:${OTHER_PORT + 24}`,
  ])
  expect(readIdentity(join(root, 'node-2'))).toMatchObject({
    ok: true,
    value: { port: OTHER_PORT + 10, incarnation: 1 },
  })
  expect(readShape(root)).toMatchObject({ ok: true, value: { port: OTHER_PORT } })
})

test('groups and nodes that came or went since are no reason to refuse the data', async () => {
  const first = await opened(SHAPE)
  await first.lock.release()
  const [one] = first.identities
  const joined = { nodeId: 9, peer: 'far:1', resp: 'far:2', cluster: 'far:3', roles: ['worker'] as const }
  const groups = one.groups.slice(0, 2).map((group) => ({ ...group, made: true }))
  expect(writeIdentity(join(root, 'node-1'), { ...one, nodes: [...one.nodes.slice(0, 2), joined], groups }).ok).toBe(
    true,
  )
  const second = await opened({ port: OTHER_PORT })
  await second.lock.release()
  expect(second.identities[0].groups).toEqual(groups)
  expect(second.identities[0].nodes.map(({ resp }) => resp)).toEqual([
    `127.0.0.1:${OTHER_PORT}`,
    `127.0.0.1:${OTHER_PORT + 10}`,
    'far:2',
  ])
})

test('data with another number of slots than its cluster.json is refused', async () => {
  const first = await opened(SHAPE)
  await first.lock.release()
  const [one] = first.identities
  const groups = one.groups.map((group) => ({ ...group, slots: [] }))
  expect(writeIdentity(join(root, 'node-1'), { ...one, slotCount: 8, groups }).ok).toBe(true)
  expect(codeOf(await openDevData(root, {}))).toBe('corrupt-cluster-file')
})

test('the data is locked while it is open, and free after a failure', async () => {
  const data = await opened(SHAPE)
  expect(codeOf(await openDevData(root, {}))).toBe('locked')
  await data.lock.release()
  rmSync(join(root, 'node-3'), { recursive: true })
  expect(codeOf(await openDevData(root, {}))).toBe('node-missing')
  expect(codeOf(await openDevData(root, {}))).toBe('node-missing')
})

test('flags against the data', () => {
  expect(mergeShape(root, null, { nodes: 1 })).toMatchObject({ ok: true, value: { nodes: 1, groups: 2, replicas: 1 } })
  expect(mergeShape(root, SHAPE, {})).toEqual({ ok: true, value: SHAPE })
  expect(mergeShape(root, SHAPE, { nodes: 3, port: 1234 })).toMatchObject({ ok: true, value: { port: 1234 } })
  expect(codeOf(mergeShape(root, SHAPE, { groups: 3 }))).toBe('other-shape')
})

test('strangers are left alone', async () => {
  writeFileSync(join(root, 'notes.txt'), '')
  expect(codeOf(await openDevData(root, SHAPE))).toBe('foreign-directory')
  expect(readdirSync(root)).toEqual(['notes.txt'])
  rmSync(join(root, 'notes.txt'))
  writeFileSync(join(root, 'cluster.json'), '{"format": 1, "nodes": 3}')
  expect(codeOf(readShape(root))).toBe('corrupt-cluster-file')
  writeFileSync(join(root, 'cluster.json'), '{"format": 2}')
  expect(codeOf(readShape(root))).toBe('newer-format')
})
