/**
 * A real cluster to torment: `quorate dev` on free ports, its nodes as processes that a chaos run or a test kills, pauses and
 * starts again by their `command`. Runs the compiled program. Whatever is started here is gone after `destroyClusters`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { slotOf } from '../base/slot.ts'
import { askStatus, leadersOf, type NodeView } from '../cli/cluster-status.ts'
import { lastWords, openNodeLog } from '../cli/node-log.ts'
import { processMark } from '../cli/process-life.ts'
import type { ReadyLine } from '../cli/ready-line.ts'
import { RespClient } from '../cli/resp-client.ts'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'

/** The compiled program: the same path from the source (under the test runner) and from the compiled tree. */
export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

const STATUS_TIMEOUT_MS = 1_000
const RESTART_WITHIN_MS = 20_000
const MAX_START_TRIES = 5

export interface ClusterOptions {
  readonly data: string
  /** Left out: free ports. */
  readonly port?: number
  readonly flags?: readonly string[]
}

const started = new Set<DevCluster>()

/** Nothing that was started here runs afterwards, however the work on it ended. */
export async function destroyClusters(): Promise<void> {
  await Promise.all([...started].map((cluster) => cluster.destroy()))
}

/** Starts `quorate dev --json` and waits for its ready line. Another run that takes the ports first: tried again on others. */
export async function startCluster(options: ClusterOptions): Promise<DevCluster> {
  for (let tries = 1; ; tries++) {
    const port = options.port ?? (await freePort())
    const args = ['dev', '--json', '--data', options.data, '--port', String(port), ...(options.flags ?? [])]
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    const outcome = await readyOrEnd(child)
    if (typeof outcome !== 'string') {
      const cluster = new DevCluster(child, outcome)
      started.add(cluster)
      return cluster
    }
    const taken = options.port === undefined && outcome.includes('is taken')
    if (!taken || tries >= MAX_START_TRIES) throw new Error(`quorate dev did not start: ${outcome}`)
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
      stderr = (stderr + chunk).slice(-4_000)
    })
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(`${stderr} (${signal ?? `exit code ${code}`})`))
  })
}

interface NodeProcess {
  readonly pid: number
  /** We ended it: its end is no news. */
  killed: boolean
}

export class DevCluster {
  readonly ready: ReadyLine
  readonly supervisor: ChildProcess
  /** By node id: the process that runs it now. */
  readonly #processes = new Map<number, NodeProcess>()

  constructor(supervisor: ChildProcess, ready: ReadyLine) {
    this.supervisor = supervisor
    this.ready = ready
    for (const node of ready.nodes) this.#processes.set(node.id, { pid: node.pid, killed: false })
  }

  get nodeIds(): number[] {
    return this.ready.nodes.map((node) => node.id)
  }

  get addresses(): string[] {
    return this.ready.nodes.map((node) => node.resp)
  }

  address(nodeId: number): string {
    return this.#node(nodeId).resp
  }

  port(nodeId: number): number {
    return Number(this.address(nodeId).split(':')[1])
  }

  connect(nodeId = 1): Promise<RespClient> {
    return RespClient.connect(this.address(nodeId), 2_000)
  }

  /** The group that owns the key: `dev` deals the slots out in runs, in the order of the groups. */
  groupOf(key: string): number {
    const { groups } = this.ready
    const slotCount = groups.reduce((sum, { slots }) => sum + slots, 0)
    const slot: number = slotOf(Buffer.from(key), slotCount)
    let firstSlot = 0
    for (const { id, slots } of groups) {
      if (slot < firstSlot + slots) return id
      firstSlot += slots
    }
    throw new Error(`no group owns slot ${slot}`)
  }

  /** SIGKILL, sent before the first await; ends when the process is gone. */
  async kill(nodeId: number): Promise<void> {
    const running = this.#process(nodeId)
    running.killed = true
    process.kill(running.pid, 'SIGKILL')
    await eventually(`the end of node ${nodeId}`, 5_000, () => processMark(running.pid) === null)
  }

