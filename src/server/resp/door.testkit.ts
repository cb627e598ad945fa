/** A door in a simulated world, and clients that speak bytes to it. One seed, one run. */
import { latin1Bytes, latin1Text } from '../../base/bytes.ts'
import { SILENT_LOGGER } from '../../ports/logger.ts'
import type { MessageBus } from '../../ports/message-bus.ts'
import type { Connection } from '../../ports/network.ts'
import { Scheduler } from '../../simulation/scheduler.ts'
import { SimClock } from '../../simulation/sim-clock.ts'
import { SimNetwork, type SimNetworkConditions } from '../../simulation/sim-network.ts'
import { SIM_PROCESS_USAGE } from '../../simulation/sim-process-usage.ts'
import { MemoryRouter, type MemoryRouterOptions } from './memory-router.testkit.ts'
import type { NodeInfo } from './node-info.ts'
import { RespServer, type RespServerSettings } from './resp-server.ts'

export const TEST_NODE_INFO: NodeInfo = {
  nodeId: 7,
  usage: SIM_PROCESS_USAGE,
  version: '0.1.0-test',
  status: () => ({ id: 7, groups: [] }),
  infoFields: (section) => (section === 'memory' ? [['used_memory', 1234]] : []),
  replicasHoldingWrites: () => 1,
  configEntries: () => [['quorate-test', 'yes']],
}

const ADDRESS = 'host-1:7379'

export interface DoorWorldOptions {
  readonly seed?: number
  readonly router?: MemoryRouterOptions | ((scheduler: Scheduler) => MemoryRouterOptions)
  readonly server?: Partial<RespServerSettings>
  readonly network?: Partial<SimNetworkConditions>
}

export class DoorWorld {
  readonly scheduler: Scheduler
  readonly network: SimNetwork
  readonly clock: SimClock
  readonly router: MemoryRouter
  readonly server: RespServer
  #hosts = 100

  constructor(options: DoorWorldOptions = {}) {
    this.scheduler = new Scheduler(options.seed ?? 1)
    this.network = new SimNetwork(this.scheduler, options.network)
    this.clock = new SimClock(this.scheduler, { label: 'door' })
    const routerOptions = typeof options.router === 'function' ? options.router(this.scheduler) : options.router
    this.router = new MemoryRouter(this.clock, routerOptions)
    this.server = new RespServer(
      this.network.forNode(1, this.clock),
      this.clock,
      this.scheduler.random.fork(),
      this.router,
      LONELY_BUS,
      SILENT_LOGGER,
      { address: ADDRESS, nodeInfo: TEST_NODE_INFO, ...options.server },
    )
    let started = false
    this.server.start((error) => {
      if (error !== null) throw new Error(error.message)
      started = true
    })
    this.run(10)
    if (!started) throw new Error('the door did not start')
  }

  run(milliseconds: number): void {
    this.scheduler.runUntil(this.scheduler.nowMs + milliseconds)
  }

  connect(): TestClient {
    const client = new TestClient(this)
    const endpoint = this.network.forNode(this.#hosts++)
    endpoint.connect(ADDRESS, 1000, (error, connection) => {
      if (connection === null) throw new Error(`no connection: ${error}`)
      client.attach(connection)
    })
    this.run(20)
    return client
  }
}

export class TestClient {
  received = ''
  closed: string | null = null
  readonly #world: DoorWorld
  #connection: Connection | null = null

  constructor(world: DoorWorld) {
    this.#world = world
  }

  attach(connection: Connection): void {
    this.#connection = connection
    connection.setHandlers({
      onData: (bytes) => {
        this.received += latin1Text(bytes)
      },
      onClose: (reason) => {
        this.closed = reason
      },
    })
  }

  get connection(): Connection {
    if (this.#connection === null) throw new Error('TestClient: not connected')
    return this.#connection
  }

  send(text: string): void {
    this.connection.write(latin1Bytes(text))
  }

  /** Sends, lets the world run, and gives what came since the last call. */
  exchange(text: string, milliseconds = 200): string {
    this.send(text)
    this.#world.run(milliseconds)
    return this.take()
  }

  take(): string {
    const received = this.received
    this.received = ''
    return received
  }
}

/** Of a node without others. */
export const LONELY_BUS: MessageBus = {
  publish: (_channel, _message, _sharded, done) => done(0),
  setReceiver() {},
  listenToKeys() {},
}
