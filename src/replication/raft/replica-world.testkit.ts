/**
 * A group of real replicas, each on its own simulated disk with the real log, store, state machine and engine; only the wires between
 * them are plain function calls that can be cut. What a test wants to see of the order of things it finds in `sent` and `fatals`.
 */
import { assert, present } from '../../base/assert.ts'
import {
  asGroupId,
  asLogIndex,
  asNodeId,
  asReplicaId,
  asSlotId,
  asTerm,
  type NodeId,
  type ReplicaId,
} from '../../base/brand.ts'
import { BytesReader, latin1Bytes, latin1Text } from '../../base/bytes.ts'
import { Prng } from '../../base/prng.ts'
import { KvStateMachine } from '../../kv/kv-state-machine.ts'
import { Engine } from '../../node/engine.ts'
import { recoverReplica } from '../../node/recover-replica.ts'
import type { Clock } from '../../ports/clock.ts'
import type { RecoveredGroup } from '../../ports/log.ts'
import type { PeerChannel } from '../../ports/peer-channel.ts'
import type { StateMachine } from '../../ports/state-machine.ts'
import { encodeCommand, encodePayload, PAYLOAD_WRITE } from '../../protocol/command.ts'
import { COMMANDS_BY_NAME } from '../../protocol/command-table.ts'
import { decodeImageMessage } from '../../protocol/image-message.ts'
import type { Membership } from '../../protocol/membership.ts'
import type { RaftMessage } from '../../protocol/raft-message.ts'
import { OUTCOME_REFUSED, OUTCOME_REPLY, type RequestOutcome } from '../../protocol/request-message.ts'
import { RaftCore } from '../../raft/raft-core.ts'
import type { RaftConfig } from '../../raft/ready.ts'
import { Scheduler } from '../../simulation/scheduler.ts'
import { SimBaseFileStore } from '../../simulation/sim-base-file.ts'
import { SimClock } from '../../simulation/sim-clock.ts'
import { SimDisk } from '../../simulation/sim-disk.ts'
import { ReplicaStore, SlabPool } from '../../store/store.ts'
import { openWriteAheadLog, WAL_DEFAULTS, type WriteAheadLog } from '../../wal/write-ahead-log.ts'
import type { CompactionLimits } from './compaction-policy.ts'
import { RaftReplica, type ReplicaHost, type ReplicaState } from './raft-replica.ts'

export const WORLD_GROUP = asGroupId(1)
const SLOTS = 1
const TICK_MS = 20
const HASH_KEY = latin1Bytes('01234567')

export interface WorldOptions {
  readonly seed: number
  readonly nodes: number
  /** The first so many begin as voters, with their node ids as replica ids; the others without a replica (`open`). Left out: all. */
  readonly voters?: number
  readonly limits?: Partial<CompactionLimits>
  readonly config?: Partial<RaftConfig>
  readonly segmentBytes?: number
  /** Left out: a KvStateMachine. */
  readonly machine?: (node: WorldNode) => StateMachine
  /** False: the group has none of the slots. */
  readonly ownsSlots?: boolean
  /** When a message arrives, in milliseconds from now: never, once, or more than once. */
  readonly delivery?: (from: NodeId, to: NodeId) => readonly number[]
}

export interface SentMessage {
  readonly from: number
  readonly atMs: number
  readonly message: RaftMessage
}

/** What became of one request. */
export interface Outcome {
  outcome: RequestOutcome | null
  reply: string
  /** Must never pass 1. */
  times: number
}

export class WorldNode {
  readonly nodeId: NodeId
  clock: SimClock
  readonly disk: SimDisk
  readonly files: SimBaseFileStore
  readonly warnings: string[] = []
  readonly fatals: string[] = []
  acceptsGrowth = true
  onStatus: () => void = () => {}
  /** A process of it runs, with its replica, if it has one. */
  onStart: () => void = () => {}
  hasBegun = false
  /** The replica whose entries the log holds: one that goes still has them until it is forgotten, one that has crashed until the next is open. */
  logged: RaftReplica | null = null
  /** Null: it has not started, or has crashed. */
  engine: Engine | null = null
  #replica: RaftReplica | null = null
  #log: WriteAheadLog | null = null

