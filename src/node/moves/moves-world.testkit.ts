/**
 * Two groups of real replicas over three nodes, each node with its own simulated disk, one log, one engine and its `GroupMoves`; a fourth node asks as a
 * master does, with the real driver of reconfigs. The wires lose, double and delay; nodes crash and come back. One seed decides everything.
 */
import { assert, present } from '../../base/assert.ts'
import { asGroupId, asLogIndex, asNodeId, asReplicaId, asSlotId, type GroupId, type NodeId } from '../../base/brand.ts'
import { BytesReader, latin1Bytes } from '../../base/bytes.ts'
import { Prng } from '../../base/prng.ts'
import { KvStateMachine } from '../../kv/kv-state-machine.ts'
import type { Reconfig } from '../../master/reconfig.ts'
import { ReconfigDriver } from '../../master/reconfig-driver.ts'
import type { Clock } from '../../ports/clock.ts'
import type { RecoveredGroup } from '../../ports/log.ts'
import { SILENT_LOGGER } from '../../ports/logger.ts'
import type { PeerChannel } from '../../ports/peer-channel.ts'
import { encodePayload, PAYLOAD_HOUSEKEEPING } from '../../protocol/command.ts'
import { decodeImageMessage } from '../../protocol/image-message.ts'
import type { Membership } from '../../protocol/membership.ts'
import { decodeNodeCall, MIGRATION_TYPE } from '../../protocol/node-call.ts'
import { RaftCore } from '../../raft/raft-core.ts'
import { RaftReplica, type ReplicaHost, type ReplicaState } from '../../replication/raft/raft-replica.ts'
import { Scheduler } from '../../simulation/scheduler.ts'
import { ReplicaStore, SlabPool } from '../../store/store.ts'
import { openWriteAheadLog, WAL_DEFAULTS, type WriteAheadLog } from '../../wal/write-ahead-log.ts'
import { PeerCalls } from '../calls/peer-calls.ts'
import { Engine } from '../engine.ts'
import { recoverReplica } from '../recover-replica.ts'
import { GroupCommandCalls } from './group-command-calls.ts'
import { serveGroupCommands } from './group-command-service.ts'
import { GroupMoves, type MoveSettings } from './group-moves.ts'
import { type ClientOptions, MovesClients } from './moves-clients.testkit.ts'
import { genesis, kvOf, MovesNode, RAFT, SLOTS, WatchedGates } from './moves-node.testkit.ts'

export const SOURCE = asGroupId(1)
export const DESTINATION = asGroupId(2)
const GROUPS = [SOURCE, DESTINATION]
const MASTER = 4
const TICK_MS = 20
const HASH_KEY = latin1Bytes('01234567')
const MEMBERSHIP: Membership = {
  members: [1, 2, 3].map((id) => ({ replicaId: asReplicaId(id), nodeId: asNodeId(id), role: 'voter' as const })),
}

export interface WireFaults {
  readonly lose: number
  readonly double: number
  readonly delayMs: number
}
export const CALM: WireFaults = { lose: 0, double: 0, delayMs: 0 }
export const ROUGH: WireFaults = { lose: 0.01, double: 0.03, delayMs: 5 }

export interface WorldOptions extends ClientOptions {
  readonly settings: MoveSettings
  readonly faults: WireFaults
}

export const OPTIONS: WorldOptions = {
  settings: { maxStageBytes: 600, bytesPerSecond: 0 },
  faults: CALM,
  clients: 4,
  keys: 40,
  valueBytes: 60,
  thinkMs: 6,
}

export class MovesWorld {
  readonly scheduler: Scheduler
  readonly nodes: readonly MovesNode[]
  readonly clients: MovesClients
  readonly options: WorldOptions
  faults: WireFaults
  /** What the master has found of the reconfig, in order. */
  readonly findings: string[] = []
  reconfig: Reconfig | null = null
  readonly #master: MovesNode
  #driver: ReconfigDriver | null = null
  #starts = 0
  steps = 0
  readonly gates = new WatchedGates()
  /** That the nodes' `GroupMoves` have set. */
  timers = 0
  /** Called before each step from BEGIN on. */
  beforeStep: (step: number) => void = () => {}

