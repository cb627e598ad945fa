/**
 * Masters on one metadata tree, and groups, in virtual time; one seed decides everything. Masters can be killed between any two of their calls, and their
 * sessions suspended and expired; writes can lose their answers. Every write of a master is watched: only the first of the queue may make one.
 */
import { assert, present } from '../base/assert.ts'
import { asGroupId, asNodeId, type GroupId, type NodeId } from '../base/brand.ts'
import { Prng } from '../base/prng.ts'
import { LocalMetadata, type LocalMetadataStore } from '../metadata/tree/local-metadata.testkit.ts'
import type { Clock } from '../ports/clock.ts'
import type { GroupCommands } from '../ports/group-commands.ts'
import type { MetadataStore, SessionState } from '../ports/metadata-store.ts'
import type { MetadataWrite } from '../protocol/metadata-command.ts'
import type { MetadataReply } from '../protocol/metadata-reply.ts'
import { NO_LONGER_ACTIVE } from './active-master.ts'
import { type Genesis, genesisMembers, genesisOperations, genesisOwners } from './cluster-genesis.ts'
import { type ClusterSnapshot, openReconfigs, readSnapshot } from './cluster-snapshot.ts'
import type { MasterDone, MasterError } from './master-error.ts'
import type { MasterMutations } from './mutations.ts'
import type { OrchestratorSettings } from './orchestrator.ts'
import { decodeBucket, type Reconfig } from './reconfig.ts'
import type { NodeRegistration } from './registrations.ts'
import { ShardMaster } from './shard-master.ts'
import { SimulatedGroups } from './simulated-groups.testkit.ts'
import { bucketPath, MASTER_PREFIX, MASTERS } from './tree-layout.ts'
import { VirtualClock } from './virtual-clock.testkit.ts'

export interface WorldOptions {
  readonly slotCount: number
  /** Of groups 1, 2, 3... */
  readonly weights: readonly number[]
  readonly masters: number
  readonly orchestration: Partial<OrchestratorSettings>
  readonly mutations: MasterMutations
}

const OPTIONS: WorldOptions = { slotCount: 16, weights: [1, 1], masters: 3, orchestration: {}, mutations: {} }

/** The calls of a ShardMaster that are answered through a callback, by name. */
type Call = {
  [K in keyof ShardMaster]: ShardMaster[K] extends (...args: never[]) => void
    ? Parameters<ShardMaster[K]> extends [...unknown[], (error: MasterError | null, value: never) => void]
      ? K
      : never
    : never
}[keyof ShardMaster]
type Arguments<K extends Call> =
  Parameters<ShardMaster[K]> extends [...infer A, (error: MasterError | null, value: never) => void] ? A : never
type Value<K extends Call> =
  Parameters<ShardMaster[K]> extends [...unknown[], (error: MasterError | null, value: infer T) => void]
    ? NonNullable<T>
    : never

const UNDECIDED: ReadonlySet<string> = new Set(['not-active', 'uncertain', 'unavailable'])

export const NODE: NodeRegistration = {
  peer: '10.0.0.1:7383',
  resp: '10.0.0.1:7379',
  cluster: '10.0.0.1:7381',
  roles: ['master', 'worker'],
}

/** One of many, each where no other is. */
export function nodeAt(host: number): NodeRegistration {
  return { ...NODE, peer: `10.0.0.${host}:7383` }
}

/** One run of a master's process. */
class Life {
  readonly master: ShardMaster
  readonly nodeId: NodeId
  isDead = false
  /** Its session of now. */
  store: LocalMetadataStore | null = null

  constructor(world: MasterWorld, nodeId: NodeId) {
    this.nodeId = nodeId
    this.master = new ShardMaster({
      nodeId,
      clusterEpoch: 0,
      clock: this.#clock(world.clock),
      commands: this.#commands(world),
      openSession: () => {
        const inner = world.metadata.open()
        this.store = inner
        return this.#wrap(world, inner)
      },
      orchestration: world.options.orchestration,
      mutations: world.options.mutations,
    })
    this.master.start()
  }

  /** What would come back to a dead one comes to nobody. */
  alive<A extends unknown[]>(callback: (...args: A) => void): (...args: A) => void {
    return (...args) => {
      if (!this.isDead) callback(...args)
    }
  }

