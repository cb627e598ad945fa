/**
 * Clients and doors in a simulated world: the real client, real doors, and behind them one state machine that all doors share, as the nodes of a cluster
 * do. Faults: connections reset, pairs cut off, doors stopped for a while, and routers that refuse or do not know. One seed, one run.
 */
import { asGroupId, asNodeId, type SlotId } from '../base/brand.ts'
import { latin1Bytes } from '../base/bytes.ts'
import type { ClusterView } from '../ports/cluster-view.ts'
import { SILENT_LOGGER } from '../ports/logger.ts'
import type { Network } from '../ports/network.ts'
import type { ReadLevel, ReplyCallback, RequestRouter } from '../ports/request-router.ts'
import type { WriteIdentity } from '../protocol/client-session.ts'
import { LONELY_BUS, TEST_NODE_INFO } from '../server/resp/door.testkit.ts'
import { MemoryRouter } from '../server/resp/memory-router.testkit.ts'
import { RespServer } from '../server/resp/resp-server.ts'
import { Scheduler } from '../simulation/scheduler.ts'
import { SimClock } from '../simulation/sim-clock.ts'
import { SimNetwork } from '../simulation/sim-network.ts'
import { type ClientOptions, QuorateClient } from './quorate-client.ts'

export const SLOTS = 16
const CLIENT_HOST = 100
const UNCERTAIN = latin1Bytes('-UNCERTAIN the write may or may not have run: read the key before trying again\r\n')

/** What a door's router does to a request; `run` is the machine behind it. */
export type Fault = 'none' | 'refuse' | 'unknown-ran' | 'unknown-lost'

class FaultyRouter implements RequestRouter {
  readonly slotCount = SLOTS
  readonly #inner: MemoryRouter
  readonly #clock: SimClock
  readonly #world: ClientWorld
  readonly #refusal: () => Uint8Array

  constructor(inner: MemoryRouter, clock: SimClock, world: ClientWorld, refusal: () => Uint8Array) {
    this.#inner = inner
    this.#clock = clock
    this.#world = world
    this.#refusal = refusal
  }

  write(slot: SlotId, command: Uint8Array, done: ReplyCallback): void {
    this.#inner.write(slot, command, this.#here(done))
  }

  writeAs(identity: WriteIdentity, slot: SlotId, command: Uint8Array, done: ReplyCallback): void {
    const fault = this.#world.fault()
    const answer = this.#here(done)
    if (fault === 'refuse') return this.#clock.defer(() => answer(this.#refusal()))
    // Late, as an attempt that was on its way while its node gave up on it.
    const lateMs = this.#world.scheduler.random.unit() * 300
    if (fault === 'unknown-ran') {
      this.#world.scheduler.after(lateMs, 'late', () => this.#inner.writeAs(identity, slot, command, () => {}))
    }
    if (fault !== 'none') return this.#clock.defer(() => answer(UNCERTAIN))
    this.#inner.writeAs(identity, slot, command, answer)
  }

  lendSession(): number | null {
    return this.#inner.lendSession()
  }

  read(slot: SlotId, command: Uint8Array, level: ReadLevel, afterWrites: boolean, done: ReplyCallback): void {
    this.#inner.read(slot, command, level, afterWrites, this.#here(done))
  }

  outstandingRequests(): number {
    return 0
  }

  /** Replies reach this door's process as it runs: late where it is stopped. */
  #here(done: ReplyCallback): ReplyCallback {
    return (reply) => this.#clock.deliver(() => done(reply))
  }
}

export interface DoorProcess {
  readonly host: number
  readonly address: string
  readonly clock: SimClock
  readonly server: RespServer
}

export class ClientWorld {
  readonly scheduler: Scheduler
  readonly network: SimNetwork
  readonly router: MemoryRouter
  readonly doors: DoorProcess[] = []
  fault: () => Fault = () => 'none'
  refusal = latin1Bytes('-CLUSTERDOWN no leader for this slot within the request deadline\r\n')
  tableVersion = 5
  /** Of a slot; else 1. */
  readonly changedAt = new Map<number, number>()
  leader = 1
  readonly clientClock: SimClock
  #clientNetwork: Network | null = null

  constructor(seed: number, doors = 3) {
    this.scheduler = new Scheduler(seed)
    this.network = new SimNetwork(this.scheduler)
    const clock = new SimClock(this.scheduler, { label: 'machine' })
    this.router = new MemoryRouter(clock, {
      slotCount: SLOTS,
      delayMs: () => 0.1 + this.scheduler.random.unit() * 3,
    })
    this.clientClock = new SimClock(this.scheduler, { label: 'client', wallStartMs: 0, monotonicStartMs: 77 })
    for (let host = 1; host <= doors; host++) this.doors.push(this.#openDoor(host))
    this.scheduler.runUntil(10)
  }

  client(options: Partial<ClientOptions> = {}): QuorateClient {
    const servers = this.doors.map(({ address }) => address)
    this.#clientNetwork ??= this.network.forNode(CLIENT_HOST, this.clientClock)
    return new QuorateClient({ servers, ...options }, this.#clientNetwork, this.clientClock)
  }

  /** Lets virtual time run until the promise is settled; what a promise wakes runs between any two events. */
  async done<T>(promise: Promise<T>, limitMs = 120_000): Promise<T> {
    let settled = false
    const watched = promise.finally(() => {
      settled = true
    })
    watched.catch(() => {})
    const endMs = this.scheduler.nowMs + limitMs
    for (;;) {
      for (let i = 0; i < 20; i++) await null
      if (settled) return watched
      if (this.scheduler.nowMs > endMs || !this.scheduler.step()) throw new Error('the promise does not settle')
    }
  }

  async runFor(milliseconds: number): Promise<void> {
    await this.done(new Promise<void>((resolve) => void this.scheduler.after(milliseconds, 'wait', resolve)))
  }

  cut(door: DoorProcess): void {
    this.network.partition(CLIENT_HOST, door.host)
  }

  reset(door: DoorProcess): void {
    this.network.resetConnections(CLIENT_HOST, door.host)
  }

  #openDoor(host: number): DoorProcess {
    const clock = new SimClock(this.scheduler, { label: `door ${host}` })
    const address = `host-${host}:7379`
    const router = new FaultyRouter(this.router, clock, this, () => this.refusal)
    const settings = { address, nodeInfo: TEST_NODE_INFO, view: this.#view(host) }
    const network = this.network.forNode(host, clock)
    const random = this.scheduler.random.fork()
    const server = new RespServer(network, clock, random, router, LONELY_BUS, SILENT_LOGGER, settings)
    server.start((error) => {
      if (error !== null) throw new Error(error.message)
    })
    return { host, address, clock, server }
  }

  #view(self: number): ClusterView {
    const world = this
    const nodes = [1, 2, 3].map((id) => ({
      nodeId: asNodeId(id),
      peer: `host-${id}:7383`,
      resp: `host-${id}:7379`,
      cluster: `host-${id}:7380`,
      roles: ['worker'] as const,
    }))
    const members = nodes.map(({ nodeId }) => nodeId)
    const group = { group: asGroupId(1), weight: 10, draining: false, members }
    return {
      self: asNodeId(self),
      clusterId: '00'.repeat(16),
      slotCount: SLOTS,
      get tableVersion() {
        return world.tableVersion
      },
      groupOf: () => asGroupId(1),
      changedAt: (slot) => world.changedAt.get(slot) ?? 1,
      leaderOf: () => asNodeId(world.leader),
      groups: () => [group],
      group: () => group,
      nodes: () => nodes,
      node: (id) => nodes[id - 1],
      onChange: () => () => {},
    }
  }
}
