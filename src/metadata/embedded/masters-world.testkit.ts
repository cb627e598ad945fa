/**
 * A simulated cluster for the embedded metadata store: real replicas of the masters' group (replica-world.testkit.ts), a master's part on each, and
 * nodes that are no masters. All messages, of Raft and of the store, go over the same wires, and the same faults befall them:
 *
 *   world.cut(1, 2)          nothing that 1 sends reaches 2; the other way is another cut
 *   world.faults = {...}     loss, duplication, delay
 *   world.crash(3)           its memory is gone; restart(3) begins with what its disk has
 *   world.cutOff(store)      one session's messages alone
 */
import { assert, present } from '../../base/assert.ts'
import { asNodeId, asSlotId, type NodeId } from '../../base/brand.ts'
import { Prng } from '../../base/prng.ts'
import type { Clock } from '../../ports/clock.ts'
import { SILENT_LOGGER } from '../../ports/logger.ts'
import type { MastersGroup } from '../../ports/masters-group.ts'
import type { MetadataStore } from '../../ports/metadata-store.ts'
import { encodeMetadataRead } from '../../protocol/metadata-command.ts'
import { decodeMetadataMessage } from '../../protocol/metadata-message.ts'
import { OUTCOME_REPLY } from '../../protocol/request-message.ts'
import { ReplicaWorld, type WorldNode } from '../../replication/raft/replica-world.testkit.ts'
import { SimClock } from '../../simulation/sim-clock.ts'
import type { TreeStateMachine } from '../tree/tree-state-machine.ts'
import { EmbeddedMetadata } from './embedded-metadata.ts'
import type { EmbeddedMetadataStore, EmbeddedStoreOptions } from './embedded-metadata-store.ts'
import { MastersHost } from './masters-host.ts'
import { MastersMachine } from './masters-machine.ts'
import type { EmbeddedMutations } from './mutations.ts'

export interface MastersWorldOptions {
  readonly seed: number
  readonly masters: number
  readonly holders: number
  readonly mutations?: Partial<EmbeddedMutations>
  /** A checkpoint after so many entries, so that who lags needs an image. */
  readonly checkpointEntries?: number
}

export interface Faults {
  readonly loss: number
  readonly duplication: number
  readonly delayMs: readonly [number, number]
}

export const NO_FAULTS: Faults = { loss: 0, duplication: 0, delayMs: [0.1, 0.3] }
const PROBE = encodeMetadataRead({ kind: 'exists', session: 0, path: '/' })

interface Place {
  readonly id: NodeId
  readonly clock: () => SimClock
  metadata: EmbeddedMetadata
  host: MastersHost | null
}

export class MastersWorld {
  faults: Faults = NO_FAULTS
  readonly group: ReplicaWorld
  readonly masters: readonly NodeId[]
  readonly holders: readonly NodeId[]
  readonly #options: MastersWorldOptions
  readonly #random: Prng
  readonly #places = new Map<NodeId, Place>()
  readonly #cuts = new Set<string>()
  readonly #slow = new Map<NodeId, number>()
  readonly #cutOff = new Set<number>()