  #clock(clock: VirtualClock): Clock {
    return {
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      setTimer: (delayMs, callback) => clock.setTimer(delayMs, this.alive(callback)),
      defer: (callback) => clock.defer(this.alive(callback)),
    }
  }

  #commands(world: MasterWorld): GroupCommands {
    const { groups } = world
    const acts = (act: () => void): void => world.acts(this, act)
    return {
      beginSource: (group, begin, done) => acts(() => groups.beginSource(group, begin, this.alive(done))),
      beginDestination: (group, begin, done) => acts(() => groups.beginDestination(group, begin, this.alive(done))),
      cancel: (group, id, fence, done) => acts(() => groups.cancel(group, id, fence, this.alive(done))),
      sourceStanding: (group, id, slots, done) => groups.sourceStanding(group, id, slots, this.alive(done)),
      checkCommit: (group, id, slots, done) => groups.checkCommit(group, id, slots, this.alive(done)),
    }
  }

  #wrap(world: MasterWorld, inner: LocalMetadataStore): MetadataStore {
    return {
      get state(): SessionState {
        return inner.state
      },
      get sessionId(): string | null {
        return inner.sessionId
      },
      onStateChange: (listener) => inner.onStateChange(this.alive(listener)),
      get: (path, done) => inner.get(path, this.alive(done)),
      exists: (path, done) => inner.exists(path, this.alive(done)),
      children: (path, done) => inner.children(path, this.alive(done)),
      multi: (operations, done) => world.acts(this, () => inner.multi(operations, this.alive(done))),
      sync: (done) => inner.sync(this.alive(done)),
      watchNode: (path, listener) => inner.watchNode(path, this.alive(listener)),
      watchChildren: (path, listener) => inner.watchChildren(path, this.alive(listener)),
      watchTree: (path, listener) => inner.watchTree(path, this.alive(listener)),
      close: (done) => inner.close(this.alive(done)),
    }
  }
}

/** Watches who writes. */
class WatchedMetadata extends LocalMetadata {
  override write(session: number, sequence: number, command: MetadataWrite): MetadataReply {
    const first = this.firstInQueue()
    const reply = super.write(session, sequence, command)
    const isMasters =
      command.kind === 'multi' && command.operations.some(({ path, kind }) => kind === 'set' && path === MASTERS)
    const isDone = reply.kind === 'results'
    if (isMasters && isDone) assert(first === String(session), `session ${session} wrote, but ${first} leads`)
    return reply
  }

  firstInQueue(): string | null {
    const reply = this.read({ kind: 'children', session: 0, path: MASTERS })
    if (reply.kind !== 'children' || reply.names === null) return null
    const first = reply.names.find((name) => name.startsWith(MASTER_PREFIX))
    if (first === undefined) return null
    const stat = this.read({ kind: 'exists', session: 0, path: `${MASTERS}/${first}` })
    return stat.kind === 'stat' ? (stat.stat?.ephemeralOwner ?? null) : null
  }
}

export class MasterWorld {
  readonly options: WorldOptions
  readonly clock = new VirtualClock()
  readonly random: Prng
  readonly metadata: WatchedMetadata
  readonly groups: SimulatedGroups
  readonly lives: Life[] = []
  /** The session that the test itself reads with. */
  readonly #reader: LocalMetadataStore
  /** Acts of leading masters so far: writes, the taking over among them, and commands. At act number `killAt` the actor dies. */
  actCount = 0
  killAt = -1
  killAfter = false
  /** Probability that an active master's place in the queue is removed just before a write of it arrives, though its session lives. */
  removal = 0
  readonly #remover: LocalMetadataStore

