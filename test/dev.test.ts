// `quorate dev` and `quorate node` as a user meets them: real processes, real signals, real files.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { isAbsolute, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { nodeDirectory, openDevData } from '../src/embedding/dev-data.ts'
import { bumpIncarnation } from '../src/platform/data-directory.ts'
import {
  destroyClusters,
  eventually,
  finished,
  freePort,
  MAIN,
  quorate,
  startCluster,
  withCluster,
  withDirectory,
} from './support/cluster.ts'

afterEach(destroyClusters)

const SMALL = ['--groups', '1', '--slots', '16']

describe('a cluster starts', () => {
  test('the ready line says what interfaces promise', () =>
    withCluster([], async (cluster) => {
      const { ready } = cluster
      const port = cluster.port(1)
      expect(ready).toEqual({
        ready: true,
        pid: cluster.supervisor.pid,
        data: ready.data,
        metadata: 'embedded',
        replication: 'raft',
        nodes: [1, 2, 3].map((id) => ({
          id,
          pid: expect.any(Number),
          resp: `127.0.0.1:${port + 10 * (id - 1)}`,
          cluster: `127.0.0.1:${port + 10 * (id - 1) + 1}`,
          http: null,
          grpc: null,
          peer: `127.0.0.1:${port + 10 * (id - 1) + 4}`,
          data: join(ready.data, `node-${id}`),
          command: expect.arrayContaining(['node', '--data', join(ready.data, `node-${id}`)]),
        })),
        groups: [
          { id: 1, leader: expect.any(Number), replicas: [1, 2, 3], weight: 10, slots: 512 },
          { id: 2, leader: expect.any(Number), replicas: [1, 2, 3], weight: 10, slots: 512 },
        ],
        masters: [1, 2, 3],
        zookeeper: null,
      })
      expect(isAbsolute(ready.data)).toBe(true)
      expect(ready.nodes.every(({ command }) => command[0] === process.execPath)).toBe(true)
      expect(new Set([ready.pid, ...ready.nodes.map(({ pid }) => pid)]).size).toBe(4)
      for (const group of ready.groups) expect([1, 2, 3]).toContain(group.leader)
      for (const node of ready.nodes) {
        const status = await cluster.status(node.id)
        expect(status?.nodeId).toBe(node.id)
        expect(status?.groups.map(({ id }) => id)).toEqual([1, 2])
      }
      expect(await cluster.stop()).toBe(0)
    }))

  test('one node alone is a cluster', () =>
    withCluster(['--nodes', '1'], async (cluster) => {
      const client = await cluster.connect()
      expect(await client.call('SET', 'a', 'b')).toBe('OK')
      expect(await client.call('GET', 'a')).toEqual(Buffer.from('b'))
      client.close()
      expect(await cluster.stop()).toBe(0)
    }))

  test('for people it prints a page, and on a terminal it has a prompt', () =>
    withDirectory(async (directory) => {
      const port = await freePort(1)
      const command = `'${process.execPath}' '${MAIN}' dev --nodes 1 --groups 1 --data '${directory}/d' --port ${port}`
      const terminal = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'pipe'] })
      let shown = ''
      terminal.stdout.on('data', (chunk) => {
        shown += chunk
      })
      const end = finished(terminal, 40_000)
      await eventually('the prompt', 30_000, () => shown.includes('quorate> '))
      expect(shown).toContain('Quorate is ready: 1 node(s), 1 group(s)')
      expect(shown).toContain(`redis-cli -h 127.0.0.1 -p ${port}`)
      terminal.stdin.write('put greeting "hello world"\n')
      await eventually('the answer to put', 10_000, () => shown.includes('stored'))
      terminal.stdin.write('get greeting\n')
      await eventually('the answer to get', 10_000, () => shown.includes('"hello world"\r\n'))
      terminal.stdin.write('exit\n')
      expect((await end).code).toBe(0)
    }))
})