  constructor(id: number, scheduler: Scheduler) {
    this.nodeId = asNodeId(id)
    this.clock = new SimClock(scheduler, { label: `n${id}`, timerLatenessMaxMs: 0 })
    this.disk = new SimDisk(scheduler, scheduler.random.fork())
    this.files = new SimBaseFileStore(scheduler, { commitMsMin: 1, commitMsMax: 5 })
  }

  /** The last one, where it has crashed. */
  get replica(): RaftReplica {
    return present(this.#replica ?? this.logged, 'the node has no replica, or has not started')
  }

  get log(): WriteAheadLog {
    return present(this.#log, 'the node has not started')
  }

  /** Null: it has none. */
  get held(): RaftReplica | null {
    return this.#replica
  }

  opened(log: WriteAheadLog): void {
    this.#log = log
    this.#replica = null
  }

  holds(replica: RaftReplica | null): void {
    this.#replica = replica
  }
}

export class ReplicaWorld {
  readonly scheduler: Scheduler
  readonly nodes: readonly WorldNode[]
  readonly sent: SentMessage[] = []
  readonly #options: WorldOptions
  readonly #membership: Membership
  readonly #cut = new Set<number>()
  #sequence = 0
  #starts = 0

  constructor(options: WorldOptions) {
    this.#options = options
    this.scheduler = new Scheduler(options.seed)
    this.nodes = Array.from({ length: options.nodes }, (_, i) => new WorldNode(i + 1, this.scheduler))
    const members = this.nodes
      .slice(0, options.voters)
      .map(({ nodeId }) => ({ replicaId: asReplicaId(nodeId), nodeId, role: 'voter' as const }))
    this.#membership = { members }
    for (const node of this.nodes) this.#start(node)
    const hasStarted = (node: WorldNode): boolean =>
      node.engine !== null && (node.held !== null || !this.#isVoter(node))
    this.runUntil(() => this.nodes.every(hasStarted), 'the nodes start')
  }

  runFor(ms: number): void {
    this.scheduler.runUntil(this.scheduler.nowMs + ms)
  }

  runUntil(condition: () => boolean, what: string, withinMs = 30_000): void {
    const untilMs = this.scheduler.nowMs + withinMs
    while (!condition()) {
      assert(this.scheduler.nowMs <= untilMs && this.scheduler.step(), `this did not come about: ${what}`)
    }
  }

  /** Elects somebody, and waits until that one can read and write. */
  leader(): WorldNode {
    const find = (): WorldNode | undefined =>
      this.nodes.find(({ nodeId, engine, held }) => engine !== null && held?.isLeader && !this.#cut.has(nodeId))
    this.runUntil(() => (find()?.replica.applied ?? 0) > 0, 'a leader is elected')
    return present(find(), 'a leader')
  }

  followers(): WorldNode[] {
    const leader = this.leader()
    return this.nodes.filter((node) => node !== leader)
  }

  /** Nothing reaches it, and nothing comes from it. */
  cut(node: WorldNode): void {
    this.#cut.add(node.nodeId)
  }

  isCut(node: WorldNode): boolean {
    return this.#cut.has(node.nodeId)
  }

  mend(node: WorldNode): void {
    this.#cut.delete(node.nodeId)
  }

  /** The power goes: what its disk had not synced may be gone. */
  crash(node: WorldNode): void {
    node.engine = null
    node.holds(null)
    node.clock.kill()
    node.disk.crash()
    node.files.crash()
  }

  /** The next process on the same machine and disk. */
  restart(node: WorldNode): void {
    node.clock = node.clock.successor()
    this.#start(node)
  }

  write(node: WorldNode, ...words: string[]): Outcome {
    const [outcome, settle] = newOutcome()
    const sequence = ++this.#sequence
    const header = { kind: PAYLOAD_WRITE, slot: asSlotId(0), stampMs: 0, session: 7, sequence } as const
    const payload = encodePayload({ ...header, lowestUnanswered: sequence, retryUntilMs: 2 ** 45 }, commandOf(words))
    if (!node.replica.propose(payload, { settle })) settle(OUTCOME_REFUSED, latin1Bytes(''))
    return outcome
  }

  read(node: WorldNode, afterWrites: boolean, ...words: string[]): Outcome {
    const [outcome, settle] = newOutcome()
    if (!node.replica.read(asSlotId(0), 0, commandOf(words), afterWrites, { settle }))
      settle(OUTCOME_REFUSED, latin1Bytes(''))
    return outcome
  }

  /** Waits for its reply. */
  done(outcome: Outcome): string {
    this.runUntil(() => outcome.outcome !== null, 'the request is answered')
    assert(outcome.outcome === OUTCOME_REPLY, `the request was not run: outcome ${outcome.outcome}`)
    return outcome.reply
  }

  /** A replica that knows nothing yet, on a node that has none. */
  open(node: WorldNode, replicaId: ReplicaId, done: () => void): void {
    assert(node.held === null, 'a second replica on one node')
    const { log } = node
    const fresh = this.#begin(log, replicaId)
    log.flush(() => this.#run(node, log, fresh, done))
  }

  /** Its replica goes for good. */
  forget(node: WorldNode, done: () => void): void {
    const { log, replica } = node
    replica.close(() => {
      node.holds(null)
      log.forget(WORLD_GROUP)
      log.flush(() => {
        node.logged = null
        done()
      })
    })
  }

  #start(node: WorldNode): void {
    const options = {
      ...WAL_DEFAULTS,
      directory: 'wal',
      segmentBytes: this.#options.segmentBytes ?? 256 * 1024,
      logId: node.nodeId,
    }
    const liveEntries = (_group: number, from: number, to: number) =>
      node.logged?.core.entries(asLogIndex(from), asLogIndex(to)) ?? []
    const fatal = (message: string): void => {
      node.fatals.push(message)
    }
    openWriteAheadLog(node.disk, node.clock, loggerOf(node), options, liveEntries, fatal, (result) => {
      assert(result.kind === 'opened', 'the log of a fresh node opens')
      const { log, groups } = result
      node.opened(log)
      const begins = this.#isVoter(node) && !node.hasBegun
      const known = groups.find(({ group }) => group === WORLD_GROUP)
      const recovered = known ?? (begins ? this.#begin(log, asReplicaId(node.nodeId)) : null)
      node.hasBegun = true
      const started = (): void => {
        node.engine ??= new Engine(node.clock, log, NO_PEERS)
        node.onStart()
      }
      log.flush(() => (recovered === null ? started() : this.#run(node, log, recovered, started)))
    })
  }

  #isVoter({ nodeId }: WorldNode): boolean {
    return nodeId <= (this.#options.voters ?? this.nodes.length)
  }

  #begin(log: WriteAheadLog, replicaId: ReplicaId): RecoveredGroup {
    const hardState = { term: asTerm(0), votedFor: asReplicaId(0), commit: asLogIndex(0) }
    log.append({ group: WORLD_GROUP, replicaId, hardState })
    const compaction = { index: asLogIndex(0), term: asTerm(0) }
    return { group: WORLD_GROUP, replicaId, hardState, compaction, baseDirectory: 0, entries: [] }
  }

  #openState(
    node: WorldNode,
    path: string,
    directory: number,
    done: (error: string | null, state: ReplicaState | null) => void,
  ): void {
    const options = { group: WORLD_GROUP, hashKey: HASH_KEY, slabs: new SlabPool(64 * 1024, 1024 * 1024) }
    ReplicaStore.open(node.files, path, directory, options, (error, store) => {
      if (store === null) return done(error?.message ?? 'no store', null)
      const ownedSlots: [number, number][] = this.#options.ownsSlots === false ? [] : [[0, SLOTS - 1]]
      const machine = this.#options.machine?.(node) ?? new KvStateMachine(store, { slotCount: SLOTS, ownedSlots })
      machine.restore(store.meta?.state ?? null)
      done(null, { store, machine })
    })
  }

  #run(node: WorldNode, log: WriteAheadLog, recovered: RecoveredGroup, done: () => void): void {
    this.#openState(node, pathOf(recovered), recovered.baseDirectory, (_error, state) => {
      this.#runOn(node, log, recovered, present(state, 'a base that opens'))
      done()
    })
  }

  #runOn(node: WorldNode, log: WriteAheadLog, recovered: RecoveredGroup, state: ReplicaState): void {
    const engine = node.engine ?? new Engine(node.clock, log, NO_PEERS)
    const { replicaId, baseDirectory } = recovered
    const genesis = this.#membership
    const restored = recoverReplica(recovered, state.store.meta, genesis)
    assert(restored.kind === 'recovered', 'what a crash leaves is sound')
    if (restored.compactTo !== null) log.append({ group: WORLD_GROUP, compaction: restored.compactTo })
    const config = { ...CONFIG, ...this.#options.config, replicaId }
    const seed = this.#options.seed * 100 + node.nodeId + 10_000 * this.#starts++
    const core = new RaftCore(WORLD_GROUP, config, restored.state, new Prng(seed))
    const limits = { ...LIMITS, ...this.#options.limits }
    const path = pathOf(recovered)
    const options = { group: WORLD_GROUP, replicaId, path, baseDirectory, genesisMembership: genesis, limits }
    const host = this.#host(node, path, log, engine)
    const replica = new RaftReplica(
      { ...options, maxPendingProposals: 1_000, maxPendingReads: 1_000 },
      host,
      core,
      state,
    )
    node.holds(replica)
    node.engine = engine
    node.logged = replica
    this.#tick(node.clock, replica)
    engine.wake(replica)
  }

  #host(node: WorldNode, path: string, log: WriteAheadLog, engine: Engine): ReplicaHost {
    return {
      clock: node.clock,
      logger: loggerOf(node),
      log,
      baseFiles: node.files,
      sendConsensus: (to, message) => this.#send(node, to, message),
      sendImage: (to, bytes) => {
        this.#deliver(node, to, (target) =>
          target.held?.onImageMessage(node.nodeId, decodeImageMessage(new BytesReader(bytes.slice()))),
        )
        return true
      },
      wake: (replica) => engine.wake(replica),
      statusChanged: () => node.onStatus(),
      stampMs: () => node.clock.wallMs(),
      openState: (_group, directory, done) => this.#openState(node, path, directory, done),
      acceptsGrowth: () => node.acceptsGrowth,
      fatal: (message) => node.fatals.push(message),
    }
  }

  #send(node: WorldNode, to: NodeId, message: RaftMessage): void {
    this.sent.push({ from: node.nodeId, atMs: this.scheduler.nowMs, message })
    this.#deliver(node, to, (target) => target.held?.step(node.nodeId, message))
  }