  constructor(seed: number, options: Partial<WorldOptions> = {}) {
    this.options = { ...OPTIONS, ...options }
    this.faults = CALM
    this.scheduler = new Scheduler(seed)
    this.nodes = [1, 2, 3].map((id) => new MovesNode(id, this.scheduler))
    this.#master = new MovesNode(MASTER, this.scheduler)
    this.#master.calls = new PeerCalls(
      this.#master.nodeId,
      this.#master.clock,
      this.#channel(this.#master),
      1,
      () => {},
    )
    for (const node of this.nodes) this.#start(node)
    this.run(() => this.nodes.every(({ isUp }) => isUp), 'the nodes start')
    this.run(
      () => GROUPS.every((group) => (this.leaderOf(group)?.replica.applied ?? 0) > 0),
      'the groups elect leaders',
    )
    this.clients = new MovesClients(this, this.options)
    this.clients.preload()
    this.faults = this.options.faults
  }

  // --- what tests do -------------------------------------------------------------------------------------------

  run(done: () => boolean, what: string, withinMs = 60_000): void {
    const untilMs = this.scheduler.nowMs + withinMs
    while (!done()) {
      if (this.scheduler.nowMs > untilMs) throw new Error(`this did not come about: ${what}; ${this.describe()}`)
      if (this.reconfig !== null) this.beforeStep(this.steps++)
      assert(this.scheduler.step(), 'nothing happens any more')
    }
  }

  runFor(ms: number): void {
    const atMs = this.scheduler.nowMs + ms
    this.run(() => this.scheduler.nowMs >= atMs, 'time passes', ms + 1)
  }

  /** The reconfig is begun in the tree, and a master sees to it until nobody has an open move of it. */
  begin(reconfigId: number, first: number, last: number, predecessor = 0, from = SOURCE): void {
    const slots = [{ first: asSlotId(first), last: asSlotId(last), predecessor }]
    const destination = from === SOURCE ? DESTINATION : SOURCE
    const state = { status: 'begun', callOff: 'no', reason: '', isClean: false, byWeight: false } as const
    this.reconfig = { reconfigId, source: from, destination, slots, ...state }
    this.findings.length = 0
    const { clock } = this.#master
    const calls = present(this.#master.calls, 'the master')
    const places = {
      leaderOf: () => null,
      membersOf: () => (this.scheduler.random.chance(0.5) ? [1, 2, 3].map(asNodeId) : [3, 1, 2].map(asNodeId)),
    }
    this.#driver?.stop()
    this.#driver = new ReconfigDriver(this.reconfig, {
      clock,
      commands: new GroupCommandCalls(calls, places, clock, SILENT_LOGGER),
      fence: 1,
      retryMs: [20, 200],
      mutations: {},
      peer: (group) => ({ group, nodes: [1, 2, 3].map((id) => ({ nodeId: asNodeId(id), address: `node-${id}` })) }),
      found: (_id, { kind }) => this.#found(kind),
    })
    this.#driver.step()
  }

  callOff(): void {
    this.#update({ callOff: 'cancel' })
  }

  get isClean(): boolean {
    return this.reconfig?.isClean === true
  }

  /** Whoever says so at once; null: nobody. */
  leaderOf(group: GroupId): { readonly node: MovesNode; readonly replica: RaftReplica } | null {
    let best: { node: MovesNode; replica: RaftReplica } | null = null
    for (const node of this.nodes) {
      const replica = node.replicas.get(group)
      if (!node.isUp || replica === undefined || !replica.isLeader) continue
      if (best === null || replica.core.term > best.replica.core.term) best = { node, replica }
    }
    return best
  }

  /** The power goes; the next process comes up a while later. */
  crash(node: MovesNode, downMs: number): void {
    if (!node.isUp) return
    node.engine = null
    node.moves = null
    node.calls = null
    node.replicas.clear()
    node.clock.kill()
    node.disk.crash()
    node.files.crash()
    this.clients.nodeCrashed(node.nodeId)
    for (const other of [...this.nodes, this.#master]) {
      this.scheduler.after(1, 'stream closed', () => {
        if (other === node) return
        other.moves?.onStreamClosed(node.nodeId)
        other.calls?.onStreamClosed(node.nodeId)
      })
    }
    this.scheduler.after(downMs, 'restart', () => {
      node.clock = node.clock.successor()
      this.#start(node)
    })
  }

  /** Hands the group's leadership to the next node. */
  transfer(group: GroupId): void {
    const leader = this.leaderOf(group)
    if (leader !== null) leader.replica.transferLeadership(asReplicaId((leader.replica.replicaId % 3) + 1))
  }

  /** Nothing is under way any more: what is left must be exactly what the clients know. */
  finish(): void {
    this.faults = CALM
    this.clients.stop()
    this.run(() => this.clients.isQuiet && this.nodes.every(({ isUp }) => isUp), 'the clients come to rest')
    const settled = (): boolean => GROUPS.every((group) => this.#isSettled(group))
    this.run(settled, 'all replicas apply all')
    for (let round = 0; round < 50 && !this.#isSwept(); round++) {
      for (const group of GROUPS) this.#keepHouse(group)
      this.runFor(200)
    }
    this.run(settled, 'all replicas apply all')
    const machines = GROUPS.map((group) => kvOf(present(this.leaderOf(group), 'a leader').replica))
    for (let slot = 0; slot < SLOTS; slot++) {
      const owners = machines.filter(({ slots }) => slots.owns(slot))
      assert(owners.length === 1, `slot ${slot} has ${owners.length} owners at the end`)
    }
    assert(this.#isSwept(), "keys are left that are nobody's, or some are missing")
    for (const group of GROUPS) {
      const [first, ...rest] = this.nodes.map((node) => kvOf(present(node.replicas.get(group), 'a replica')))
      assert(first.moves.length === 0, `group ${group}: a move is left open`)
      for (const other of rest) assert(other.digest() === first.digest(), `group ${group}: replicas differ`)
    }
    this.clients.checkAll()
  }

  describe(): string {
    const groups = GROUPS.map((group) => {
      const leader = this.leaderOf(group)
      if (leader === null) return `group ${group}: no leader`
      const moves = kvOf(leader.replica).moves.map(({ reconfigId, role, phase }) => `${reconfigId} ${role} ${phase}`)
      return `group ${group}: node ${leader.node.nodeId}, ${moves.join(', ')}`
    })
    return `${this.scheduler.nowMs.toFixed(0)} ms, step ${this.steps}, ${groups.join('; ')}; found ${this.findings.slice(-4).join(', ')}; ${this.#driver?.problem}`
  }

  #found(kind: string): void {
    if (this.findings.at(-1) !== kind) this.findings.push(kind)
    if (kind === 'done') this.#update({ status: 'done' })
    else if (kind === 'kept') this.#update({ status: this.reconfig?.callOff === 'cancel' ? 'cancelled' : 'failed' })
    else if (kind === 'clean') this.#update({ isClean: true })
    else throw new Error(`the master found ${kind}`)
  }

  #update(change: Partial<Reconfig>): void {
    const reconfig = { ...present(this.reconfig, 'a reconfig'), ...change }
    this.reconfig = reconfig
    const driver = this.#driver
    this.scheduler.after(1, 'tree', () => {
      if (driver !== this.#driver) return
      if (reconfig.isClean) driver?.stop()
      else driver?.update(reconfig)
    })
  }

  #isSettled(group: GroupId): boolean {
    const replicas = this.nodes.map((node) => node.replicas.get(group))
    const last = this.leaderOf(group)?.replica.core.lastIndex
    return last !== undefined && replicas.every((replica) => replica?.applied === last)
  }

  /** Of the slots that each group owns; and nothing that is nobody's any more may be left beside them. */
  #isSwept(): boolean {
    const machines = GROUPS.map((group) => this.leaderOf(group)?.replica).map((replica) => replica && kvOf(replica))
    const keys = machines.reduce((sum, machine) => sum + (machine?.keyCount() ?? 0), 0)
    return machines.every((machine) => machine?.slots.slotsWithDead().length === 0) && keys === this.clients.model.size
  }

  #keepHouse(group: GroupId): void {
    const replica = this.leaderOf(group)?.replica
    if (replica === undefined) return
    const header = { stampMs: 0, session: 0, sequence: 0, lowestUnanswered: 0, retryUntilMs: 0 } as const
    for (const { slot, command } of kvOf(replica).housekeeping(1000)) {
      replica.keepHouse(encodePayload({ ...header, kind: PAYLOAD_HOUSEKEEPING, slot }, command))
    }
  }

  // --- the nodes ------------------------------------------------------------------------------------------------

  #start(node: MovesNode): void {
    const options = { ...WAL_DEFAULTS, directory: 'wal', segmentBytes: 256 * 1024, logId: node.nodeId }
    const liveEntries = (group: GroupId, from: number, to: number) =>
      node.replicas.get(group)?.core.entries(asLogIndex(from), asLogIndex(to)) ?? []
    const fatal = (message: string): void => {
      throw new Error(message)
    }
    openWriteAheadLog(node.disk, node.clock, SILENT_LOGGER, options, liveEntries, fatal, (result) => {
      assert(result.kind === 'opened', 'the log opens')
      const { log, groups } = result
      const recovered = GROUPS.map((group) => groups.find((one) => one.group === group) ?? genesis(node, group, log))
      log.flush(() => this.#wire(node, log, recovered))
    })
  }

  #wire(node: MovesNode, log: WriteAheadLog, recovered: readonly RecoveredGroup[]): void {
    const channel = this.#channel(node)
    const engine = new Engine(node.clock, log, channel)
    const replica = (group: GroupId): RaftReplica | undefined => node.replicas.get(group)
    const leaderOf = (group: GroupId): NodeId | null => replica(group)?.leaderNode ?? null
    const moves = new GroupMoves(
      {
        self: node.nodeId,
        clock: this.#countingClock(node.clock),
        logger: SILENT_LOGGER,
        replica,
        send: (to, bytes) => channel.send(to, 0, bytes),
        knowNode: (nodeId, address) => assert(address === `node-${nodeId}`, 'an address of another node'),
        leaderOf,
        addressOf: (nodeId) => `node-${nodeId}`,
      },
      this.options.settings,
    )
    const calls = new PeerCalls(node.nodeId, node.clock, channel, ++this.#starts * 2 ** 32, () => {})
    serveGroupCommands(calls, { replica, leaderOf }, SILENT_LOGGER)
    let left = recovered.length
    for (const each of recovered) {
      this.#openState(node, each.group, each.baseDirectory, (_error, state) => {
        const made = this.#replica(node, log, engine, moves, each, present(state, 'a base that opens'))
        node.replicas.set(each.group, made)
        if (--left > 0) return
        Object.assign(node, { moves, calls, engine })
        this.#tick(node.clock, node)
        for (const one of node.replicas.values()) engine.wake(one)
      })
    }
  }

  #countingClock(clock: Clock): Clock {
    return {
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      defer: (callback) => clock.defer(callback),
      setTimer: (delayMs, callback) => {
        this.timers++
        return clock.setTimer(delayMs, callback)
      },
    }
  }

  #replica(
    node: MovesNode,
    log: WriteAheadLog,
    engine: Engine,
    moves: GroupMoves,
    recovered: RecoveredGroup,
    state: ReplicaState,
  ): RaftReplica {
    const { group, replicaId, baseDirectory } = recovered
    const restored = recoverReplica(recovered, state.store.meta, MEMBERSHIP)
    assert(restored.kind === 'recovered', 'what a crash leaves is sound')
    if (restored.compactTo !== null) log.append({ group, compaction: restored.compactTo })
    const core = new RaftCore(group, { ...RAFT, replicaId }, restored.state, new Prng(++this.#starts * 7919))
    const limits = { checkpointBytes: 2 ** 30, checkpointEntries: 400, trailingEntries: 0, retainedBytesMax: 2 ** 30 }
    const bounds = { maxPendingProposals: 1_000, maxPendingReads: 1_000 }
    const path = `group-${group}`
    const options = { group, replicaId, path, baseDirectory, genesisMembership: MEMBERSHIP, limits, ...bounds }
    return this.gates.watch(new RaftReplica(options, this.#host(node, log, engine, moves), core, state))
  }

  #host(node: MovesNode, log: WriteAheadLog, engine: Engine, moves: GroupMoves): ReplicaHost {
    return {
      clock: node.clock,
      logger: SILENT_LOGGER,
      log,
      baseFiles: node.files,
      sendConsensus: (to, message) => {
        this.#deliver(to, (target) => target.replicas.get(message.group)?.step(node.nodeId, message))
      },
      sendImage: (to, bytes) => {
        const message = decodeImageMessage(new BytesReader(bytes.slice()))
        this.#deliver(to, (target) => target.replicas.get(message.group)?.onImageMessage(node.nodeId, message))
        return true
      },
      wake: (replica) => engine.wake(replica),
      statusChanged: (replica) => moves.statusChanged(replica),
      applied: (replica) => moves.applied(replica),
      stampMs: () => node.clock.wallMs(),
      openState: (group, directory, done) => this.#openState(node, group, directory, done),
      acceptsGrowth: () => node.acceptsGrowth,
      fatal: (message) => {
        throw new Error(message)
      },
    }
  }

  #openState(
    node: MovesNode,
    group: GroupId,
    directory: number,
    done: (error: string | null, state: ReplicaState | null) => void,
  ): void {
    const options = { group, hashKey: HASH_KEY, slabs: new SlabPool(64 * 1024, 1024 * 1024) }
    ReplicaStore.open(node.files, `group-${group}`, directory, options, (error, store) => {
      if (store === null) return done(error?.message ?? 'no store', null)
      const ownedSlots = group === SOURCE ? ([[0, SLOTS - 1]] as const) : []
      const machine = new KvStateMachine(store, { slotCount: SLOTS, ownedSlots })
      machine.restore(store.meta?.state ?? null)
      done(null, { store, machine })
    })
  }

  #tick(clock: Clock, node: MovesNode): void {
    clock.setTimer(TICK_MS, () => {
      for (const replica of node.replicas.values()) replica.tick()
      this.#tick(clock, node)
    })
  }

  // --- the wires ------------------------------------------------------------------------------------------------

  #channel(from: MovesNode): PeerChannel {
    const send = (to: NodeId, _lane: number, bytes: Uint8Array): boolean => {
      const target = this.#nodeOf(to)
      if (target.calls === null) return false
      const copy = bytes.slice()
      this.#deliver(to, (node) => {
        if (copy[0] === MIGRATION_TYPE) node.moves?.onMessage(from.nodeId, copy)
        else node.calls?.onMessage(from.nodeId, decodeNodeCall(new BytesReader(copy)))
      })
      return true
    }
    return { send, flush() {}, isConnected: () => true, queuedBytes: () => 0 }
  }

  #deliver(to: NodeId, deliver: (target: MovesNode) => void): void {
    const { random } = this.scheduler
    const { lose, double, delayMs } = this.faults
    for (let copies = random.chance(double) ? 2 : 1; copies > 0; copies--) {
      if (random.chance(lose)) continue
      this.scheduler.after(0.1 + random.unit() * delayMs, 'message', () => {
        const target = this.#nodeOf(to)
        if (target.calls !== null) target.clock.deliver(() => deliver(target))
      })
    }
  }

  #nodeOf(id: NodeId): MovesNode {
    return id === MASTER ? this.#master : present(this.nodes[id - 1], `no node ${id}`)
  }
}
