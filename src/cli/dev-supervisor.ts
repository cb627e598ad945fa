/**
 * One process per node, started, watched and stopped. A node that dies is not started again: that is the user's (or a
 * test's) decision, with the node's `command`. Nodes watch the supervisor in turn, so none outlives it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { assert } from '../base/assert.ts'
import { nodePort, respAddress } from '../embedding/cluster-shape.ts'
import { type DevData, nodeDirectory } from '../embedding/dev-data.ts'
import { fail, type Outcome, succeed } from '../platform/failure.ts'
import { askStatus, type LedCluster, ledCluster, missingToLead, type NodeView } from './cluster-status.ts'
import { lastWords, openNodeLog } from './node-log.ts'
import { processesWithArguments, processMark } from './process-life.ts'

/** Nodes that live read their logs, however long that takes: a gigabyte takes a minute, and more where there are a thousand groups. */
const READY_WITHIN_MS = 600_000
/** While it takes long, people hear what is missing. */
const SAY_EVERY_MS = 15_000
const POLL_EVERY_MS = 50
const STATUS_TIMEOUT_MS = 1_000
const STOP_WITHIN_MS = 5_000

export interface SupervisedNode {
  readonly nodeId: number
  readonly pid: number
  readonly directory: string
  readonly command: readonly string[]
  readonly log: string
  readonly child: ChildProcess
}

export class DevSupervisor {
  readonly data: DevData
  readonly #mainPath: string
  readonly #nodeFlags: readonly string[]
  readonly #onNodeEnd: (node: SupervisedNode, how: string) => void
  #nodes: readonly SupervisedNode[] = []
  /** Between ready and stopping, a node's end is news; before and after it is part of starting or stopping. */
  #steady = false

  /** `mainPath` is the program's own entry file; `onNodeEnd` hears of nodes that end unasked. */
  constructor(
    data: DevData,
    mainPath: string,
    nodeFlags: readonly string[],
    onNodeEnd: (node: SupervisedNode, how: string) => void,
  ) {
    this.data = data
    this.#mainPath = resolve(mainPath)
    this.#nodeFlags = nodeFlags
    this.#onNodeEnd = onNodeEnd
  }

  get nodes(): readonly SupervisedNode[] {
    return this.#nodes
  }

  start(): void {
    assert(this.#nodes.length === 0, 'DevSupervisor: started twice')
    this.#nodes = this.data.identities.map(({ nodeId }) => this.#spawn(nodeId))
  }

  #spawn(nodeId: number): SupervisedNode {
    const { root, shape } = this.data
    const directory = nodeDirectory(root, nodeId)
    const port = String(nodePort(shape, nodeId))
    const supervisor = String(process.pid)
    const args = [
      ...[this.#mainPath, 'node', '--data', directory, '--port', port],
      ...[...this.#nodeFlags, '--supervisor', supervisor],
    ]
    const log = `${directory}.log`
    const descriptor = openNodeLog(log)
    const child = spawn(process.execPath, args, { stdio: ['ignore', descriptor, descriptor] })
    closeSync(descriptor)
    const command = [process.execPath, ...args]
    const node = { nodeId, pid: child.pid ?? 0, directory, command, log, child }
    child.once('error', (error) => this.#ended(node, error.message))
    child.once('exit', (code, signal) => this.#ended(node, signal ?? `exit code ${code}`))
    return node
  }

  #ended(node: SupervisedNode, how: string): void {
    if (this.#steady) this.#onNodeEnd(node, how)
  }

  /** Until every node answers and every group has a leader, the masters' own among them; as long as all nodes live. `say`: what is missing, now and then. */
  async waitUntilReady(
    signal: AbortSignal,
    say: (line: string) => void,
    { withinMs = READY_WITHIN_MS, sayEveryMs = SAY_EVERY_MS } = {},
  ): Promise<Outcome<LedCluster>> {
    const { identities, shape } = this.data
    const nodes = identities.map(({ nodeId }) => nodeId)
    const startedMs = performance.now()
    let saidMs = startedMs
    for (;;) {
      if (signal.aborted) return fail('interrupted', 'stopped before the cluster was ready', 'start it again')
      const dead = this.#nodes.find(({ child }) => hasEnded(child))
      if (dead !== undefined) return endedEarly(dead)
      const views = await this.askAll()
      const led = ledCluster(views)
      if (led !== null) {
        this.#steady = true
        return succeed(led)
      }
      const nowMs = performance.now()
      if (nowMs - startedMs > withinMs) {
        const message = `not ready within ${withinMs / 1000} s: ${missingToLead(views, nodes)}`
        return fail('not-ready', message, `read the nodes' logs: ${this.data.root}/node-*.log`)
      }
      if (nowMs - saidMs >= sayEveryMs) {
        say(`quorate: after ${Math.round((nowMs - startedMs) / 1000)} s: ${missingToLead(views, nodes)}`)
        saidMs = nowMs
      }
      await delay(POLL_EVERY_MS + shape.groups)
    }
  }

  /** In the order of the nodes; null: no answer, or the answer of some other cluster's node. */
  async askAll(): Promise<(NodeView | null)[]> {
    const { identities, shape } = this.data
    return Promise.all(
      identities.map(async ({ nodeId, clusterId }) => {
        const status = await askStatus(respAddress(shape, nodeId), STATUS_TIMEOUT_MS)
        return status?.nodeId === nodeId && status.clusterId === clusterId ? status : null
      }),
    )
  }

  /** SIGTERM to every node, also those that were started again by hand; SIGKILL to what is left after 5 s. */
  async stop(): Promise<void> {
    this.#steady = false
    const pids = new Set(processesWithArguments(['--supervisor', String(process.pid)]))
    for (const { child, pid } of this.#nodes) if (!hasEnded(child)) pids.add(pid)
    for (const pid of pids) signalProcess(pid, 'SIGTERM')
    const deadlineMs = performance.now() + STOP_WITHIN_MS
    while ([...pids].some((pid) => processMark(pid) !== null) && performance.now() < deadlineMs) await delay(20)
    for (const pid of pids) if (processMark(pid) !== null) signalProcess(pid, 'SIGKILL')
    await this.data.lock.release()
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}

function endedEarly(node: SupervisedNode): Outcome<never> {
  const how = node.child.signalCode ?? `exit code ${node.child.exitCode}`
  const last = lastWords(node.log)
  const message = `node ${node.nodeId} ended (${how}) before the cluster was ready${last === '' ? '' : `: ${last}`}`
  return fail('node-ended', message, `read ${node.log}`)
}

function signalProcess(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended in the meantime: what was wanted.
  }
}
