// The library as its users meet it: packed, installed, type-checked, run; and what it does to the process that it is in.
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FinishedCommand, finished, startCluster, withDirectory } from './support/cluster.ts'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const MODULES = join(ROOT, 'node_modules')
const EXAMPLE = [
  'started: 3 nodes, group 1 is led by node 1',
  'get: hello',
  'killed node 1',
  'get: hello, world',
  'group 1 has another leader: true',
  'node 1 says: hello, world',
  'closed',
]

/** A project of a user: the packed package in its node_modules, what it depends on beside it. */
let project = ''

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'quorate-project-'))
  const modules = join(project, 'node_modules')
  mkdirSync(modules)
  command('npm', ['pack', '--ignore-scripts', '--pack-destination', project], ROOT)
  const [tarball] = readdirSync(project).filter((name) => name.endsWith('.tgz'))
  mkdirSync(join(modules, 'quorate'))
  command('tar', ['-xzf', join(project, tarball), '-C', join(modules, 'quorate'), '--strip-components=1'], project)
  const { dependencies } = JSON.parse(readFileSync(join(modules, 'quorate', 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  mkdirSync(join(modules, '@types'))
  for (const name of [...Object.keys(dependencies), 'ioredis', '@types/node']) {
    symlinkSync(join(MODULES, name), join(modules, name))
  }
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
  cpSync(join(ROOT, 'examples', 'embedded.mjs'), join(project, 'embedded.mjs'))
})

afterAll(() => rmSync(project, { recursive: true, force: true }))

function command(program: string, args: readonly string[], directory: string): string {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: directory, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

/** Runs a module of the user's project, with a temporary directory of its own that must be empty afterwards. */
function runModule(text: string, args: readonly string[] = []): Promise<FinishedCommand & { readonly left: string[] }> {
  return withDirectory(async (temporary) => {
    const file = join(project, `program-${Math.random().toString(36).slice(2)}.mjs`)
    writeFileSync(file, text)
    const child = spawn(process.execPath, ['--trace-warnings', file, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: project,
      env: { ...process.env, TMPDIR: temporary },
    })
    const result = await finished(child, 40_000)
    return { ...result, left: readdirSync(temporary) }
  })
}

describe('the packed package', () => {
  test('runs the example, and the process ends by itself', async () => {
    const example = readFileSync(join(project, 'embedded.mjs'), 'utf8')
    const result = await runModule(example)
    expect(result).toEqual({ code: 0, signal: null, stdout: `${EXAMPLE.join('\n')}\n`, stderr: '', left: [] })
  })

  test('has types that hold for strict users, with their libraries checked too', () => {
    writeFileSync(join(project, 'user.ts'), USER_PROGRAM)
    const options = { strict: true, noEmit: true, skipLibCheck: false, allowJs: true, checkJs: true, types: ['node'] }
    const compilerOptions = { ...options, target: 'ES2023', lib: ['ES2023'], module: 'NodeNext' }
    writeFileSync(
      join(project, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['user.ts', 'embedded.mjs'] }),
    )
    expect(command(process.execPath, [join(MODULES, 'typescript', 'bin', 'tsc'), '-p', project], project)).toBe('')
  })

  test('exports nothing else, and its types name nothing that lies behind', async () => {
    const result = await runModule(`
      console.log(Object.keys(await import('quorate')).join(' '))
      console.log(await import('quorate/dist/node/quorate-node.js').catch((error) => error.code))
    `)
    expect(result.stdout).toBe('QuorateError startLocalCluster startNode\nERR_PACKAGE_PATH_NOT_EXPORTED\n')
    const seen = typeFilesFrom(join(project, 'node_modules', 'quorate', 'dist', 'index.d.ts'))
    expect(seen.sort()).toEqual(
      [
        'embedding/api.d.ts',
        'embedding/quorate-error.d.ts',
        'embedding/start-local-cluster.d.ts',
        'embedding/start-node.d.ts',
        'index.d.ts',
      ].map((name) => join(project, 'node_modules', 'quorate', 'dist', name)),
    )
  })

  test('brings what the command line needs', async () => {
    const bin = join(project, 'node_modules', 'quorate', 'dist', 'cli', 'main.js')
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    expect(command(process.execPath, [bin, '--version'], project).trim()).toBe(version)
  })
})

/** The declaration files that a user of `file` reads, by following its imports. */
function typeFilesFrom(file: string, seen = new Set<string>()): string[] {
  if (seen.has(file)) return []
  seen.add(file)
  for (const [, path] of readFileSync(file, 'utf8').matchAll(/from '(\.[^']+)\.ts'/g)) {
    typeFilesFrom(join(dirname(file), `${path}.d.ts`), seen)
  }
  return [...seen]
}

