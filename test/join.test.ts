// A cluster that is put together by hand, one process after the other: init, join by token, masters that join, a worker with a group of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { askStatus, type NodeView } from '../src/cli/cluster-status.ts'
import { RespClient } from '../src/cli/resp-client.ts'
import { eventually, freePort, MAIN, quorate, withDirectory } from './support/cluster.ts'

const WITHIN_MS = 30_000

interface Started {
  readonly address: string
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  words(): string
}

class Processes {
  readonly #started: Started[] = []

  /** `words`: the command and its flags, without --port. */
  async start(words: readonly string[], port?: number): Promise<Started> {
    const taken = port ?? (await freePort())
    const child = spawn(process.execPath, [MAIN, ...words, '--port', String(taken)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let last = ''
    child.stderr?.on('data', (chunk) => {
      last = (last + chunk).slice(-4_000)
    })
    const ended = new Promise<number | null>((done) => child.once('exit', done))
    const started = { address: `127.0.0.1:${taken}`, child, ended, words: () => last }
    this.#started.push(started)
    return started
  }

  async end(): Promise<void> {
    for (const { child } of this.#started) child.kill('SIGKILL')
    await Promise.all(this.#started.map(({ ended }) => ended))
  }
}

function withProcesses(work: (directory: string, processes: Processes) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    const processes = new Processes()
    try {
      await work(directory, processes)
    } finally {
      await processes.end()
    }
  })
}

async function init(directory: string, port: number): Promise<{ join: string; token: string }> {
  const made = await quorate(['init', '--json', '--data', directory, '--port', String(port), '--slots', '64'])
  expect(made).toMatchObject({ code: 0 })
  return JSON.parse(made.stdout)
}

/** What the node says of itself, once it says this. */
async function status(node: Started, fits: (view: NodeView) => boolean = () => true): Promise<NodeView> {
  return eventually(`${node.address} is as expected`, WITHIN_MS, async () => {
    if (node.child.exitCode !== null) throw new Error(`the node has ended: ${node.words()}`)
    const view = await askStatus(node.address, 1_000)
    return view !== null && fits(view) ? view : null
  })
}

async function call(node: Started, ...words: string[]): Promise<unknown> {
  const client = await RespClient.connect(node.address, 5_000)
  try {
    const reply = await client.call(...words)
    return Buffer.isBuffer(reply) ? reply.toString() : reply
  } finally {
    client.close()
  }
}

async function admin(node: Started, ...words: string[]): Promise<void> {
  const result = await quorate(['admin', '--addr', node.address, ...words])
  expect(result, words.join(' ')).toMatchObject({ code: 0 })
}

describe('a cluster by hand', () => {
  test('nodes join by token, masters join, a worker gets a group of its own and its share of the slots', () =>
    withProcesses(async (directory, processes) => {
      const port = await freePort()
      const { join: address, token } = await init(join(directory, 'first'), port)
      const flags = (name: string): string[] => ['--data', join(directory, name), '--join', address, '--token', token]
      const first = await processes.start(['node', '--data', join(directory, 'first')], port)
      // Before the first one serves: they ask until they are let in.
      const worker = await processes.start(['worker', ...flags('worker'), '--weight', '10'])
      const both = await processes.start(['node', ...flags('both')])
      const master = await processes.start(['master', ...flags('master')])

      const { clusterId } = await status(first)
      const ids = await Promise.all([worker, both, master].map(async (node) => (await status(node)).nodeId))
      expect([...ids].sort()).toEqual([2, 3, 4])
      expect((await status(worker)).clusterId).toBe(clusterId)
      for (let i = 0; i < 100; i++) expect(await call(first, 'SET', `key-${i}`, String(i))).toBe('OK')

      const [workerId, bothId, masterId] = ids
      const own = await status(worker, ({ groups }) => groups.length === 1 && groups[0].slots === 32)
      expect(own.groups).toMatchObject([{ id: 2, role: 'leader', replicas: [workerId], weight: 10 }])
      for (let i = 0; i < 100; i++) expect(await call(master, 'GET', `key-${i}`)).toBe(String(i))

      await admin(first, 'join', String(bothId), '--masters')
      await admin(both, 'join', String(masterId), '--masters')
      const members = [1, bothId, masterId].sort()
      for (const node of [first, both, master]) {
        await status(
          node,
          ({ masters }) => JSON.stringify([...(masters?.replicas ?? [])].sort()) === JSON.stringify(members),
        )
      }
      expect((await status(worker)).masters).toBeNull()

      // A restart brings the same node back, with its one group; no flag but the directory is needed.
      worker.child.kill('SIGTERM')
      expect(await worker.ended).toBe(0)
      const again = await processes.start(
        ['worker', '--data', join(directory, 'worker')],
        Number(worker.address.split(':')[1]),
      )
      const back = await status(again, ({ groups }) => groups[0]?.role === 'leader')
      expect([back.nodeId, back.groups.map(({ id }) => id)]).toEqual([workerId, [2]])
      for (let i = 0; i < 100; i++) expect(await call(both, 'GET', `key-${i}`)).toBe(String(i))
    }))

  test('another worker joins the group that it names', () =>
    withProcesses(async (directory, processes) => {
      const port = await freePort()
      const { join: address, token } = await init(join(directory, 'first'), port)
      const flags = ['--data', join(directory, 'second'), '--join', address, '--token', token]
      const first = await processes.start(['node', '--data', join(directory, 'first')], port)
      expect(await call(await whenUp(first), 'SET', 'a', 'b')).toBe('OK')
      const second = await processes.start(['worker', ...flags, '--group', '1'])
      const { groups } = await status(second, (view) => view.groups.some(({ replicas }) => replicas.length === 2))
      expect(groups).toMatchObject([{ id: 1, replicas: [1, 2] }])
      expect(await call(second, 'GET', 'a')).toBe('b')
    }))
})

describe('what does not join', () => {
  test('a wrong token, an address where nobody is, an empty directory alone, an id: exit 2, one line, and nothing is left', () =>
    withProcesses(async (directory, processes) => {
      const port = await freePort()
      const { join: address, token } = await init(join(directory, 'first'), port)
      const data = join(directory, 'second')
      const joining = ['node', '--data', data, '--port', String(await freePort()), '--join', address]
      const nobody = await quorate([...joining, '--token', token])
      expect(nobody).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/^quorate: no node answered at .*; give --join .*\n$/),
      })
      await whenUp(await processes.start(['node', '--data', join(directory, 'first')], port))
      const wrong = await quorate([...joining, '--token', '0'.repeat(32)])
      expect(wrong).toMatchObject({ code: 2, stderr: expect.stringMatching(/^quorate: .*token.*\n$/) })
      const alone = await quorate(['node', '--data', data, '--port', '7379'])
      expect(alone).toMatchObject({ code: 2, stderr: expect.stringMatching(/--join HOST:PORT --token TOKEN/) })
      const withId = await quorate([...joining, '--token', token, '--id', '2'])
      expect(withId).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/an id is never used again; leave out --id/),
      })
      const good = await processes.start(['node', '--data', data, '--join', address, '--token', token])
      await status(good)
    }))
})

async function whenUp(node: Started): Promise<Started> {
  await status(node, ({ groups }) => groups.some(({ role }) => role === 'leader'))
  return node
}