  constructor(options: MastersWorldOptions) {
    this.#options = options
    this.#random = new Prng(options.seed)
    const ids = Array.from({ length: options.masters + options.holders }, (_, i) => asNodeId(i + 1))
    this.masters = ids.slice(0, options.masters)
    this.holders = ids.slice(options.masters)
    this.group = new ReplicaWorld({
      seed: options.seed,
      nodes: options.masters,
      segmentBytes: 4 * 1024 * 1024,
      config: { maxEntryBytes: 2 << 20, maxMessageBytes: 1 << 20, maxUncommittedBytes: 16 << 20 },
      ...(options.checkpointEntries === undefined ? {} : { limits: { checkpointEntries: options.checkpointEntries } }),
      machine: (node) => present(this.#master(node).host, 'a master has a host').makeMachine(),
      delivery: (from, to) => this.#delays(from, to),
    })
    for (const id of this.holders) {
      const clock = new SimClock(this.group.scheduler, { label: `h${id}`, timerLatenessMaxMs: 0 })
      const place: Place = { id, clock: () => clock, metadata: this.#metadata(id, clock), host: null }
      this.#places.set(id, place)
    }
  }

  get nowMs(): number {
    return this.group.scheduler.nowMs
  }

  /** `at`: a node's id. */
  open(at: NodeId, options: Partial<EmbeddedStoreOptions> = {}): EmbeddedMetadataStore {
    return this.#place(at).metadata.open({ mutations: this.#options.mutations, ...options })
  }

  leader(): NodeId {
    return this.group.leader().nodeId
  }

  follower(): NodeId {
    return present(this.group.followers()[0], 'a follower').nodeId
  }

  clockOf(id: NodeId): SimClock {
    return this.#place(id).clock()
  }

  isUp(id: NodeId): boolean {
    return this.group.nodes[id - 1].engine !== null
  }

  tree(id: NodeId): TreeStateMachine {
    const { machine } = this.group.nodes[id - 1].replica
    assert(machine instanceof MastersMachine, 'the machine of this world')
    return machine.tree
  }

  /** Some live master has applied the end of the session. */
  hasEnded(session: number): boolean {
    return this.masters.some((id) => {
      if (!this.isUp(id)) return false
      const tree = this.tree(id)
      return tree.appliedIndex >= session && !tree.hasSession(session)
    })
  }

  /** An operator ends it; through the log. */
  expire(store: MetadataStore): void {
    const session = Number(store.sessionId)
    const ended = (): boolean => {
      const leader = this.leader()
      if (!this.tree(leader).hasSession(session)) return true
      this.#place(leader).host?.expire(session)
      return false
    }
    for (let tries = 0; tries < 100 && !ended(); tries++) this.group.runFor(100)
    assert(ended(), 'the session does not end')
  }

  // --- faults -------------------------------------------------------------------------------------------------

  cut(from: NodeId, to: NodeId): void {
    this.#cuts.add(`${from}>${to}`)
  }

  /** Both ways, from all others. */
  isolate(id: NodeId): void {
    for (const other of this.#places.keys()) {
      if (other === id) continue
      this.cut(id, other)
      this.cut(other, id)
    }
  }

  /** What reaches it takes so much longer. */
  slow(id: NodeId, extraMs: number): void {
    this.#slow.set(id, extraMs)
  }

  mendAll(): void {
    this.#cuts.clear()
    this.#slow.clear()
    this.faults = NO_FAULTS
  }

  cutOff(store: EmbeddedMetadataStore): void {
    this.#cutOff.add(store.client)
  }

  mend(store: EmbeddedMetadataStore): void {
    this.#cutOff.delete(store.client)
  }

  crash(id: NodeId): void {
    const node = this.group.nodes[id - 1]
    this.group.crash(node)
    this.#places.delete(id)
  }

  restart(id: NodeId): void {
    this.group.restart(this.group.nodes[id - 1])
  }

  // --- inside -------------------------------------------------------------------------------------------------

  #place(id: NodeId): Place {
    return present(this.#places.get(id), `node ${id} is up`)
  }

  /** Made anew with each life of the node, before its replica opens. */
  #master(node: WorldNode): Place {
    const known = this.#places.get(node.nodeId)
    if (known !== undefined) return known
    const { nodeId, clock } = node
    const wire = { send: (to: NodeId, bytes: Uint8Array) => this.#send(nodeId, to, bytes) }
    const group = (): MastersGroup | null => (node.engine === null ? null : groupOf(node))
    const host = new MastersHost({ clock, wire, nodeId, group }, this.#options.mutations)
    node.onStatus = () => host.roleChanged()
    const place: Place = { id: nodeId, clock: () => clock, metadata: this.#metadata(nodeId, clock), host }
    this.#places.set(nodeId, place)
    return place
  }

  #metadata(nodeId: NodeId, clock: Clock): EmbeddedMetadata {
    const wire = { send: (to: NodeId, bytes: Uint8Array) => this.#send(nodeId, to, bytes) }
    const random = this.#random.fork()
    const ports = { clock, random, wire, nodeId, logger: SILENT_LOGGER, masters: () => this.masters }
    return new EmbeddedMetadata(ports, () => this.#places.get(nodeId)?.host ?? null)
  }

  #send(from: NodeId, to: NodeId, bytes: Uint8Array): boolean {
    const { message } = decodeMetadataMessage(bytes)
    // To itself: nothing comes between.
    const delays = from === to ? [0.01] : this.#delays(from, to)
    for (const delayMs of delays) {
      this.group.scheduler.after(delayMs, 'metadata', () => {
        if (this.#cutOff.has(message.client)) return
        const place = this.#places.get(to)
        place?.clock().deliver(() => place.metadata.onMessage(from, bytes))
      })
    }
    return true
  }

  #delays(from: NodeId, to: NodeId): number[] {
    if (this.#cuts.has(`${from}>${to}`)) return []
    const random = this.#random
    const { loss, duplication, delayMs } = this.faults
    if (loss > 0 && random.chance(loss)) return []
    const [low, high] = delayMs
    const one = (): number => low + random.unit() * (high - low) + (this.#slow.get(to) ?? 0)
    return duplication > 0 && random.chance(duplication) ? [one(), one()] : [one()]
  }
}

/** What the node wires: the port, over its replica. */
function groupOf({ replica }: WorldNode): MastersGroup {
  return {
    term: replica.core.term,
    isLeader: replica.isLeader,
    leaderNode: replica.leaderNode,
    machine: replica.machine,
    propose: (payload, settle) => replica.propose(payload, { settle }),
    confirm: (done) =>
      replica.read(asSlotId(0), 0, PROBE, false, { settle: (outcome) => done(outcome === OUTCOME_REPLY) }),
  }
}