const USER_PROGRAM = `
import { type LocalCluster, type QuorateNode, QuorateError, startLocalCluster, startNode } from 'quorate'

const cluster: LocalCluster = await startLocalCluster({
  nodes: 3, groups: 2, replicas: 3, slots: 1024, data: 'x', host: '127.0.0.1', port: 0, readyTimeoutMs: 1000,
  logger: { info() {}, warn(event, fields) { console.warn(event, fields) }, error() {} },
  timings: { tickMs: 10, heartbeatMs: 40, electionMsMin: 200, electionMsMax: 400 },
  limits: { maxValueBytes: 65536, segmentBytes: 1 << 20 },
  onFatal: (error, nodeId) => console.error(nodeId, error.code, error.mend),
  signal: AbortSignal.timeout(1000),
})
const urls: readonly string[] = cluster.urls
await cluster.leader(1)?.kill()
await cluster.nodes[0].start()
await cluster.ready()
const leader: number | null | undefined = cluster.nodes[0].status()?.groups[0].leader
{
  await using node: QuorateNode = await startNode({ data: 'y', create: { groups: 2 }, port: 0, logger: 'info' })
  console.log(node.id, node.address, node.state, urls, leader)
}
try {
  // @ts-expect-error there is no way to turn syncing off
  await startLocalCluster({ fsync: false })
} catch (error) {
  if (error instanceof QuorateError && error.code === 'port-taken') console.log(error.mend)
}
await cluster.close()
`

describe('the process that it is in', () => {
  test('has no handlers, warnings, threads or temporary files of it afterwards, after twenty clusters', async () => {
    const result = await runModule(`
      import { startLocalCluster } from 'quorate'
      const before = process.eventNames().sort().join()
      const options = { limits: { maxValueBytes: 65536 } }
      for (let round = 0; round < 4; round++) {
        const clusters = await Promise.all([1, 2, 3, 4, 5].map(() => startLocalCluster({ ...options, nodes: 2, groups: 8 })))
        if (process.eventNames().sort().join() !== before) console.log('handlers', process.eventNames())
        await Promise.all(clusters.map((cluster) => cluster.close()))
      }
      const signal = AbortSignal.timeout(30)
      await startLocalCluster({ ...options, signal }).then((cluster) => cluster.close(), (error) => error.code)
      const endedMs = performance.now()
      process.on('exit', () => console.log(performance.now() - endedMs < 5000 ? 'ended' : 'lingered'))
    `)
    expect(result).toEqual({ code: 0, signal: null, stdout: 'ended\n', stderr: '', left: [] })
  })

  test('ends by an uncaught exception when a node cannot keep its promises and nobody listens', async () => {
    const program = (options: string): string => `
      import fs from 'node:fs'
      import { syncBuiltinESMExports } from 'node:module'
      import { startLocalCluster } from 'quorate'
      import { Redis } from 'ioredis'
      const cluster = await startLocalCluster({ nodes: 1, groups: 1, limits: { maxValueBytes: 65536 }, ${options} })
      fs.fdatasync = (file, done) => setImmediate(() => done(Object.assign(new Error('EIO'), { code: 'EIO' })))
      syncBuiltinESMExports()
      const client = new Redis(cluster.url, { retryStrategy: () => null })
      client.on('error', () => {})
      await client.set('a', 'b').then(console.log, () => console.log('no OK'))
      setTimeout(() => cluster.close(), 200)
    `
    const unheard = await runModule(program(''))
    expect(unheard.code).toBe(1)
    expect(unheard.stdout).not.toMatch(/^OK$/m)
    expect(unheard.stderr).toMatch(/QuorateError: .*sync: EIO/)
    expect(unheard.stderr).toContain("code: 'node-failed'")
    const heard = await runModule(program("onFatal: (error) => console.log('told', error.code)"))
    expect([heard.code, heard.stderr]).toEqual([0, ''])
    expect(heard.stdout.split('\n').sort()).toEqual(['', 'no OK', 'told node-failed'])
  })
})

test('data goes from `quorate dev` to the library and back', () =>
  withDirectory(async (directory) => {
    const data = join(directory, 'data')
    const library = (work: string): string => `
      import { startLocalCluster } from 'quorate'
      import { Redis } from 'ioredis'
      const cluster = await startLocalCluster({ data: process.argv[2] })
      const client = new Redis(cluster.url)
      console.log(${work})
      client.disconnect()
      await cluster.close()
    `
    const first = await runModule(library("await client.set('a', 'made here')"), [data])
    expect(first).toMatchObject({ code: 0, stdout: 'OK\n', stderr: '' })
    const cluster = await startCluster({ data })
    try {
      const client = await cluster.connect(2)
      expect(String(await client.call('APPEND', 'a', ', extended there'))).toBe('25')
      client.close()
      const busy = await runModule(
        `
          import { startLocalCluster } from 'quorate'
          await startLocalCluster({ data: process.argv[2] }).catch((error) => console.log(error.code))
        `,
        [data],
      )
      expect(busy).toMatchObject({ code: 0, stdout: 'locked\n', stderr: '' })
    } finally {
      await cluster.destroy()
    }
    const second = await runModule(library("await client.get('a')"), [data])
    expect(second).toMatchObject({ code: 0, stdout: 'made here, extended there\n', stderr: '' })
  }))
