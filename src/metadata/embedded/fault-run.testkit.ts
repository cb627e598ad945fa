/**
 * One seeded run: clients at work while faults come and go; then the faults end, everything comes to rest, and all is counted.
 *
 *   0 s ........ 20 s            21 s             33 s
 *   work, faults  | work ends     | faults end     | every watcher has seen the last change, every write ran at most once
 */
import type { NodeId } from '../../base/brand.ts'
import { asSlotId } from '../../base/brand.ts'
import { EMPTY_BYTES } from '../../base/bytes.ts'
import { Prng } from '../../base/prng.ts'
import { encodeMetadataRead } from '../../protocol/metadata-command.ts'
import { type MetadataOperation, PERSISTENT } from '../../protocol/metadata-operation.ts'
import { decodeMetadataReply, type MetadataReply } from '../../protocol/metadata-reply.ts'
import type { TreeStateMachine } from '../tree/tree-state-machine.ts'
import { FaultClient, newRecord, type RunRecord } from './fault-client.testkit.ts'
import { MastersWorld } from './masters-world.testkit.ts'
import type { EmbeddedMutations } from './mutations.ts'

const STEP_MS = 50
const WORK_MS = 20_000
const FAULTS_MS = 21_000
const CALM_MS = 12_000
const TIMEOUTS_MS = [1_000, 2_000, 4_000]

export interface RunResult extends RunRecord {
  readonly trace: string
  readonly expired: number
}

export function faultRun(seed: number, mutations: Partial<EmbeddedMutations> = {}): RunResult {
  return new FaultRun(seed, mutations).run()
}

class FaultRun {
  readonly #random: Prng
  readonly #world: MastersWorld
  readonly #record = newRecord()
  readonly #clients: FaultClient[] = []
  readonly #down = new Set<NodeId>()
  readonly #paused = new Set<NodeId>()
  readonly #expired = new Set<number>()

  constructor(seed: number, mutations: Partial<EmbeddedMutations>) {
    this.#random = new Prng(seed ^ 0x5eed)
    const masters = this.#random.pick([3, 3, 5])
    const checkpointEntries = this.#random.pick([50, 1_000_000])
    this.#world = new MastersWorld({ seed, masters, holders: 2, mutations, checkpointEntries })
    this.#begin()
  }

  run(): RunResult {
    const { group } = this.#world
    const startMs = this.#world.nowMs
    let faultsUntilMs = 0
    while (this.#world.nowMs - startMs < FAULTS_MS) {
      const atMs = this.#world.nowMs - startMs
      if (atMs >= faultsUntilMs) {
        this.#changeFaults()
        faultsUntilMs = atMs + this.#random.between(300, 2_500)
      }
      if (atMs < WORK_MS) for (const client of this.#working()) client.step()
      else if (atMs < WORK_MS + STEP_MS) this.#lastChange()
      group.runFor(STEP_MS)
      this.#check()
    }
    this.#endFaults()
    for (let ms = 0; ms < CALM_MS; ms += STEP_MS) {
      group.runFor(STEP_MS)
      this.#check()
    }
    this.#count()
    return { ...this.#record, trace: group.scheduler.traceHash, expired: this.#expired.size }
  }

  #begin(): void {
    const world = this.#world
    const first = world.open(world.leader(), { sessionTimeoutMs: 10_000 })
    let ready = false
    const operations: MetadataOperation[] = ['/counter', '/log', '/election'].map((path) => {
      return { kind: 'create', path, data: EMPTY_BYTES, options: PERSISTENT }
    })
    first.multi(operations, (error) => {
      ready = error === null
    })
    world.group.runUntil(() => ready, 'the tree is prepared')
    first.close(() => {})
    const places = [...world.masters.slice(0, 3), ...world.holders]
    for (const [i, place] of places.entries()) {
      const timeoutMs = this.#random.pick(TIMEOUTS_MS)
      this.#clients.push(new FaultClient(world, this.#record, this.#random.fork(), `c${i}`, place, timeoutMs))
    }
  }

  /** Behind the back of those that are attached to the master that is cut off. */
  #lastChange(): void {
    const { masters } = this.#world
    const cutOff = this.#random.pick(masters)
    this.#world.isolate(cutOff)
    const others = this.#clients.filter(({ at }) => at !== cutOff && masters.includes(at) && !this.#down.has(at))
    if (others.length > 0) this.#random.pick(others).count()
  }

