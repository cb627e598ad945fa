/**
 * A real cluster for end-to-end tests: `quorate dev` on free ports and a temporary directory, its nodes as processes that
 * a test kills, pauses and restarts. Uses the compiled program (test/setup/build.ts builds it first).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { askStatus, leadersOf, type NodeView } from '../../src/cli/cluster-status.ts'
import { processMark } from '../../src/cli/process-life.ts'
import type { ReadyLine } from '../../src/cli/ready-line.ts'
import { RespClient } from '../../src/cli/resp-client.ts'

export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

const STATUS_TIMEOUT_MS = 1_000

export interface FinishedCommand {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the program to its end. */
export function quorate(args: readonly string[], timeoutMs = 40_000): Promise<FinishedCommand> {
  return finished(spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }), timeoutMs)
}

/** Collects what a process prints until it ends; it is killed after `timeoutMs`. */
export function finished(child: ChildProcess, timeoutMs: number): Promise<FinishedCommand> {
  return new Promise((resolve, reject) => {
    let stdout = ''
    let stderr = ''
    child.stdout?.on('data', (chunk) => {
      stdout += chunk
    })
    child.stderr?.on('data', (chunk) => {
      stderr += chunk
    })
    const deadline = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(deadline)
      resolve({ code, signal, stdout, stderr })
    })
  })
}

/**
 * The first port of `count` nodes' worth of ports that nobody listens on now. Below the ephemeral range, so that outgoing connections
 * do not take them in the meantime; picked at random, so that two test runs rarely meet, and retried by startCluster if they do.
 */
export async function freePort(count = 3): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const base = 10_000 + 10 * Math.floor(Math.random() * 2_000)
    const ports = Array.from({ length: count * 10 }, (_, offset) => base + offset)
    const free = await Promise.all(ports.map(isFree))
    if (!free.includes(false)) return base
  }
  throw new Error('no run of free ports found')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** A directory that is gone after `work`, whatever happens in it. */
export async function withDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-e2e-'))
  try {
    return await work(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }
}

/** Asks until the answer is neither null nor false; fails, naming `what`, after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  ask: () => T | null | false | Promise<T | null | false>,
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    const answer = await ask()
    if (answer !== null && answer !== false) return answer
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await delay(20)
  }
}

export interface ClusterOptions {
  readonly data: string
  /** Left out: the data's own, or free ports where there is no data. */
  readonly port?: number
  readonly flags?: readonly string[]
}

const started = new Set<Cluster>()

/** For afterEach and afterAll: nothing that this file started runs afterwards, however its tests ended. */
export async function destroyClusters(): Promise<void> {
  await Promise.all([...started].map((cluster) => cluster.destroy()))
}

/** Starts `quorate dev --json` and waits for its ready line. Another run that takes the ports first: tried again on others. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  for (let tries = 1; ; tries++) {
    const port = options.port ?? (await freePort())
    const args = ['dev', '--json', '--data', options.data, '--port', String(port), ...(options.flags ?? [])]
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    const outcome = await readyOrEnd(child)
    if (typeof outcome !== 'string') {
      const cluster = new Cluster(child, outcome)
      started.add(cluster)
      return cluster
    }
    const taken = options.port === undefined && outcome.includes('is taken')
    if (!taken || tries >= 5) throw new Error(`quorate dev did not start: ${outcome}`)
  }
}

/** The ready line, or what the program printed to stderr before it ended. */
function readyOrEnd(child: ChildProcess): Promise<ReadyLine | string> {
  return new Promise((resolve, reject) => {
    let stdout = ''
    let stderr = ''
    child.stdout?.on('data', (chunk) => {
      stdout += chunk
      const end = stdout.indexOf('\n')
      if (end < 0) return
      const line = JSON.parse(stdout.slice(0, end)) as ReadyLine | { readonly error: object }
      if ('ready' in line) resolve(line)
    })
    child.stderr?.on('data', (chunk) => {
      stderr += chunk
    })
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(`${stderr} (${signal ?? `exit code ${code}`})`))
  })
}

export class Cluster {
  readonly ready: ReadyLine
  readonly supervisor: ChildProcess
  /** By node id: the process that runs it now. */
  readonly #pids = new Map<number, number>()
  readonly #restarted: ChildProcess[] = []

  constructor(supervisor: ChildProcess, ready: ReadyLine) {
    this.supervisor = supervisor
    this.ready = ready
    for (const node of ready.nodes) this.#pids.set(node.id, node.pid)
  }

