/** The two worlds that transport tests run in: TCP on this machine, and the simulated network. */
import type { NodeId } from '../base/brand.ts'
import { Prng } from '../base/prng.ts'
import { NodeClock } from '../platform/node-clock.ts'
import { NodeNetwork } from '../platform/node-network.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Connection, Listener, Network } from '../ports/network.ts'
import type { Lane, PeerHandlers } from '../ports/peer-channel.ts'
import { FrameDecoder, MAX_FRAME_BYTES } from '../protocol/frame.ts'
import { Scheduler } from '../simulation/scheduler.ts'
import { SimClock } from '../simulation/sim-clock.ts'
import { SimNetwork, type SimNetworkConditions } from '../simulation/sim-network.ts'
import { PeerTransport } from './peer-transport.ts'
import type { PeerTransportOptions } from './transport-options.ts'

export interface World {
  readonly name: string
  /** A new process on this host. */
  process(host: number): { readonly network: Network; readonly clock: Clock }
  /** Where the host's transport listens first. */
  listenAddress(host: number): string
  /** Lets the world go on until the condition holds; throws after a long while. */
  until(what: string, condition: () => boolean): Promise<void>
  close(): void
}

const REAL_DEADLINE_MS = 20_000
const VIRTUAL_DEADLINE_MS = 120_000

export class RealWorld implements World {
  readonly name = 'TCP'
  readonly #network = new NodeNetwork()
  readonly #clock = new NodeClock()

  process(): { network: Network; clock: Clock } {
    return { network: this.#network, clock: this.#clock }
  }

  listenAddress(): string {
    return '127.0.0.1:0'
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    const deadline = performance.now() + REAL_DEADLINE_MS
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(`gave up waiting: ${what}`)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }

  close(): void {}
}

export class SimWorld implements World {
  readonly name = 'simulation'
  readonly scheduler: Scheduler
  readonly network: SimNetwork
  readonly clocks: Map<number, SimClock> = new Map()

  constructor(seed = 1, conditions: Partial<SimNetworkConditions> = {}) {
    this.scheduler = new Scheduler(seed)
    this.network = new SimNetwork(this.scheduler, conditions)
  }

  process(host: number): { network: Network; clock: SimClock } {
    const former = this.clocks.get(host)
    const clock = former === undefined ? new SimClock(this.scheduler, { label: `n${host}` }) : former.successor()
    this.clocks.set(host, clock)
    return { network: this.network.forNode(host, clock), clock }
  }

  listenAddress(host: number): string {
    return `n${host}:7000`
  }

  clock(host: number): SimClock {
    const clock = this.clocks.get(host)
    if (clock === undefined) throw new Error(`no host ${host}`)
    return clock
  }

  kill(host: number, machineOff: boolean): void {
    this.network.killNode(host, machineOff)
    this.clock(host).kill()
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    const deadline = this.scheduler.nowMs + VIRTUAL_DEADLINE_MS
    while (!condition()) {
      if (this.scheduler.nowMs > deadline || !this.scheduler.step()) throw new Error(`gave up waiting: ${what}`)
    }
  }

  close(): void {}
}

/** Keeps every line. */
export class RecordingLogger implements Logger {
  readonly lines: string[] = []

  info(event: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.lines.push(`info ${event} ${JSON.stringify(fields)}`)
  }

  warn(event: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.lines.push(`warn ${event} ${JSON.stringify(fields)}`)
  }

  error(event: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.lines.push(`error ${event} ${JSON.stringify(fields)}`)
  }

  has(text: string): boolean {
    return this.lines.some((line) => line.includes(text))
  }
}

export interface ReceivedMessage {
  readonly from: NodeId
  readonly lane: Lane
  readonly stream: number
  readonly bytes: Uint8Array
}

/** Keeps everything that a transport reports. */
export class RecordingHandlers implements PeerHandlers {
  readonly messages: ReceivedMessage[] = []
  /** "open 2/0 #5", "closed 2/0 #5", "writable 2/0": to, lane, stream. */
  readonly events: string[] = []
  readonly clocks: { readonly from: NodeId; readonly wallMs: number }[] = []

  onMessage(from: NodeId, lane: Lane, stream: number, bytes: Uint8Array): void {
    this.messages.push({ from, lane, stream, bytes })
  }

  onStreamOpen(to: NodeId, lane: Lane, stream: number): void {
    this.events.push(`open ${to}/${lane} #${stream}`)
  }

  onStreamClosed(to: NodeId, lane: Lane, stream: number): void {
    this.events.push(`closed ${to}/${lane} #${stream}`)
  }

  onWritable(to: NodeId, lane: Lane): void {
    this.events.push(`writable ${to}/${lane}`)
  }

  onPeerClock(from: NodeId, wallMs: number): void {
    this.clocks.push({ from, wallMs })
  }

  count(prefix: string): number {
    return this.events.filter((event) => event.startsWith(prefix)).length
  }
}

/** Counts calls of write and writeMany on dialled connections, and when they were dialled. */
export class CountingNetwork implements Network {
  writes = 0
  readonly dialledAtMs: number[] = []
  readonly #inner: Network
  readonly #clock: Clock