  constructor(seed: number, options: Partial<WorldOptions> = {}) {
    this.options = { ...OPTIONS, ...options }
    this.random = new Prng(seed)
    // A millisecond for each call, so that the calls of one session stay in order.
    this.metadata = new WatchedMetadata((callback) => this.clock.after(1, callback))
    const { slotCount, weights, masters } = this.options
    const nodes = Array.from({ length: masters }, () => NODE)
    const groups = weights.map((weight, i) => {
      return { groupId: asGroupId(i + 1), weight, members: genesisMembers(0, [asNodeId(1)]) }
    })
    const genesis: Genesis = {
      clusterEpoch: 0,
      slotCount,
      groups,
      masters: genesisMembers(0, [1, 2, 3].slice(0, masters).map(asNodeId)),
      nodes,
    }
    const owners = genesisOwners(slotCount, groups)
    this.groups = new SimulatedGroups(
      groups.map(({ groupId }) => groupId),
      owners,
      this.clock,
      this.random.fork(),
    )
    this.#reader = this.metadata.open()
    this.#remover = this.metadata.open()
    let isMade = false
    this.clock.runUntil(
      () => this.#reader.state === 'connected',
      100,
      () => 'opening',
    )
    this.#reader.multi(genesisOperations(genesis), (error) => {
      assert(error === null, `genesis: ${error?.message}`)
      isMade = true
    })
    this.clock.runUntil(
      () => isMade,
      100,
      () => 'genesis',
    )
    for (let i = 0; i < masters; i++) this.lives.push(new Life(this, asNodeId(i + 1)))
  }

  // --- masters ----------------------------------------------------------------------------------------------------------

  get active(): Life | null {
    const active = this.lives.filter(({ isDead, master }) => !isDead && master.isActive)
    // Of a removed place its holder hears only later.
    if (this.removal > 0) return active.find(({ store }) => store?.sessionId === this.metadata.firstInQueue()) ?? null
    assert(active.length <= 1, `masters ${active.map(({ nodeId }) => nodeId).join(' and ')} are active`)
    return active[0] ?? null
  }

  untilActive(): ShardMaster {
    this.clock.runUntil(
      () => this.active !== null,
      60_000,
      () => 'no master becomes active',
    )
    return present(this.active, 'active').master
  }

  /** A write or command of a master is about to leave it. */
  acts(life: Life, act: () => void): void {
    if (life.isDead) return
    const isLast = life.master.electionState.kind === 'leading' && this.actCount++ === this.killAt
    if (life.master.isActive && this.removal > 0 && this.random.chance(this.removal)) this.#remove(life)
    if (!isLast || this.killAfter) act()
    if (isLast) this.kill(life)
  }

  #remove(life: Life): void {
    const { electionState } = life.master
    if (electionState.kind !== 'leading') return
    this.#remover.multi([{ kind: 'delete', path: electionState.electionPath, version: 0 }], () => {})
  }

  /** Its session ends, and the process starts again. */
  kill(life: Life): void {
    if (life.isDead) return
    life.isDead = true
    const { store } = life
    this.clock.after(this.random.between(50, 300), () => {
      if (store !== null && this.metadata.machine.hasSession(store.session)) this.metadata.expire(store)
      this.lives[this.lives.indexOf(life)] = new Life(this, life.nodeId)
    })
  }

  // --- calls ------------------------------------------------------------------------------------------------------------

  /** A call of the active master, until somebody answers it definitely; with faults it may be done twice. */
  call<K extends Call>(name: K, ...args: Arguments<K>): { error: MasterError | null; value: Value<K> | null } {
    const answers: { error: MasterError | null; value: Value<K> | null }[] = []
    const ask = (): void => {
      const life = this.active
      if (life === null) return this.clock.after(20, ask)
      let isAnswered = false
      const answered = (error: MasterError | null, value: Value<K> | null): void => {
        if (isAnswered) return
        isAnswered = true
        if (error !== null && UNDECIDED.has(error.code)) this.clock.after(20, ask)
        else answers.push({ error, value })
      }
      this.ask(life, name, args, answered)
      // A dead one answers nobody.
      const look = (): void => {
        if (life.isDead) answered(NO_LONGER_ACTIVE, null)
        else if (!isAnswered) this.clock.after(20, look)
      }
      look()
    }
    ask()
    this.clock.runUntil(
      () => answers.length > 0,
      120_000,
      () => `${name} is not answered`,
    )
    return answers[0]
  }

  ask<K extends Call>(life: Life, name: K, args: Arguments<K>, done: MasterDone<Value<K>>): void {
    const { master } = life
    const method = master[name] as unknown as (this: ShardMaster, ...all: unknown[]) => void
    method.call(master, ...args, done)
  }

  done<K extends Call>(name: K, ...args: Arguments<K>): Value<K> {
    const { error, value } = this.call(name, ...args)
    assert(error === null && value !== null, `${error?.code}: ${error?.message}`)
    return value
  }

  refused<K extends Call>(name: K, ...args: Arguments<K>): string {
    return this.refusal(name, ...args).code
  }

  refusal<K extends Call>(name: K, ...args: Arguments<K>): MasterError {
    return present(this.call(name, ...args).error, 'a call that had to be refused was done')
  }

  // --- the tree -----------------------------------------------------------------------------------------------------------

  snapshot(): ClusterSnapshot {
    let found: ClusterSnapshot | null = null
    readSnapshot(this.#reader, (error, snapshot) => {
      assert(error === null, `${error?.message}`)
      found = snapshot
    })
    this.clock.runUntil(
      () => found !== null,
      1_000,
      () => 'reading',
    )
    return present(found as ClusterSnapshot | null, 'snapshot')
  }

  /** All that are kept, rising by id. */
  reconfigs(): Reconfig[] {
    const { first, last } = this.snapshot().migrations.value
    const all: Reconfig[] = []
    for (let bucket = first; bucket <= Math.floor(last / 32); bucket++) {
      const reply = this.metadata.read({ kind: 'get', session: 0, path: bucketPath(bucket) })
      if (reply.kind === 'node' && reply.node !== null) all.push(...decodeBucket(bucket, reply.node.data))
    }
    return all
  }

  reconfig(reconfigId: number): Reconfig {
    return present(
      this.reconfigs().find((reconfig) => reconfig.reconfigId === reconfigId),
      `no reconfig ${reconfigId}`,
    )
  }

  counts(): number[] {
    const owners = this.groups.owners()
    return [...this.groups.groups.keys()].map((group) => owners.filter((owner) => owner === group).length)
  }

  createGroup(weight: number): GroupId {
    const { group } = this.done('createGroup', weight, [asNodeId(1)])
    this.addMissingGroups()
    return group
  }

  /** Groups of the tree that do not run yet: their nodes start them. */
  addMissingGroups(): void {
    for (const group of this.snapshot().groups.keys()) if (!this.groups.groups.has(group)) this.groups.add(group)
  }

  /** Until every reconfig is over and the slots are planned by weight. */
  settle(maxMs = 120_000): void {
    const describe = (): string => {
      const open = openReconfigs(this.snapshot()).map(({ reconfigId, status, callOff }) => {
        return `${reconfigId} ${status} ${callOff} "${this.active?.master.problemOf(reconfigId) ?? ''}"`
      })
      return `open: ${open.join(', ')}`
    }
    const last = this.clock.monotonicMs() + maxMs
    for (;;) {
      const snapshot = this.snapshot()
      const isQuiet = openReconfigs(snapshot).length === 0 && !snapshot.rebalance.value && !this.groups.isMoving
      if (isQuiet && this.active !== null) break
      if (this.clock.monotonicMs() > last) throw new Error(`not settled: ${describe()}`)
      this.clock.run(50)
      void this.active
      // One may have been created by a call that nobody has answered.
      this.addMissingGroups()
    }
    this.checkSettled()
  }

  checkSettled(): void {
    const { slots, tableVersion } = this.snapshot()
    const owners = this.groups.owners()
    assert(slots.value.version === tableVersion.value, 'two versions of the slot table')
    for (let slot = 0; slot < owners.length; slot++) {
      const published = slots.value.groups[slot]
      assert(owners[slot] !== 0, `nobody serves slot ${slot}`)
      assert(owners[slot] === published, `slot ${slot} is published as ${published}'s, but ${owners[slot]} serves it`)
    }
    const all = this.reconfigs()
    for (let i = 0; i < all.length; i++) this.#checkOver(all[i], i > 0 ? all[i - 1].reconfigId : all[i].reconfigId - 1)
  }

  #checkOver({ reconfigId, status, reason }: Reconfig, before: number): void {
    assert(reconfigId === before + 1, `reconfig ${reconfigId} comes after ${before}`)
    const isEnabled = this.groups.applied(reconfigId, 'enable')
    assert(isEnabled === (status === 'done'), `reconfig ${reconfigId} is ${status}, enabled: ${isEnabled}`)
    const mayFail = this.groups.faults.refuse > 0 || reason === 'a reconfig that it follows came to nothing'
    assert(
      status !== 'failed' || mayFail || reason === 'the destination refused',
      `reconfig ${reconfigId} failed: ${reason}`,
    )
  }
}