  pause(nodeId: number): void {
    process.kill(this.#process(nodeId).pid, 'SIGSTOP')
  }

  resume(nodeId: number): void {
    process.kill(this.#process(nodeId).pid, 'SIGCONT')
  }

  /** Starts a killed node again with its `command`, and waits until it answers. It prints to the log that it had before. */
  async restart(nodeId: number): Promise<void> {
    const { command, data } = this.#node(nodeId)
    const [program, ...args] = command
    const log = `${data}.log`
    const descriptor = openNodeLog(log)
    const child = spawn(program, args, { stdio: ['ignore', descriptor, descriptor] })
    closeSync(descriptor)
    if (child.pid === undefined) throw new Error(`node ${nodeId}: ${program} cannot be started`)
    this.#processes.set(nodeId, { pid: child.pid, killed: false })
    await eventually(`node ${nodeId} to answer after its restart`, RESTART_WITHIN_MS, async () => {
      const end = child.signalCode ?? child.exitCode
      if (end !== null) throw new Error(`node ${nodeId} ended (${end}) after its restart: ${lastWords(log)}`)
      return (await this.status(nodeId)) !== null
    })
  }

  status(nodeId: number): Promise<NodeView | null> {
    return askStatus(this.address(nodeId), STATUS_TIMEOUT_MS)
  }

  /** Group id -> node id; only leaders of the highest term that any node knows. */
  async leaders(): Promise<Map<number, number>> {
    return leadersByTerm(await this.#statuses())
  }

  /** The group's leader as a node id; waits until there is one. */
  async leader(groupId: number, timeoutMs = 10_000): Promise<number> {
    return eventually(`a leader of group ${groupId}`, timeoutMs, async () => {
      return (await this.leaders()).get(groupId) ?? null
    })
  }

  /**
   * Waits until every node answers, every group has a leader, and every replica has applied what was committed when the wait
   * began: from here the cluster can bear the loss of any one node.
   */
  async settled(timeoutMs = 30_000): Promise<void> {
    const committed = new Map<number, number>()
    await eventually('every node to catch up', timeoutMs, async () => {
      const statuses = await this.#statuses()
      const groups = statuses.flatMap((status) => status?.groups ?? [])
      for (const { id, commit } of groups) if (!committed.has(id)) committed.set(id, commit)
      const leaders = leadersByTerm(statuses)
      return (
        !statuses.includes(null) &&
        this.#groupIds.every((groupId) => leaders.has(groupId)) &&
        groups.every(({ id, applied }) => applied >= (committed.get(id) ?? 0))
      )
    })
  }

  /** What ended although nobody here ended it: one line per node. */
  crashes(): string[] {
    const lines: string[] = []
    for (const [nodeId, { pid, killed }] of this.#processes) {
      if (killed || processMark(pid) !== null) continue
      lines.push(`node ${nodeId} ended by itself: ${lastWords(`${this.#node(nodeId).data}.log`)}`)
    }
    return lines
  }

  /** Pids of the nodes that are still there. */
  living(): number[] {
    return [...this.#processes.values()].map(({ pid }) => pid).filter((pid) => processMark(pid) !== null)
  }

  /** SIGTERM to the supervisor; its exit code. Nodes that are left are killed, and the caller is told. */
  async stop(): Promise<number | null> {
    for (const pid of this.living()) process.kill(pid, 'SIGCONT')
    const ended = new Promise<number | null>((resolve) => {
      if (this.supervisor.exitCode !== null || this.supervisor.signalCode !== null) resolve(this.supervisor.exitCode)
      else this.supervisor.once('exit', (code) => resolve(code))
    })
    for (const running of this.#processes.values()) running.killed = true
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
    for (const running of this.#processes.values()) running.killed = true
    for (const pid of this.living()) process.kill(pid, 'SIGKILL')
    await eventually('the end of all nodes', 5_000, () => this.living().length === 0)
    started.delete(this)
  }

  get #groupIds(): number[] {
    return this.ready.groups.map(({ id }) => id)
  }

  #statuses(): Promise<(NodeView | null)[]> {
    return Promise.all(this.nodeIds.map((nodeId) => this.status(nodeId)))
  }

  #node(nodeId: number): ReadyLine['nodes'][number] {
    const node = this.ready.nodes.find(({ id }) => id === nodeId)
    if (node === undefined) throw new Error(`no node ${nodeId}`)
    return node
  }

  #process(nodeId: number): NodeProcess {
    const running = this.#processes.get(nodeId)
    if (running === undefined) throw new Error(`no node ${nodeId}`)
    return running
  }
}

/** Group id -> node id, only where the one that says that it leads does so in the highest term that any node knows. */
function leadersByTerm(statuses: readonly (NodeView | null)[]): Map<number, number> {
  const leaders = leadersOf(statuses)
  const groups = statuses.flatMap((status) => status?.groups ?? [])
  for (const groupId of [...leaders.keys()]) {
    const known = groups.filter(({ id }) => id === groupId)
    const highest = Math.max(...known.map(({ term }) => term))
    if (!known.some(({ role, term }) => role === 'leader' && term === highest)) leaders.delete(groupId)
  }
  return leaders
}
