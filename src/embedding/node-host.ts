/**
 * One node on the real platform, in this process, from its data directory: claims the directory, counts the start, builds the ports on
 * real Node.js and hands them to the server. The one way in which a node of Quorate starts: `quorate node` and the library both
 * come through here. It leaves the process alone: no exit, no handlers; what becomes of a broken promise is the caller's word.
 */
import { randomBytes } from 'node:crypto'
import { Prng } from '../base/prng.ts'
import type { NodeConfig, NodeError, NodeLimits, NodeTimings } from '../node/node-config.ts'
import type { QuorateNode } from '../node/quorate-node.ts'
import { bumpIncarnation, readIdentity } from '../platform/data-directory.ts'
import { type HeldLock, lockDataDirectory } from '../platform/directory-lock.ts'
import { type Failure, fail, type Outcome, succeed } from '../platform/failure.ts'
import { CLUSTER_PORT_OFFSET, type NodeIdentity, PEER_PORT_OFFSET } from '../platform/identity.ts'
import { IdentityStore } from '../platform/identity-store.ts'
import { LmdbBaseFileStore } from '../platform/lmdb-base-file.ts'
import { NodeClock } from '../platform/node-clock.ts'
import { NodeDisk } from '../platform/node-disk.ts'
import { formatAddress, NodeNetwork } from '../platform/node-network.ts'
import { NodeProcessUsage } from '../platform/node-process-usage.ts'
import type { Logger } from '../ports/logger.ts'
import { ServerNode } from '../server/server-node.ts'
import { portFailure } from './free-ports.ts'
import { GuardedBaseFiles } from './guarded-base-files.ts'
import { GuardedClock } from './guarded-clock.ts'
import { GuardedDisk } from './guarded-disk.ts'
import { GuardedNetwork } from './guarded-network.ts'
import { NodeLife } from './node-life.ts'

export interface HostSettings {
  readonly timings: NodeTimings
  readonly limits: NodeLimits
  logger(nodeId: number): Logger
  /** A broken promise of the disk or of the code, once. The node has stopped where it stood; its directory is as after a crash. */
  onFailure(failure: Failure): void
}

/** host:port each. */
export interface ListenAddresses {
  readonly resp: string
  readonly cluster: string
  readonly peer: string
}

/** Where this node listens and finds the others, where that is not what its identity says. */
export interface NodeAddresses extends ListenAddresses {
  readonly nodes: NodeIdentity['nodes']
}

/** Whether the node that lives in the directory is the one that was meant. Asked before anything is touched, and again under the lock. */
export type IdentityCheck = (identity: NodeIdentity) => Outcome<unknown>

const STOPPED = fail('stopped', 'the node was stopped while it started', 'start it again')

export class NodeHost {
  readonly directory: string
  readonly #settings: HostSettings
  readonly #life: NodeLife
  readonly #clock: GuardedClock
  readonly #network: GuardedNetwork
  readonly #disk: GuardedDisk
  readonly #baseFiles: GuardedBaseFiles
  /** Resolves when nothing of the node runs any more; its files may still be closing. */
  readonly ended: Promise<void>
  #announceEnd: () => void = () => {}
  #failure: Failure | null = null
  #lock: HeldLock | null = null
  #identity: NodeIdentity | null = null
  #server: ServerNode | null = null
  #identityStore: IdentityStore | null = null
  #starting: Promise<Outcome<NodeIdentity>> | null = null
  #closing: Promise<void> | null = null

  constructor(directory: string, settings: HostSettings) {
    this.directory = directory
    this.#settings = settings
    this.#life = new NodeLife((error) => this.#failed(describe(error)))
    this.#clock = new GuardedClock(new NodeClock(), this.#life)
    this.#network = new GuardedNetwork(new NodeNetwork(), this.#life)
    this.#disk = new GuardedDisk(new NodeDisk(), this.#life)
    this.#baseFiles = new GuardedBaseFiles(new LmdbBaseFileStore(), this.#life)
    this.ended = new Promise((ended) => {
      this.#announceEnd = ended
    })
  }

  /** Null: it has kept its promises. */
  get failure(): Failure | null {
    return this.#failure
  }

  /** From the start on. */
  get identity(): NodeIdentity | null {
    return this.#identity
  }

  /** Null where nothing of it runs. */
  get node(): QuorateNode | null {
    return this.#life.over || this.#server === null ? null : this.#server.node
  }

  /** Runs a piece of work in the node, unless it has ended; what it throws is the node's failure. */
  run(work: (node: QuorateNode) => void): void {
    const node = this.node
    if (node !== null) this.#life.run(() => work(node))
  }