  get nodeIds(): number[] {
    return this.ready.nodes.map((node) => node.id)
  }

  address(nodeId: number): string {
    return this.#node(nodeId).resp
  }

  port(nodeId: number): number {
    return Number(this.address(nodeId).split(':')[1])
  }

  pid(nodeId: number): number {
    const pid = this.#pids.get(nodeId)
    if (pid === undefined) throw new Error(`no node ${nodeId}`)
    return pid
  }

  connect(nodeId = 1): Promise<RespClient> {
    return RespClient.connect(this.address(nodeId), 2_000)
  }

  /** SIGKILL, and waits until the process is gone. */
  async kill(nodeId: number): Promise<void> {
    const pid = this.pid(nodeId)
    process.kill(pid, 'SIGKILL')
    await eventually(`the end of node ${nodeId}`, 5_000, () => processMark(pid) === null)
  }

  pause(nodeId: number): void {
    process.kill(this.pid(nodeId), 'SIGSTOP')
  }

  resume(nodeId: number): void {
    process.kill(this.pid(nodeId), 'SIGCONT')
  }

  /** Starts a killed node again with its `command`, and waits until it answers. */
  async restart(nodeId: number): Promise<void> {
    const [program, ...args] = this.#node(nodeId).command
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr = (stderr + chunk).slice(-4_000)
    })
    this.#restarted.push(child)
    this.#pids.set(nodeId, child.pid ?? 0)
    await eventually(`node ${nodeId} to answer after its restart`, 20_000, async () => {
      if (child.exitCode !== null) throw new Error(`node ${nodeId} ended with code ${child.exitCode}: ${stderr}`)
      return (await this.status(nodeId)) !== null
    })
  }

  status(nodeId: number): Promise<NodeView | null> {
    return askStatus(this.address(nodeId), STATUS_TIMEOUT_MS)
  }

  /** The group's leader as a node id; waits until some node says that it leads, in the highest term that is known. */
  leader(groupId: number, timeoutMs = 10_000): Promise<number> {
    return eventually(`a leader of group ${groupId}`, timeoutMs, async () => {
      const statuses = await Promise.all(this.nodeIds.map((nodeId) => this.status(nodeId)))
      const terms = statuses.flatMap((status) => status?.groups.filter(({ id }) => id === groupId) ?? [])
      const highest = Math.max(...terms.map(({ term }) => term))
      const leading = terms.some(({ role, term }) => role === 'leader' && term === highest)
      return leading ? (leadersOf(statuses).get(groupId) ?? null) : null
    })
  }

  /** Pids of the nodes that are still there. */
  living(): number[] {
    return [...this.#pids.values()].filter((pid) => processMark(pid) !== null)
  }

  /** SIGTERM to the supervisor; its exit code. Nodes that are left are killed, and the test is told. */
  async stop(): Promise<number | null> {
    for (const pid of this.living()) process.kill(pid, 'SIGCONT')
    const ended = new Promise<number | null>((resolve) => {
      if (this.supervisor.exitCode !== null || this.supervisor.signalCode !== null) resolve(this.supervisor.exitCode)
      else this.supervisor.once('exit', (code) => resolve(code))
    })
    this.supervisor.kill('SIGTERM')
    const code = await ended
    const left = this.living()
    for (const pid of left) process.kill(pid, 'SIGKILL')
    if (left.length > 0) throw new Error(`processes ${left.join(', ')} outlived the stop`)
    return code
  }

  /** Kills whatever of it still runs. */
  async destroy(): Promise<void> {
    this.supervisor.kill('SIGKILL')
    for (const pid of this.living()) process.kill(pid, 'SIGKILL')
    await eventually('the end of all nodes', 5_000, () => this.living().length === 0)
    started.delete(this)
  }

  #node(nodeId: number): ReadyLine['nodes'][number] {
    const node = this.ready.nodes.find(({ id }) => id === nodeId)
    if (node === undefined) throw new Error(`no node ${nodeId}`)
    return node
  }
}

/** Runs `work` on a fresh cluster; afterwards no process and no file of it is left. */
export function withCluster<T>(flags: readonly string[], work: (cluster: Cluster) => Promise<T>): Promise<T> {
  return withDirectory(async (directory) => {
    const cluster = await startCluster({ data: join(directory, 'data'), flags })
    try {
      return await work(cluster)
    } finally {
      await cluster.destroy()
    }
  })
}
