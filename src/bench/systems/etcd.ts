/**
 * etcd, three nodes with their data on disk, driven at its leader. All operations are on one key: h2load has one body for
 * all requests. That does etcd no harm (its puts are serial anyway, and the tree stays small).
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { failedOperation } from '../bench-error.ts'
import { ETCD_PUT_PATH, ETCD_RANGE_PATH, putRequest, rangeRequest } from '../etcd-request.ts'
import { freePorts, HOST } from '../free-ports.ts'
import { h2loadArguments, parseH2loadLog, parseH2loadSummary } from '../h2load.ts'
import { type LoadShape, VALUE_BYTES } from '../scenarios.ts'
import type { LoadResult, System } from '../system.ts'
import { waitUntil } from '../wait-until.ts'
import type { Workshop } from '../workshop.ts'

const NODES = 3
const START_TIMEOUT_MS = 30_000
const KEY = 'key:000000000001'

export class EtcdSystem implements System {
  readonly name = 'etcd'
  readonly generator = 'h2load'
  readonly #workshop: Workshop
  readonly #directory: string
  #pids: number[] = []
  #clientPorts: number[] = []
  #leaderPort = 0

  constructor(workshop: Workshop) {
    this.#workshop = workshop
    this.#directory = workshop.makeDirectory('etcd')
  }

  supports(): boolean {
    return true
  }

  async start(): Promise<void> {
    const firstPort = await freePorts(2 * NODES)
    const client = (node: number): string => `http://${HOST}:${firstPort + 2 * node}`
    const peer = (node: number): string => `http://${HOST}:${firstPort + 2 * node + 1}`
    const nodes = Array.from({ length: NODES }, (_, node) => node)
    const cluster = nodes.map((node) => `n${node}=${peer(node)}`).join(',')
    this.#clientPorts = nodes.map((node) => firstPort + 2 * node)
    for (const node of nodes) {
      const data = join(this.#directory, `n${node}`)
      mkdirSync(data, { mode: 0o700 })
      const child = this.#workshop.startServer(`etcd-${node}`, 'etcd', [
        ...['--name', `n${node}`, '--data-dir', data, '--logger', 'zap', '--log-level', 'error'],
        ...['--listen-client-urls', client(node), '--advertise-client-urls', client(node)],
        ...['--listen-peer-urls', peer(node), '--initial-advertise-peer-urls', peer(node)],
        ...['--initial-cluster', cluster, '--initial-cluster-state', 'new', '--initial-cluster-token', 'bench'],
      ])
      if (child.pid !== undefined) this.#pids.push(child.pid)
    }
    await waitUntil(this.#workshop, 'etcd elects a leader', START_TIMEOUT_MS, () => this.#findLeader())
    writeFileSync(this.#bodyFile('set'), putRequest(KEY, Buffer.alloc(VALUE_BYTES, 'x')))
    writeFileSync(this.#bodyFile('get'), rangeRequest(KEY))
    await this.run({ scenario: 'set', operation: 'set', connections: 1, pipeline: 1 }, 1)
  }

  serverPids(): readonly number[] {
    return this.#pids
  }

  async run(shape: LoadShape, operations: number): Promise<LoadResult> {
    await waitUntil(this.#workshop, 'etcd has a leader', START_TIMEOUT_MS, () => this.#findLeader())
    const logFile = join(this.#directory, 'h2load.log')
    // h2load appends to what is there.
    rmSync(logFile, { force: true })
    const revisionBefore = await this.#revision()
    const path = shape.operation === 'set' ? ETCD_PUT_PATH : ETCD_RANGE_PATH
    const url = `http://${HOST}:${this.#leaderPort}${path}`
    const bodyFile = this.#bodyFile(shape.operation)
    const output = await this.#workshop.runProgram(
      'h2load',
      h2loadArguments({ ...shape, operations, url, bodyFile, logFile }),
    )
    const summary = parseH2loadSummary(output.stdout)
    // HTTP says 200 for gRPC's errors too: so look whether the work was done.
    const written = (await this.#revision()) - revisionBefore
    const [done, wanted] =
      shape.operation === 'set' ? [written, operations] : [summary.dataBytes, operations * VALUE_BYTES]
    if (done < wanted) {
      throw failedOperation(
        `etcd answered ${operations} ${shape.operation}s with ${done} of ${wanted} done`,
        'see its log',
      )
    }
    return { operations, seconds: summary.seconds, ...parseH2loadLog(readFileSync(logFile, 'latin1')) }
  }

  #bodyFile(operation: 'set' | 'get'): string {
    return join(this.#directory, `${operation}.grpc`)
  }

  /** The leader's client port, remembered; null while there is none. */
  async #findLeader(): Promise<number | null> {
    for (const port of this.#clientPorts) {
      const status = await this.#ask(port, '/v3/maintenance/status', {})
      const leader = status.leader
      if (leader === undefined || leader === '0' || leader !== headerField(status, 'member_id')) continue
      this.#leaderPort = port
      return port
    }
    return null
  }

  /** One more for each put since the cluster was made. */
  async #revision(): Promise<number> {
    const range = await this.#ask(this.#leaderPort, '/v3/kv/range', { key: Buffer.from(KEY).toString('base64') })
    return Number(headerField(range, 'revision'))
  }

  /** etcd's own JSON gateway. */
  async #ask(port: number, path: string, body: object): Promise<Readonly<Record<string, unknown>>> {
    const response = await fetch(`http://${HOST}:${port}${path}`, { method: 'POST', body: JSON.stringify(body) })
    return (await response.json()) as Record<string, unknown>
  }
}

function headerField(reply: Readonly<Record<string, unknown>>, name: string): unknown {
  return (reply.header as Record<string, unknown> | undefined)?.[name]
}