  /** Takes a port before the start; 0: any free one. */
  reserve(host: string, port: number): Promise<Outcome<string>> {
    return new Promise((done) => {
      this.#network.reserve(formatAddress(host, port), (error, address) => {
        if (error === null) done(succeed(address))
        else done(portFailure(error.code, host, port, error.message))
      })
    })
  }

  /** Resolves once peers and clients are served; its groups elect their leaders afterwards. After a failure nothing of it is left. */
  async start(check: IdentityCheck, addresses: NodeAddresses | null): Promise<Outcome<NodeIdentity>> {
    this.#starting = this.#start(check, addresses)
    const outcome = await this.#starting
    if (!outcome.ok) await this.#close()
    return outcome
  }

  /** In good order: clients first, one last sync, everything closed, the lock released. */
  async stop(): Promise<void> {
    const server = this.#server
    if (server !== null && !this.#life.over) {
      const stopped = new Promise<void>((done) => this.#life.run(() => server.stop(done)))
      await Promise.race([stopped, this.ended])
    }
    await this.kill()
  }

  /** At once, as if its process were killed: no last sync, no good-bye. Safe at any point, also in the middle of a start. */
  async kill(): Promise<void> {
    this.#end()
    await this.#starting
    await this.#close()
  }

  async #start(check: IdentityCheck, addresses: NodeAddresses | null): Promise<Outcome<NodeIdentity>> {
    const claimed = await this.#claim(check)
    if (!claimed.ok) return claimed
    const counted = bumpIncarnation(this.directory, claimed.value)
    if (!counted.ok) return counted
    const identity = counted.value
    this.#identity = identity
    const server = this.#makeServer(identity, addresses)
    this.#server = server
    const started = new Promise<NodeError | null>((done) => this.#life.run(() => server.start(done)))
    const error = await Promise.race([started, this.ended.then(() => 'ended' as const)])
    if (error === null) return succeed(identity)
    if (error !== 'ended') return fail(error.code, error.message, error.mend)
    return this.#failure === null ? STOPPED : { ok: false, failure: this.#failure }
  }

  async #claim(check: IdentityCheck): Promise<Outcome<NodeIdentity>> {
    const known = this.#checked(check)
    if (!known.ok) return known
    const lock = await lockDataDirectory(this.directory, 'stop what runs this node first')
    if (!lock.ok) return lock
    if (this.#life.over) {
      // Who ended it may have closed everything before there was a lock.
      await lock.value.release()
      return STOPPED
    }
    this.#lock = lock.value
    // Again: until the lock was ours another process may have counted a start of its own, and no two starts may bear one number.
    return this.#checked(check)
  }

  #checked(check: IdentityCheck): Outcome<NodeIdentity> {
    const identity = readIdentity(this.directory)
    if (!identity.ok) return identity
    const checked = check(identity.value)
    return checked.ok ? identity : checked
  }

  #makeServer(identity: NodeIdentity, addresses: NodeAddresses | null): ServerNode {
    const store = new IdentityStore(this.directory, identity)
    this.#identityStore = store
    return new ServerNode(
      {
        clock: this.#clock,
        disk: this.#disk,
        network: this.#network,
        baseFiles: this.#baseFiles,
        random: new Prng(randomBytes(4).readUInt32LE()),
        usage: new NodeProcessUsage(),
        logger: this.#settings.logger(identity.nodeId),
        saveIdentity: (change, done) => store.save(change, (error) => this.#life.run(() => done(error))),
        onFatal: (message) => this.#failed(message),
      },
      this.#configOf(identity, addresses),
    )
  }

  #configOf(identity: NodeIdentity, addresses: NodeAddresses | null): NodeConfig {
    const { host, port } = identity
    return {
      ...identity,
      dataDirectory: this.directory,
      respAddress: addresses?.resp ?? formatAddress(host, port),
      clusterAddress: addresses?.cluster ?? formatAddress(host, port + CLUSTER_PORT_OFFSET),
      peerAddress: addresses?.peer ?? formatAddress(host, port + PEER_PORT_OFFSET),
      nodes: addresses?.nodes ?? identity.nodes,
      timings: this.#settings.timings,
      limits: this.#settings.limits,
    }
  }

  #failed(message: string): void {
    if (this.#life.over) return
    const mend = 'look for what is wrong with the disk or report the error; then start the node again'
    this.#failure = { code: 'node-failed', message, mend }
    this.#end()
    void this.#close()
    this.#settings.onFailure(this.#failure)
  }

  #end(): void {
    if (this.#life.over) return
    this.#life.end()
    this.#clock.end()
    this.#network.end()
    this.#announceEnd()
  }

  #close(): Promise<void> {
    this.#end()
    this.#closing ??= this.#closeFiles()
    return this.#closing
  }

  /** The lock goes last: until then nobody else may use the directory. */
  async #closeFiles(): Promise<void> {
    await this.#disk.end()
    await this.#baseFiles.end()
    await this.#identityStore?.end()
    await this.#lock?.release()
  }
}

/** Takes the ports of a node, from this one on; null: free ones. */
export async function reservePorts(
  node: NodeHost,
  host: string,
  port: number | null,
): Promise<Outcome<ListenAddresses>> {
  const resp = await node.reserve(host, port ?? 0)
  if (!resp.ok) return resp
  const cluster = await node.reserve(host, port === null ? 0 : port + CLUSTER_PORT_OFFSET)
  if (!cluster.ok) return cluster
  const peer = await node.reserve(host, port === null ? 0 : port + PEER_PORT_OFFSET)
  return peer.ok ? succeed({ resp: resp.value, cluster: cluster.value, peer: peer.value }) : peer
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