  #deliver(from: WorldNode, to: NodeId, deliver: (target: WorldNode) => void): void {
    const target = present(this.nodes[to - 1], `no node ${to}`)
    for (const delayMs of this.#options.delivery?.(from.nodeId, to) ?? [0.1]) {
      this.scheduler.after(delayMs, 'message', () => {
        if (this.#cut.has(from.nodeId) || this.#cut.has(to) || target.engine === null) return
        target.clock.deliver(() => deliver(target))
      })
    }
  }

  #tick(clock: Clock, replica: RaftReplica): void {
    clock.setTimer(TICK_MS, () => {
      replica.tick()
      this.#tick(clock, replica)
    })
  }
}

const NO_PEERS: PeerChannel = { send: () => true, flush() {}, isConnected: () => true, queuedBytes: () => 0 }

const LIMITS: CompactionLimits = {
  checkpointBytes: 2 ** 30,
  checkpointEntries: 1_000_000,
  trailingEntries: 0,
  retainedBytesMax: 2 ** 30,
}

const CONFIG: Omit<RaftConfig, 'replicaId'> = {
  heartbeatTicks: 5,
  electionTicksMin: 30,
  electionTicksMax: 60,
  maxInflightMessages: 64,
  maxInflightBytes: 1 << 20,
  maxMessageBytes: 64 * 1024,
  maxEntryBytes: 32 * 1024,
  maxUncommittedBytes: 1 << 20,
  maxApplyBytes: 64 * 1024,
  maxPendingReads: 1_000,
}

/** As on a real node: none is used by two replicas. */
function pathOf({ group, replicaId }: RecoveredGroup): string {
  return `group-${group}-${replicaId}`
}

function loggerOf(node: WorldNode) {
  return { info() {}, error() {}, warn: (event: string) => node.warnings.push(event) }
}

function newOutcome(): [Outcome, (outcome: RequestOutcome, reply: Uint8Array) => void] {
  const outcome: Outcome = { outcome: null, reply: '', times: 0 }
  const settle = (result: RequestOutcome, reply: Uint8Array): void => {
    outcome.outcome = result
    outcome.reply = latin1Text(reply)
    outcome.times++
  }
  return [outcome, settle]
}

function commandOf(words: readonly string[]): Uint8Array {
  const spec = present(COMMANDS_BY_NAME.get(words[0].toLowerCase()), `no command ${words[0]}`)
  return encodeCommand(spec.opcode, words.slice(1).map(latin1Bytes))
}
