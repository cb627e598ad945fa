/**
 * `quorate worker`: once its node runs, it gets a group to serve. It joins the one that was named, or makes one of its own. This is done once in the
 * node's life, kept in DIR/worker.json: a restart does not undo what operators have changed since, and makes no second group.
 *
 *   { "format": 1, "group": null, "weight": 10, "done": false }      written before the cluster is asked; done: true once it has answered
 *
 * A crash in between leaves `done: false`. The next start first looks whether the node has a group by now, for as long as an earlier question may still be
 * on its way, and only then asks again.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFileDurablySoon } from '../platform/durable-file.ts'
import { type Failure, fail, type Outcome, succeed } from '../platform/failure.ts'
import { systemErrorCode } from '../platform/system-error.ts'
import type { AdminError } from '../ports/cluster-admin.ts'
import { isPassing } from './master-calls.ts'

const FILE = 'worker.json'
const FORMAT = 1
const ASK_AGAIN_MS = 250
/** Longer than any question to the masters is carried on before it is given up. */
export const UNDER_WAY_MS = 10_000

export interface WorkerTask {
  /** Null: a new group with the next id. */
  readonly group: number | null
  /** Of a new group. */
  readonly weight: number
}

interface TaskFile extends WorkerTask {
  readonly format: number
  readonly done: boolean
}

/** What of a running node this needs. */
export interface WorkerNode {
  readonly nodeId: number
  /** Data groups with a replica here, or that are to have one as far as is known here; null: nothing was read from the masters yet. */
  groups(): readonly number[] | null
  call(name: string, args: Readonly<Record<string, unknown>>): Promise<{ error: AdminError | null; answer: unknown }>
  /** False: the node has ended meanwhile. */
  wait(ms: number): Promise<boolean>
  log(event: string, fields: Readonly<Record<string, unknown>>): void
}

/** What the node has to do, on disk by now; null: it is done. What was asked for last counts, until it is done. The caller holds the directory's lock. */
export async function openTask(directory: string, asked: WorkerTask): Promise<Outcome<OpenTask | null>> {
  const path = join(directory, FILE)
  try {
    const found = await readTask(path)
    if (!found.ok) return found
    if (found.value?.done === true) return succeed(null)
    await replaceFileDurablySoon(path, text({ format: FORMAT, ...asked, done: false }))
    return succeed({ path, task: asked, askedBefore: found.value !== null })
  } catch (error) {
    if (systemErrorCode(error) === null) throw error
    return fail(
      'unreadable',
      `cannot use ${path} (${(error as Error).message})`,
      'check the disk and the rights of the file',
    )
  }
}

export interface OpenTask {
  readonly path: string
  readonly task: WorkerTask
  /** An earlier start may have asked, and its question may still be carried out. */
  readonly askedBefore: boolean
}

/** Null: the node has its group, or has ended before. A failure: the cluster will not have it. */
export async function getGroup(node: WorkerNode, { path, task, askedBefore }: OpenTask): Promise<Failure | null> {
  let waitMs = askedBefore ? UNDER_WAY_MS : 0
  for (;;) {
    const groups = node.groups()
    if (groups !== null && (task.group === null ? groups.length > 0 : groups.includes(task.group))) break
    if (groups !== null && waitMs <= 0) {
      const { error } = await ask(node, task)
      if (error === null) break
      if (!isPassing(error.code)) return error
      node.log('no group yet: the masters do not answer for now', { error: error.message })
      if (error.code === 'uncertain') waitMs = UNDER_WAY_MS
    }
    if (!(await node.wait(ASK_AGAIN_MS))) return null
    if (groups !== null) waitMs -= ASK_AGAIN_MS
  }
  try {
    await replaceFileDurablySoon(path, text({ format: FORMAT, ...task, done: true }))
  } catch (error) {
    if (systemErrorCode(error) === null) throw error
    // The next start looks again.
    node.log('the worker has its group, but could not write that down', { path, error: (error as Error).message })
  }
  return null
}

function ask(node: WorkerNode, { group, weight }: WorkerTask): ReturnType<WorkerNode['call']> {
  const { nodeId } = node
  return group === null
    ? node.call('group-create', { weight, nodes: [nodeId] })
    : node.call('join', { group, node: nodeId })
}

async function readTask(path: string): Promise<Outcome<TaskFile | null>> {
  let content: string
  try {
    content = await readFile(path, 'utf8')
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return succeed(null)
    throw error
  }
  const mend = 'if the node has a group (`quorate admin groups`), start it with `quorate node`; else remove the file'
  let value: Partial<TaskFile> | null
  try {
    value = JSON.parse(content) as Partial<TaskFile> | null
  } catch {
    return fail('corrupt-worker-file', `${path} is not valid JSON`, mend)
  }
  if (value === null || value.format !== FORMAT || typeof value.done !== 'boolean') {
    return fail('corrupt-worker-file', `${path} is not what this version writes`, mend)
  }
  return succeed(value as TaskFile)
}

function text({ format, group, weight, done }: TaskFile): string {
  return `${JSON.stringify({ format, group, weight, done })}\n`
}