describe('data is kept', () => {
  test('over a stop and a start without any flag', () =>
    withDirectory(async (directory) => {
      const data = join(directory, 'deep', 'data')
      const first = await startCluster({ data, flags: ['--groups', '3', '--slots', '64'] })
      const client = await first.connect(2)
      for (let i = 0; i < 200; i++) expect(await client.call('SET', `key-${i}`, `value-${i}`)).toBe('OK')
      client.close()
      expect(await first.stop()).toBe(0)

      const second = await startCluster({ data, port: first.port(1) })
      try {
        expect(second.ready.groups.map(({ slots }) => slots)).toEqual([22, 21, 21])
        const again = await second.connect(3)
        for (let i = 0; i < 200; i++) expect(await again.call('GET', `key-${i}`)).toEqual(Buffer.from(`value-${i}`))
        again.close()
        expect(await second.stop()).toBe(0)
      } finally {
        await second.destroy()
      }
    }))

  test('on other ports, when asked', () =>
    withDirectory(async (directory) => {
      const data = join(directory, 'data')
      const first = await startCluster({ data, flags: SMALL })
      const client = await first.connect()
      await client.call('SET', 'a', 'b')
      client.close()
      await first.stop()
      const second = await startCluster({ data })
      try {
        expect(second.port(1)).not.toBe(first.port(1))
        const again = await second.connect(2)
        expect(await again.call('GET', 'a')).toEqual(Buffer.from('b'))
        again.close()
        await second.stop()
      } finally {
        await second.destroy()
      }
    }))

  test('and flags that contradict it are refused with the mend', () =>
    withData(async (data) => {
      const before = readFileSync(join(data, 'cluster.json'), 'utf8')
      const wrong = [
        ['--nodes', '5', 3],
        ['--groups', '2', 1],
        ['--slots', '1024', 16],
        ['--replicas', '1', 3],
      ] as const
      for (const [flag, wanted, has] of wrong) {
        const result = await quorate(['dev', '--json', '--data', data, flag, wanted])
        expect(result.code).toBe(2)
        expect(result.stderr).toBe(
          `quorate: the data in ${data} was made with ${flag} ${has}, not ${wanted}; leave out ${flag}, or give another --data\n`,
        )
        expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: 'other-shape', mend: expect.any(String) } })
      }
      expect(readFileSync(join(data, 'cluster.json'), 'utf8')).toBe(before)
    }))
})

