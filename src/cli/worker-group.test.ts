// How a worker gets its group: once, over crashes at every point, and never two.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { AdminError } from '../ports/cluster-admin.ts'
import { getGroup, type OpenTask, openTask, UNDER_WAY_MS, type WorkerNode, type WorkerTask } from './worker-group.ts'

const NEW_GROUP: WorkerTask = { group: null, weight: 10 }

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-worker-'))
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** The cluster as a worker sees it, in virtual time: its groups, and what becomes of each question. */
class World implements WorkerNode {
  readonly nodeId = 7
  readonly calls: { name: string; args: object; atMs: number }[] = []
  readonly members = new Map<number, number[]>([[1, [1, 2, 3]]])
  /** What the masters say to the next questions; none left: they do it. 'late': they do it after that time, and the answer is lost. */
  readonly answers: (string | { lateMs: number })[] = []
  readsFromMs = 0
  stopAtMs = Number.POSITIVE_INFINITY
  nowMs = 0
  #due: { atMs: number; run: () => void }[] = []

  groups(): readonly number[] | null {
    if (this.nowMs < this.readsFromMs) return null
    return [...this.members].filter(([, nodes]) => nodes.includes(this.nodeId)).map(([group]) => group)
  }

  async call(
    name: string,
    args: Readonly<Record<string, unknown>>,
  ): Promise<{ error: AdminError | null; answer: unknown }> {
    this.calls.push({ name, args, atMs: this.nowMs })
    const next = this.answers.shift()
    const error = (code: string): AdminError => ({ code, message: code, mend: 'wait' })
    if (typeof next === 'string') return { error: error(next), answer: null }
    if (next === undefined) return { error: null, answer: this.#do(name, args) }
    this.#due.push({ atMs: this.nowMs + next.lateMs, run: () => this.#do(name, args) })
    return { error: error('uncertain'), answer: null }
  }

  async wait(ms: number): Promise<boolean> {
    this.nowMs += ms
    for (const { run } of this.#due.filter(({ atMs }) => atMs <= this.nowMs)) run()
    this.#due = this.#due.filter(({ atMs }) => atMs > this.nowMs)
    return this.nowMs < this.stopAtMs
  }

  log(): void {}

  #do(name: string, { group }: Readonly<Record<string, unknown>>): object {
    const at = name === 'group-create' ? this.members.size + 1 : (group as number)
    this.members.set(at, [...(this.members.get(at) ?? []), this.nodeId])
    return { group: at }
  }
}

async function opened(task: WorkerTask): Promise<OpenTask> {
  const outcome = await openTask(directory, task)
  if (!outcome.ok || outcome.value === null) throw new Error('nothing to do')
  return outcome.value
}

test('a new group of its own, once: the next start asks nobody, whatever has become of the group', async () => {
  const world = new World()
  expect(await getGroup(world, await opened({ group: null, weight: 20 }))).toBeNull()
  expect(world.calls).toMatchObject([{ name: 'group-create', args: { weight: 20, nodes: [7] } }])
  expect(await openTask(directory, NEW_GROUP)).toEqual({ ok: true, value: null })
})

test('a group that is named is joined', async () => {
  const world = new World()
  expect(await getGroup(world, await opened({ group: 1, weight: 10 }))).toBeNull()
  expect(world.calls).toMatchObject([{ name: 'join', args: { group: 1, node: 7 } }])
})

test('a node that has a group already, as one of `quorate dev` has, makes no other', async () => {
  const world = new World()
  world.members.set(1, [7])
  expect(await getGroup(world, await opened(NEW_GROUP))).toBeNull()
  expect(world.calls).toEqual([])
})

test('while the masters do not answer it asks again', async () => {
  const world = new World()
  world.answers.push('not-active', 'unavailable', 'busy')
  expect(await getGroup(world, await opened(NEW_GROUP))).toBeNull()
  expect(world.calls).toHaveLength(4)
  expect(world.members.size).toBe(2)
})

test('what it is refused is told, and asked anew at the next start', async () => {
  const world = new World()
  world.answers.push('unknown-group')
  expect(await getGroup(world, await opened({ group: 9, weight: 10 }))).toMatchObject({ code: 'unknown-group' })
  expect((await opened({ group: 1, weight: 10 })).task.group).toBe(1)
})

test('a question whose answer was lost makes no second group, however late it is carried out', async () => {
  for (let lateMs = 0; lateMs < UNDER_WAY_MS; lateMs += 500) {
    rmSync(join(directory, 'worker.json'), { force: true })
    const world = new World()
    world.answers.push({ lateMs })
    expect(await getGroup(world, await opened(NEW_GROUP))).toBeNull()
    expect([world.members.size, world.calls.length]).toEqual([2, 1])
  }
})

test('a crash after the question makes no second group, however late it is carried out', async () => {
  for (let lateMs = 0; lateMs < UNDER_WAY_MS; lateMs += 500) {
    rmSync(join(directory, 'worker.json'), { force: true })
    const world = new World()
    world.answers.push({ lateMs })
    const task = await opened(NEW_GROUP)
    await world.call('group-create', { weight: 10, nodes: [7] })
    expect(task.askedBefore).toBe(false)
    expect(await getGroup(world, await opened(NEW_GROUP))).toBeNull()
    expect([world.members.size, world.calls.length]).toEqual([2, 1])
  }
})

test('a crash before the question only costs time, and that counts from when the cluster can be seen', async () => {
  const world = new World()
  world.readsFromMs = 3_000
  await opened(NEW_GROUP)
  expect(await getGroup(world, await opened(NEW_GROUP))).toBeNull()
  expect(world.members.size).toBe(2)
  expect(world.calls[0].atMs).toBeGreaterThanOrEqual(3_000 + UNDER_WAY_MS)
})

test('a stop ends the wait, and leaves the task to the next start', async () => {
  const world = new World()
  world.readsFromMs = Number.POSITIVE_INFINITY
  world.stopAtMs = 1_000
  expect(await getGroup(world, await opened(NEW_GROUP))).toBeNull()
  expect((await opened(NEW_GROUP)).askedBefore).toBe(true)
})

test('a damaged file is named, not guessed at', async () => {
  for (const text of ['{', '7', 'null', '{"format":2,"done":true}', '{"format":1}']) {
    writeFileSync(join(directory, 'worker.json'), text)
    expect(await openTask(directory, NEW_GROUP)).toMatchObject({ failure: { code: 'corrupt-worker-file' } })
    expect(readFileSync(join(directory, 'worker.json'), 'utf8')).toBe(text)
  }
})