  constructor(inner: Network, clock: Clock) {
    this.#inner = inner
    this.#clock = clock
  }

  listen(
    address: string,
    onConnection: (connection: Connection) => void,
    done: Parameters<Network['listen']>[2],
  ): void {
    this.#inner.listen(address, onConnection, done)
  }

  connect(
    address: string,
    timeoutMs: number,
    done: (error: string | null, connection: Connection | null) => void,
  ): void {
    this.dialledAtMs.push(this.#clock.monotonicMs())
    this.#inner.connect(address, timeoutMs, (error, connection) => {
      if (connection !== null) this.#count(connection)
      done(error, connection)
    })
  }

  #count(connection: Connection): void {
    const write = connection.write.bind(connection)
    const writeMany = connection.writeMany.bind(connection)
    connection.write = (bytes) => {
      this.writes++
      write(bytes)
    }
    connection.writeMany = (parts) => {
      this.writes++
      writeMany(parts)
    }
  }
}

export const TEST_CLUSTER_ID: Uint8Array = Uint8Array.from({ length: 16 }, (_, i) => i)
export const TEST_TOKEN: Uint8Array = Uint8Array.of(1, 2, 3)

export interface TestNode {
  readonly id: NodeId
  readonly transport: PeerTransport
  readonly handlers: RecordingHandlers
  readonly logger: RecordingLogger
  readonly network: CountingNetwork
  readonly clock: Clock
}

/** A started transport without peers, unless `options` names some. */
export async function startNode(
  world: World,
  id: NodeId,
  options: Partial<PeerTransportOptions> = {},
): Promise<TestNode> {
  const { network: plain, clock } = world.process(id)
  const network = new CountingNetwork(plain, clock)
  const handlers = new RecordingHandlers()
  const logger = new RecordingLogger()
  const all: PeerTransportOptions = {
    clusterId: TEST_CLUSTER_ID,
    nodeId: id,
    incarnation: 1,
    listenAddress: world.listenAddress(id),
    peers: new Map(),
    authToken: TEST_TOKEN,
    ...options,
  }
  const transport = new PeerTransport(network, clock, new Prng(id), logger, all, handlers)
  let started = false
  transport.start((error) => {
    if (error !== null) throw new Error(error.message)
    started = true
  })
  await world.until(`node ${id} listens`, () => started)
  return { id, transport, handlers, logger, network, clock }
}

export function addressOf(node: TestNode): string {
  const address = node.transport.address
  if (address === null) throw new Error('does not listen')
  return address
}

export const ALL_LANES: readonly Lane[] = [0, 1, 2]

/** Each is told of the other; returns once all six streams are up. */
export async function introduce(world: World, a: TestNode, b: TestNode): Promise<void> {
  b.transport.setPeer(a.id, addressOf(a))
  a.transport.setPeer(b.id, addressOf(b))
  const up = (): boolean =>
    ALL_LANES.every((lane) => a.transport.isConnected(b.id, lane) && b.transport.isConnected(a.id, lane))
  await world.until('both connected', up)
}

export async function stopNode(world: World, node: TestNode): Promise<void> {
  let stopped = false
  node.transport.stop(() => {
    stopped = true
  })
  await world.until('stopped', () => stopped)
}

/** A bare connection that speaks whatever the test wants. */
export class RawConnection {
  readonly connection: Connection
  readonly frames: { readonly kind: number; readonly payload: Uint8Array }[] = []
  receivedBytes = 0
  closed = false
  afterRead: () => void = () => {}
  readonly #decoder = new FrameDecoder(MAX_FRAME_BYTES)

  constructor(connection: Connection) {
    this.connection = connection
    connection.setHandlers({
      onData: (bytes) => {
        this.receivedBytes += bytes.length
        const error = this.#decoder.push(bytes, (kind, payload) => {
          this.frames.push({ kind, payload })
          return true
        })
        if (error !== null) throw new Error(error.message)
        this.afterRead()
      },
      onClose: () => {
        this.closed = true
      },
    })
  }

  static async dial(world: World, network: Network, address: string): Promise<RawConnection> {
    let result: RawConnection | null = null
    network.connect(address, 2000, (error, connection) => {
      if (connection === null) throw new Error(error ?? 'no connection')
      result = new RawConnection(connection)
    })
    await world.until('raw connection', () => result !== null)
    return result as unknown as RawConnection
  }
}

/** A bare listener that hands over every connection. */
export async function rawListen(
  world: World,
  network: Network,
  address: string,
  onConnection: (raw: RawConnection) => void,
): Promise<Listener> {
  let result: Listener | null = null
  network.listen(
    address,
    (connection) => onConnection(new RawConnection(connection)),
    (error, listener) => {
      if (listener === null) throw new Error(error?.message ?? 'no listener')
      result = listener
    },
  )
  await world.until('raw listener', () => result !== null)
  return result as unknown as Listener
}