describe('what is in the way is named, in one line, with the mend', () => {
  test('a taken port', () =>
    withDirectory(async (directory) => {
      const port = await freePort()
      const squatter = createServer().listen(port + 14, '127.0.0.1')
      try {
        const result = await quorate(['dev', '--json', '--data', join(directory, 'd'), '--port', String(port)])
        expect(result.code).toBe(2)
        expect(result.stderr).toBe(
          `quorate: port ${port + 14} is taken (127.0.0.1:${port + 14}); stop what listens there, or give another --port\n`,
        )
        expect(result.stdout.split('\n')).toHaveLength(2)
        expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: 'port-taken' } })
      } finally {
        squatter.close()
      }
    }))

  test('an address that is not of this machine', () =>
    withDirectory(async (directory) => {
      const result = await quorate(['dev', '--data', join(directory, 'd'), '--host', '203.0.113.7'])
      expect(result.code).toBe(2)
      expect(result.stderr).toMatch(/^quorate: cannot listen on 203.0.113.7:7379 \(EADDRNOTAVAIL\); give a --host that/)
    }))

  test('a directory with foreign files, which stays as it is', () =>
    withDirectory(async (directory) => {
      writeFileSync(join(directory, 'thesis.txt'), 'do not lose')
      const dev = await quorate(['dev', '--data', directory])
      expect(dev.code).toBe(2)
      expect(dev.stdout).toBe('')
      expect(dev.stderr).toBe(
        `quorate: ${directory} holds other files and no Quorate cluster; nothing was touched; ` +
          'give an empty directory, or one that `quorate dev` made\n',
      )
      const node = await quorate(['node', '--data', directory])
      expect(node.code).toBe(2)
      expect(node.stderr).toMatch(/^quorate: .* holds other files and no Quorate node; nothing was touched; .*\n$/)
      expect(readdirSync(directory)).toEqual(['thesis.txt'])
    }))

  test('no directory, a file in its place, and a node that is not there', () =>
    withDirectory(async (directory) => {
      writeFileSync(join(directory, 'file'), '')
      const onFile = await quorate(['dev', '--data', join(directory, 'file')])
      expect([onFile.code, onFile.stderr.split('\n').length]).toEqual([2, 2])
      const absent = await quorate(['node', '--data', join(directory, 'absent')])
      expect(absent.code).toBe(2)
      expect(absent.stderr).toMatch(/^quorate: no Quorate node in .*absent; .*--join.*--token/)
      expect(existsSync(join(directory, 'absent'))).toBe(false)
    }))

  test('data in use', () =>
    withCluster(['--nodes', '1', ...SMALL], async (cluster) => {
      const { data } = cluster.ready
      const other = String(await freePort())
      const dev = await quorate(['dev', '--data', data, '--port', other])
      expect(dev.code).toBe(2)
      expect(dev.stderr).toMatch(/^quorate: .*; stop the `quorate dev` that runs on it, or give another --data\n$/)
      const node = await quorate(['node', '--data', join(data, 'node-1')])
      expect(node.code).toBe(2)
      expect(node.stderr.split('\n')).toHaveLength(2)
      const client = await cluster.connect()
      expect(await client.call('SET', 'a', 'still served')).toBe('OK')
      client.close()
    }))

  test('a newer format, a damaged identity, a node whose data is gone, a stranger in its place', () =>
    withData(async (data) => {
      const copy = join(data, '..', 'copy')
      const attempts: [damage: () => void, message: RegExp][] = [
        [
          () => rewrite(join(copy, 'cluster.json'), '"format": 1', '"format": 2'),
          /cluster.json has format 2, this version knows 1; run the/,
        ],
        [
          () => rewrite(join(copy, 'node-2', 'identity.json'), '"format": 2', '"format": 7'),
          /identity.json has format 7, this version/,
        ],
        [
          () => rewrite(join(copy, 'node-2', 'identity.json'), '"weight": 10', '"weight": 11'),
          /the checksum does not match; replace this node/,
        ],
        [
          () => rmSync(join(copy, 'node-3'), { recursive: true }),
          /the data of node 3 is gone from .*; restore it from a copy/,
        ],
        [() => emptyDirectory(join(copy, 'node-3')), /the data of node 3 is gone from .*; restore it from a copy/],
        [
          () => cpSync(join(copy, 'node-1'), join(copy, 'node-2'), { recursive: true }),
          /belongs to another cluster or node/,
        ],
        [() => rmSync(join(copy, 'cluster.json')), /holds a node that has run, but its cluster.json is missing/],
      ]
      for (const [damage, message] of attempts) {
        rmSync(copy, { recursive: true, force: true })
        cpSync(data, copy, { recursive: true })
        damage()
        const result = await quorate(['dev', '--data', copy])
        expect(result.stderr).toMatch(message)
        expect([result.code, result.stderr.split('\n').length]).toEqual([2, 2])
      }
    }))

  test('what is not built yet, and what was never meant', async () => {
    const refused: [string[], RegExp][] = [
      [['dev', '--metadata', 'zookeeper'], /--metadata zookeeper is not built yet; leave it out/],
      [['dev', '--replication', 'semi-sync'], /--replication semi-sync is not built yet; leave it out/],
      [['dev', '--zookeeper', 'localhost:2181'], /--zookeeper is not built yet; leave it out/],
      [['dev', '--replicas', '4'], /--replicas 4 does not fit 3 node\(s\); give 1 to 3/],
      [['dev', '--slots', '1000'], /--slots 1000 is no power of two/],
      [['dev', '--port', 'high'], /a whole number is wanted/],
      [['dev', '--nonsense'], /unknown option '--nonsense'/],
      [['node', '--data', '/nowhere', '--join', 'a:1'], /--join without --token/],
      [['frobnicate'], /unknown command 'frobnicate'/],
    ]
    for (const [args, message] of refused) {
      const result = await quorate([...args, ...(args[0] === 'dev' ? ['--data', '/nowhere/quorate'] : [])])
      expect(result.stderr).toMatch(message)
      expect([args.join(' '), result.code]).toEqual([args.join(' '), 2])
    }
    expect(existsSync('/nowhere')).toBe(false)
  })
})

