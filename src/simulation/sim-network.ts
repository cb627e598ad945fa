/**
 * The Network of a simulated world: hosts, addresses, partitions by pairs of hosts, and everything that goes wrong
 * between machines. All chance comes from the scheduler's seed. A nemesis drives it: `partition`, `heal`,
 * `resetRandomConnection`, `killNode`, `configure`; `faults` counts what was done.
 */
import { assert } from '../base/assert.ts'
import type { Connection, ListenError, Listener, Network } from '../ports/network.ts'
import type { Scheduler } from './scheduler.ts'
import type { SimClock } from './sim-clock.ts'
import { type ConnectionNetwork, type ConnectionOwner, SimConnection } from './sim-connection.ts'
import type { FrameChaosConditions } from './sim-frame-chaos.ts'
import { latencyMs, type PipeConditions } from './sim-pipe.ts'

export interface SimNetworkConditions extends PipeConditions, FrameChaosConditions {
  /** A connection across a new partition breaks while it lasts, each end by itself. */
  readonly partitionBreakProbability: number
  /** A killed node takes its machine with it: the others' connections to it stay half open. */
  readonly halfOpenProbability: number
}

export const CALM_NETWORK: SimNetworkConditions = {
  latencyMinMs: 0.05,
  latencyMaxMs: 1,
  spikeProbability: 0,
  spikeMaxMs: 0,
  splitProbability: 0.05,
  windowBytes: 256 * 1024,
  frameDropProbability: 0,
  frameDuplicateProbability: 0,
  frameReorderProbability: 0,
  partitionBreakProbability: 0.3,
  halfOpenProbability: 0.3,
}

interface SimListener {
  readonly endpoint: SimEndpoint
  readonly onConnection: (connection: Connection) => void
}

const FIRST_FREE_PORT = 40_000
const SYN_RETRY_MIN_MS = 100
const SYN_RETRY_MAX_MS = 300
const BREAK_MAX_MS = 10_000

export class SimNetwork implements ConnectionNetwork {
  readonly scheduler: Scheduler
  readonly faults: Record<string, number> = {}
  conditions: SimNetworkConditions
  readonly #endpoints: Map<number, SimEndpoint> = new Map()
  readonly #listeners: Map<string, SimListener> = new Map()
  /** Whose an address was last: a host that is off does not even refuse. */
  readonly #addressHosts: Map<string, number> = new Map()
  /** "from>to" */
  readonly #blocked: Set<string> = new Set()
  /** One end of each connection that is not closed at both; by id, so in the order of opening. */
  readonly #connections: Map<number, SimConnection> = new Map()
  readonly #hostsOff: Set<number> = new Set()
  #lastConnectionId = 0
  #nextPort = FIRST_FREE_PORT

  constructor(scheduler: Scheduler, conditions: Partial<SimNetworkConditions> = {}) {
    this.scheduler = scheduler
    this.conditions = { ...CALM_NETWORK, ...conditions }
  }

  configure(conditions: Partial<SimNetworkConditions>): void {
    this.conditions = { ...this.conditions, ...conditions }
  }

  countFault(fault: string): void {
    this.faults[fault] = (this.faults[fault] ?? 0) + 1
  }

  /** The network as one process sees it; a later process of the host gets its own. Without a clock it is never paused. */
  forNode(host: number, clock: SimClock | null = null): Network {
    const former = this.#endpoints.get(host)
    assert(former === undefined || !former.alive, `SimNetwork: the process of host ${host} still lives`)
    const endpoint = new SimEndpoint(this, host, clock)
    this.#endpoints.set(host, endpoint)
    this.#hostsOff.delete(host)
    return endpoint
  }

  isHostUp(host: number): boolean {
    return !this.#hostsOff.has(host)
  }

  isBlocked(from: number, to: number): boolean {
    return this.#blocked.size > 0 && this.#blocked.has(`${from}>${to}`)
  }

