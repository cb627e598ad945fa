// Which node a command line means: the rules of directories, ids, tokens and roles; and of `quorate init` and `quorate worker`.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createNodeDirectory, readIdentity } from '../platform/data-directory.ts'
import { sampleIdentity } from '../platform/identity.testkit.ts'
import { initCluster } from './init-command.ts'
import { type WorkerOptions, workerTask } from './node-command.ts'
import { type DirectoryOptions, findNode } from './node-directory.ts'

const TOKEN = 'ffeeddccbbaa99887766554433221100'
const JOIN = { port: 7400, join: '10.0.0.1:7379', token: TOKEN }

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-node-directory-'))
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

function failure(options: DirectoryOptions): string {
  const found = findNode(directory, options)
  return found.ok ? 'ok' : `${found.failure.code}: ${found.failure.message}`
}

test('an empty directory alone is no node, and the mend names the ways to make one', () => {
  expect(findNode(directory, { port: 7400 })).toMatchObject({
    failure: { code: 'no-node', mend: expect.stringMatching(/--join .*--token.*`quorate init`.*`quorate dev`/) },
  })
})

test('an empty directory joins, with both roles unless it is told otherwise', () => {
  const request = { directory, host: '127.0.0.1', port: 7400, addresses: ['10.0.0.1:7379'], token: TOKEN }
  const joins = (roles: string[]): object => ({ ok: true, value: { kind: 'join', request: { ...request, roles } } })
  expect(findNode(directory, JOIN)).toEqual(joins(['master', 'worker']))
  expect(findNode(directory, { ...JOIN, roles: 'worker,master' })).toEqual(joins(['master', 'worker']))
  expect(findNode(directory, { ...JOIN, roles: 'master' })).toEqual(joins(['master']))
  expect(findNode(directory, JOIN, 'worker')).toEqual(joins(['worker']))
  expect(findNode(directory, { ...JOIN, join: '10.0.0.1:7379,b:1' })).toMatchObject({
    value: { request: { addresses: ['10.0.0.1:7379', 'b:1'] } },
  })
})

test('an id is refused where there is no node that has it, whatever else is given', () => {
  expect(failure({ id: 3 })).toMatch(/^no-node: --id 3: there is no node in/)
  expect(failure({ ...JOIN, id: 3 })).toMatch(/^no-node: --id 3: .* an id is never used again$/)
})

test('what is missing or wrong for joining is named', () => {
  expect(failure({ ...JOIN, join: undefined })).toBe('usage: --token without --join')
  expect(failure({ ...JOIN, token: undefined })).toBe('usage: --join without --token')
  expect(failure({ ...JOIN, token: 'abc' })).toBe('usage: --token is not 32 hex digits')
  expect(failure({ ...JOIN, port: undefined })).toBe('usage: --join without --port')
  expect(failure({ ...JOIN, port: 65_533 })).toBe('usage: --port 65533 is out of range')
  expect(failure({ ...JOIN, host: '' })).toBe('usage: --host is empty')
  expect(failure({ ...JOIN, join: 'a:b:c' })).toBe('usage: --join a:b:c is no address')
  expect(failure({ ...JOIN, roles: 'king' })).toBe("usage: --roles king: there is no role 'king'")
})

test('a directory with other files is not joined', () => {
  writeFileSync(join(directory, 'thesis.txt'), '')
  expect(failure(JOIN)).toMatch(/^foreign-directory: /)
})

test('a node that is there starts, also where it is told to join; its id, host, port and roles are held to what it was', () => {
  createNodeDirectory(directory, sampleIdentity({ roles: ['worker'] }))
  expect(findNode(directory, { ...JOIN, id: 1 })).toMatchObject({
    value: { kind: 'node', expected: { nodeId: 1, port: 7400 } },
  })
  expect(findNode(directory, {}, 'worker')).toMatchObject({ value: { kind: 'node' } })
  expect(findNode(directory, { roles: 'worker' })).toMatchObject({ value: { kind: 'node' } })
  expect(failure({ roles: 'master,worker' })).toMatch(
    /^wrong-roles: node 1 .* joined with --roles worker, not master,worker$/,
  )
  expect(findNode(directory, {}, 'master')).toMatchObject({ failure: { code: 'wrong-roles' } })
})

test('init makes a cluster of one node, in an empty directory only', async () => {
  const data = join(directory, 'first')
  const made = await initCluster(data, { port: 7400, host: '10.0.0.1', slots: 64, groups: 2 })
  expect(made).toMatchObject({
    value: { nodeId: 1, slotCount: 64, port: 7400, nodes: [{ resp: '10.0.0.1:7400' }], incarnation: 0 },
  })
  if (!made.ok) return
  expect(readIdentity(data)).toEqual(made)
  const voters = made.value.groups.map(({ groupId, replicas, slots }) => [groupId, replicas, slots])
  const alone = [{ replicaId: 1, nodeId: 1 }]
  expect(voters).toEqual([
    [0, alone, []],
    [1, alone, [[0, 31]]],
    [2, alone, [[32, 63]]],
  ])
  expect(await initCluster(data, {})).toMatchObject({ failure: { code: 'exists' } })
  expect(readIdentity(data)).toEqual(made)
  expect(await initCluster(directory, {})).toMatchObject({ failure: { code: 'foreign-directory' } })
  expect(await initCluster(join(directory, 'other'), { slots: 63 })).toMatchObject({
    failure: { code: 'usage', message: expect.stringContaining('--slots 63') },
  })
  expect(readdirSync(directory).filter((name) => name !== 'lock')).toEqual(['first'])
})

test('the flags of a worker', () => {
  const task = (options: Partial<WorkerOptions>): unknown => workerTask({ data: directory, ...options })
  expect(task({})).toEqual({ ok: true, value: { group: null, weight: 10 } })
  expect(task({ group: 2, weight: 20 })).toEqual({ ok: true, value: { group: 2, weight: 20 } })
  for (const [options, message] of [
    [{ mode: 'primary' }, '--mode primary belongs to semi-synchronous groups, which are not built yet'],
    [{ mode: 'first' }, '--mode first is unknown'],
    [{ group: 0 }, '--group 0 is no data group'],
    [{ weight: 0 }, '--weight 0 is out of range'],
    [{ weight: 1_000_001 }, '--weight 1000001 is out of range'],
  ] as const) {
    expect(task(options)).toMatchObject({ failure: { code: 'usage', message } })
  }
})
