// Waiting for a cluster to be ready: as long as its processes live, and not in silence.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { planIdentities } from '../embedding/cluster-shape.ts'
import { newSecrets } from '../embedding/dev-data.ts'
import { lockDataDirectory } from '../platform/directory-lock.ts'
import { DevSupervisor } from './dev-supervisor.ts'

const SHAPE = { nodes: 2, groups: 1, replicas: 1, slotCount: 16, host: '127.0.0.1', port: 1 }

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'quorate-supervisor-'))
})

afterEach(() => rmSync(root, { recursive: true, force: true }))

/** Its nodes are processes that run `program`. Nobody listens on their ports. */
async function supervisorOf(program: string): Promise<DevSupervisor> {
  const lock = await lockDataDirectory(root, 'stop the other')
  if (!lock.ok) throw new Error(lock.failure.message)
  const main = join(root, 'main.mjs')
  writeFileSync(main, program)
  const identities = planIdentities(SHAPE, newSecrets())
  return new DevSupervisor({ root, shape: SHAPE, identities, lock: lock.value }, main, [], () => {})
}

test('nodes that live and do not answer yet are waited for, and named now and then', async () => {
  const supervisor = await supervisorOf('setTimeout(() => {}, 60_000)')
  const said: string[] = []
  const stop = new AbortController()
  supervisor.start()
  try {
    const say = (line: string): void => {
      if (said.push(line) === 3) stop.abort()
    }
    const ready = await supervisor.waitUntilReady(stop.signal, say, { sayEveryMs: 1 })
    expect(ready).toMatchObject({ ok: false, failure: { code: 'interrupted' } })
    expect(said).toEqual(Array(3).fill(expect.stringMatching(/^quorate: after \d+ s: node 1, 2 does not answer yet$/)))
    const late = await supervisor.waitUntilReady(new AbortController().signal, say, { withinMs: 1 })
    expect(late).toMatchObject({
      failure: { code: 'not-ready', message: expect.stringContaining('node 1, 2 does not answer yet') },
    })
  } finally {
    await supervisor.stop()
  }
})

test('a node that ends meanwhile ends the wait', async () => {
  const supervisor = await supervisorOf(
    "if (process.argv.join(' ').includes('node-2')) process.exit(3)\nsetTimeout(() => {}, 60_000)",
  )
  supervisor.start()
  try {
    const ready = await supervisor.waitUntilReady(new AbortController().signal, () => {})
    expect(ready).toMatchObject({ failure: { code: 'node-ended', message: expect.stringContaining('node 2 ended') } })
  } finally {
    await supervisor.stop()
  }
})