  #working(): FaultClient[] {
    return this.#clients.filter(({ at }) => this.#random.chance(0.6) && !this.#down.has(at))
  }

  // --- faults -------------------------------------------------------------------------------------------------

  #changeFaults(): void {
    const world = this.#world
    if (this.#random.chance(0.6)) this.#endFaults()
    const leader = this.#leader()
    const anyMaster = this.#random.pick(world.masters)
    switch (this.#random.below(10)) {
      case 0:
        return world.isolate(leader)
      case 1:
        return world.isolate(anyMaster)
      case 2:
        for (let i = 0; i < 3; i++) this.#cutOneWay()
        return
      case 3:
        return this.#crash(leader)
      case 4:
        return this.#crash(anyMaster)
      case 5:
        world.faults = { loss: 0.15, duplication: 0.15, delayMs: [0.1, 60] }
        return
      case 6:
        return world.slow(this.#random.pick(world.masters), this.#random.between(100, 400))
      case 7:
        if (world.isUp(leader)) world.clockOf(leader).stepWall(this.#random.pick([-3_600_000, 30_000, 3_600_000]))
        return
      case 8:
        return this.#pause(leader)
      default:
        return
    }
  }

  #leader(): NodeId {
    const { nodes } = this.#world.group
    const leading = nodes.filter(({ engine, replica }) => engine !== null && replica.isLeader)
    return leading.length === 0 ? this.#random.pick(this.#world.masters) : this.#random.pick(leading).nodeId
  }

  #cutOneWay(): void {
    const all = [...this.#world.masters, ...this.#world.holders]
    this.#world.cut(this.#random.pick(all), this.#random.pick(this.#world.masters))
  }

  #crash(id: NodeId): void {
    if (this.#down.size > 0 || this.#paused.has(id)) return
    this.#down.add(id)
    this.#world.crash(id)
  }

  #pause(id: NodeId): void {
    if (this.#down.has(id)) return
    this.#paused.add(id)
    this.#world.clockOf(id).pause()
  }

  #endFaults(): void {
    this.#world.mendAll()
    for (const id of this.#paused) this.#world.clockOf(id).resume()
    this.#paused.clear()
    for (const id of this.#down) {
      this.#world.restart(id)
      this.#world.group.runUntil(() => this.#world.isUp(id), 'a master restarts')
      for (const client of this.#clients) if (client.at === id) client.reopen()
    }
    this.#down.clear()
  }

  // --- what must hold -----------------------------------------------------------------------------------------

  #check(): void {
    for (const client of this.#clients) {
      const { session } = client
      if (session === 0 || this.#down.has(client.at)) continue
      const { state } = client.store
      if (state === 'expired') this.#expired.add(session)
      const ended = this.#world.hasEnded(session)
      // A process that stands still does not act on what it believes.
      if (state === 'connected' && ended && !this.#paused.has(client.at)) {
        this.#violated(`session ${session} is connected, and over`)
      }
      if (client.seat !== null) this.#checkSeat(session, client.seat.path, client.seat.creationId)
    }
  }

  /** At every master: the node is there as long as its session is. */
  #checkSeat(session: number, path: string, creationId: number): void {
    for (const id of this.#world.masters) {
      if (!this.#world.isUp(id)) continue
      const tree = this.#world.tree(id)
      if (tree.appliedIndex < creationId) continue
      const reply = read(tree, 'exists', path)
      const isThere = reply.kind === 'stat' && reply.stat !== null
      if (isThere !== tree.hasSession(session)) {
        this.#violated(`session ${session}: its node ${isThere ? 'is left' : 'is gone'} at master ${id}`)
      }
    }
  }

  #count(): void {
    const tree = this.#world.tree(this.#world.leader())
    const found = read(tree, 'children', '/log')
    const names = found.kind === 'children' ? found.names : []
    const times = new Map<string, number>()
    for (const name of names) times.set(name.slice(0, -10), (times.get(name.slice(0, -10)) ?? 0) + 1)
    for (const [prefix, outcome] of this.#record.writes) this.#countWrite(prefix, outcome, times.get(prefix) ?? 0)
    const counter = read(tree, 'exists', '/counter')
    const last = counter.kind === 'stat' ? (counter.stat?.modificationId ?? 0) : 0
    for (const client of this.#clients) {
      if (client.store.state !== 'connected') continue
      if (client.watched !== last) this.#violated(`${client.name} watches ${client.watched}, the last is ${last}`)
    }
    const reigns = [...this.#record.reigns].sort((a, b) => a[0] - b[0])
    for (let i = 1; i < reigns.length; i++) {
      if (reigns[i][1] < reigns[i - 1][1]) this.#violated(`a deposed leader wrote: ${reigns[i - 1]} then ${reigns[i]}`)
    }
  }

  #countWrite(prefix: string, outcome: string | null, times: number): void {
    const [least, most] = outcome === 'done' ? [1, 1] : outcome === 'unknown' || outcome === null ? [0, 1] : [0, 0]
    if (times < least || times > most) this.#violated(`${prefix}: ${outcome}, and ran ${times} times`)
  }

  #violated(what: string): void {
    if (this.#record.violations.length < 20) this.#record.violations.push(what)
  }
}

function read(tree: TreeStateMachine, kind: 'exists' | 'children', path: string): MetadataReply {
  const result = tree.query(encodeMetadataRead({ kind, session: 0, path }), 0, asSlotId(0))
  return decodeMetadataReply(result.kind === 'reply' ? result.reply : EMPTY_BYTES).reply
}