describe('nodes and their supervisor', () => {
  test('a killed node stays dead until its command starts it again; nothing is lost', () =>
    withCluster(SMALL, async (cluster) => {
      const victim = await cluster.leader(1)
      const other = cluster.nodeIds.find((id) => id !== victim) ?? 0
      const client = await cluster.connect(other)
      expect(await client.call('SET', 'before', '1')).toBe('OK')
      await cluster.kill(victim)
      expect(await cluster.leader(1)).not.toBe(victim)
      expect(await client.call('SET', 'during', '2')).toBe('OK')
      expect(await cluster.status(victim)).toBeNull()
      await cluster.restart(victim)
      const back = await cluster.connect(victim)
      expect(await back.call('MGET', 'before', 'during')).toEqual([Buffer.from('1'), Buffer.from('2')])
      back.close()
      client.close()
    }))

  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s to the supervisor stops all, also what was restarted by hand',
    (signal) =>
      withCluster(['--nodes', '2', ...SMALL], async (cluster) => {
        await cluster.kill(2)
        await cluster.restart(2)
        const ended = new Promise((resolve) => cluster.supervisor.once('exit', (code) => resolve(code)))
        cluster.supervisor.kill(signal)
        expect(await ended).toBe(0)
        expect(cluster.living()).toEqual([])
      }),
  )

  test('no node outlives a supervisor that is killed by more than two seconds, and the next start goes well', () =>
    withDirectory(async (directory) => {
      const data = join(directory, 'data')
      const cluster = await startCluster({ data, flags: SMALL })
      await cluster.kill(3)
      await cluster.restart(3)
      const client = await cluster.connect()
      expect(await client.call('SET', 'a', 'b')).toBe('OK')
      client.close()
      expect(cluster.living()).toHaveLength(3)
      cluster.supervisor.kill('SIGKILL')
      // At once, while the orphans still hold their ports and directories: the start waits for them.
      const next = startCluster({ data, port: cluster.port(1) })
      const ended = eventually('the end of the orphans', 2_000, () => cluster.living().length === 0)
      const [after] = await Promise.all([next, ended])
      try {
        const again = await after.connect()
        expect(await again.call('GET', 'a')).toEqual(Buffer.from('b'))
        again.close()
        await after.stop()
      } finally {
        await after.destroy()
      }
    }))

  test('a node that is to watch a process that is not there does not start', () =>
    withData(async (data) => {
      const ended = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
      await once(ended, 'exit')
      const result = await quorate(['node', '--data', join(data, 'node-1'), '--supervisor', String(ended.pid)])
      expect(result.code).toBe(2)
      expect(result.stderr).toBe(
        `quorate: there is no process ${ended.pid} to watch; start the cluster again with \`quorate dev\`, or leave out --supervisor\n`,
      )
    }))

  test('a node checks that it is the one that is meant', () =>
    withData(async (data) => {
      const directory = join(data, 'node-1')
      const wrongPort = await quorate(['node', '--data', directory, '--port', '9'])
      expect(wrongPort.stderr).toMatch(/is known to its peers at port (\d+), not 9; start it with --port \1, or/)
      const wrongId = await quorate(['node', '--data', directory, '--id', '2'])
      expect(wrongId.stderr).toMatch(/holds node 1, not node 2; leave out --id/)
      expect([wrongPort.code, wrongId.code]).toEqual([2, 2])
    }))
})

test('the log of a stopped node can be read', () =>
  withCluster(['--nodes', '1', ...SMALL], async (cluster) => {
    const client = await cluster.connect()
    await client.call('SET', 'a', 'b')
    await client.call('DEL', 'a')
    client.close()
    await cluster.stop()
    const dump = await quorate(['wal', 'dump', cluster.ready.nodes[0].data])
    expect(dump.code).toBe(0)
    expect(dump.stdout).toMatch(/^put "a" "b" "0" "\d+"$/m)
    expect(dump.stdout).toMatch(/^delete "a" "0" "\d+"$/m)
    const absent = await quorate(['wal', 'dump', '/nowhere'])
    expect([absent.code, absent.stderr]).toEqual([2, "quorate: there is no /nowhere; give a node's data directory\n"])
  }))

/** Data of three nodes and one group of 16 slots, as after a run, without one. */
function withData(work: (data: string) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    const data = join(directory, 'data')
    const shape = { nodes: 3, groups: 1, replicas: 3, slotCount: 16, host: '127.0.0.1', port: await freePort() }
    const made = await openDevData(data, shape)
    if (!made.ok) throw new Error(made.failure.message)
    await made.value.lock.release()
    for (const identity of made.value.identities) bumpIncarnation(nodeDirectory(data, identity.nodeId), identity)
    await work(data)
  })
}

function rewrite(path: string, from: string, to: string): void {
  const text = readFileSync(path, 'utf8')
  expect(text).toContain(from)
  writeFileSync(path, text.replace(from, to))
}

function emptyDirectory(directory: string): void {
  rmSync(directory, { recursive: true })
  mkdirSync(directory)
}