  /** Bytes from `a` to `b` stall; the other way too unless `oneWay`. */
  partition(a: number, b: number, oneWay = false): void {
    this.countFault(oneWay ? 'oneWayPartitions' : 'partitions')
    this.#blocked.add(`${a}>${b}`)
    if (!oneWay) this.#blocked.add(`${b}>${a}`)
    for (const side of this.#between(a, b)) {
      this.#maybeBreak(side)
      this.#maybeBreak(side.peer)
    }
  }

  #maybeBreak(side: SimConnection): void {
    const { random } = this.scheduler
    if (!random.chance(this.conditions.partitionBreakProbability)) return
    this.scheduler.after(BREAK_MAX_MS * random.unit(), 'net break', () => {
      const here = side.owner.host
      const there = side.peer.owner.host
      if (side.isClosed || !(this.isBlocked(here, there) || this.isBlocked(there, here))) return
      this.countFault('partitionBreaks')
      side.breakSilently('ETIMEDOUT')
    })
  }

  /** Both ways between two hosts. */
  healPair(a: number, b: number): void {
    this.#blocked.delete(`${a}>${b}`)
    this.#blocked.delete(`${b}>${a}`)
    for (const side of this.#between(a, b)) {
      side.onHealed()
      side.peer.onHealed()
    }
  }

  heal(): void {
    this.#blocked.clear()
    for (const side of this.#connections.values()) {
      side.onHealed()
      side.peer.onHealed()
    }
  }

  /** All connections between two hosts end, with what is on the wire. */
  resetConnections(a: number, b: number): void {
    for (const side of this.#between(a, b)) this.#reset(side)
  }

  /** False where there is none. */
  resetRandomConnection(): boolean {
    if (this.#connections.size === 0) return false
    this.#reset(this.scheduler.random.pick([...this.#connections.values()]))
    return true
  }

  #reset(side: SimConnection): void {
    this.countFault('connectionResets')
    side.breakSilently('ECONNRESET')
    side.peer.breakSilently('ECONNRESET')
  }

  #between(a: number, b: number): SimConnection[] {
    return [...this.#connections.values()].filter((side) => {
      const here = side.owner.host
      const there = side.peer.owner.host
      return (here === a && there === b) || (here === b && there === a)
    })
  }

  /**
   * The process of this host is gone. Its kernel ends its connections, or the machine is off (by the seed, or as said) and nobody
   * tells the others. `forNode` brings the host back.
   */
  killNode(host: number, machineOff = this.scheduler.random.chance(this.conditions.halfOpenProbability)): void {
    const endpoint = this.#endpoints.get(host)
    if (endpoint === undefined || !endpoint.alive) return
    this.countFault(machineOff ? 'machinesOff' : 'processesKilled')
    endpoint.alive = false
    if (machineOff) this.#hostsOff.add(host)
    for (const [address, listener] of this.#listeners) {
      if (listener.endpoint === endpoint) this.#listeners.delete(address)
    }
    for (const side of [...this.#connections.values()]) {
      if (side.owner.host === host) side.orphan(machineOff)
      if (side.peer.owner.host === host) side.peer.orphan(machineOff)
    }
  }

  get openConnections(): number {
    return this.#connections.size
  }

  onSideClosed(side: SimConnection): void {
    if (side.peer.isClosed) this.#connections.delete(side.id)
  }

  /** For endpoints: null where the address is taken. */
  bind(address: string, listener: SimListener): string | null {
    const bound = address.endsWith(':0') ? `${address.slice(0, -1)}${this.#nextPort++}` : address
    if (this.#listeners.has(bound)) return null
    this.#listeners.set(bound, listener)
    this.#addressHosts.set(bound, listener.endpoint.host)
    return bound
  }

  unbind(address: string, endpoint: SimEndpoint): void {
    if (this.#listeners.get(address)?.endpoint === endpoint) this.#listeners.delete(address)
  }

  /** For endpoints: one handshake, tried again while nobody answers. */
  dial(
    from: SimEndpoint,
    address: string,
    timeoutMs: number,
    done: (error: string | null, connection: Connection | null) => void,
  ): void {
    let settled = false
    const settle = (error: string | null, connection: SimConnection | null): void => {
      if (settled) {
        connection?.destroy()
        return
      }
      settled = true
      this.scheduler.cancel(timeout)
      from.deliver(() => done(error, connection))
    }
    const timeout = this.scheduler.after(timeoutMs, 'net connect timeout', () =>
      settle(`no connection to ${address} in ${timeoutMs} ms`, null),
    )
    const attempt = (): void => {
      this.scheduler.after(latencyMs(this), 'net syn', () => {
        if (settled || !from.alive) return
        const host = this.#addressHosts.get(address)
        const unreachable =
          host !== undefined &&
          (!this.isHostUp(host) || this.isBlocked(from.host, host) || this.isBlocked(host, from.host))
        if (unreachable) {
          const retryMs = SYN_RETRY_MIN_MS + (SYN_RETRY_MAX_MS - SYN_RETRY_MIN_MS) * this.scheduler.random.unit()
          this.scheduler.after(retryMs, 'net syn again', attempt)
          return
        }
        const listener = this.#listeners.get(address)
        if (listener !== undefined) this.#accept(from, address, listener, settle)
        else this.scheduler.after(latencyMs(this), 'net refused', () => settle('ECONNREFUSED', null))
      })
    }
    attempt()
  }

  #accept(
    from: SimEndpoint,
    address: string,
    listener: SimListener,
    settle: (error: string | null, connection: SimConnection | null) => void,
  ): void {
    const id = ++this.#lastConnectionId
    const dialler = `host-${from.host}:${this.#nextPort++}`
    const dialled = new SimConnection(this, id, from, address, dialler)
    const accepted = new SimConnection(this, id, listener.endpoint, dialler, address)
    SimConnection.join(dialled, accepted)
    this.#connections.set(id, dialled)
    const answerMs = latencyMs(this)
    accepted.startAt(this.scheduler.nowMs + answerMs)
    this.scheduler.after(answerMs, 'net connected', () => {
      if (!from.alive) return
      if (dialled.isClosed) settle('ECONNRESET', null)
      else settle(null, dialled)
    })
    listener.endpoint.deliver(() => listener.onConnection(accepted))
  }
}

export class SimEndpoint implements Network, ConnectionOwner {
  readonly host: number
  alive = true
  readonly #network: SimNetwork
  readonly #clock: SimClock | null

  constructor(network: SimNetwork, host: number, clock: SimClock | null) {
    this.#network = network
    this.host = host
    this.#clock = clock
  }

  deliver(callback: () => void): void {
    if (!this.alive) return
    if (this.#clock === null) callback()
    else this.#clock.deliver(() => (this.alive ? callback() : undefined))
  }

  listen(
    address: string,
    onConnection: (connection: Connection) => void,
    done: (error: { readonly code: ListenError; readonly message: string } | null, listener: Listener | null) => void,
  ): void {
    if (!this.alive) return
    const network = this.#network
    network.scheduler.after(0, 'net listen', () => {
      if (!this.alive) return
      const bound = network.bind(address, { endpoint: this, onConnection })
      this.deliver(() => {
        if (bound === null) {
          done({ code: 'address-in-use', message: `cannot listen on ${address}: EADDRINUSE` }, null)
          return
        }
        const close = (closed: () => void): void => {
          network.unbind(bound, this)
          network.scheduler.after(0, 'net unlisten', () => this.deliver(closed))
        }
        done(null, { address: bound, close })
      })
    })
  }

  connect(
    address: string,
    timeoutMs: number,
    done: (error: string | null, connection: Connection | null) => void,
  ): void {
    if (this.alive) this.#network.dial(this, address, timeoutMs, done)
  }
}
