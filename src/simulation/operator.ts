/**
 * Somebody who never leaves a cluster alone: moves slots, changes weights, drains, makes and removes groups, lets nodes join, leave and take each other's places,
 * hands over leadership, calls moves off. Everything goes through the admin calls of some node that runs, as an operator's would, and is counted by its answer.
 */
import type { GroupId, NodeId } from '../base/brand.ts'
import type { Prng } from '../base/prng.ts'
import { MASTERS_GROUP } from '../master/tree-layout.ts'
import type { GroupGenesisConfig, KnownNode } from '../node/node-config.ts'
import type { AdminArguments } from '../ports/cluster-admin.ts'
import type { ClusterTruth } from './cluster-truth.ts'
import type { ClusterWatch } from './cluster-watch.ts'
import type { Scheduler } from './scheduler.ts'
import { SIM_SECRET, type SimCluster } from './sim-cluster.ts'

const CALLS = [
  'move',
  'cancel',
  'rebalance',
  'weight',
  'drain',
  'create',
  'remove',
  'join',
  'leave',
  'replace',
  'transfer',
  'newNode',
] as const
type Call = (typeof CALLS)[number]

/** How often each is drawn, where a run has it at all. */
const SHARES: Readonly<Record<Call, number>> = {
  move: 10,
  cancel: 3,
  rebalance: 2,
  weight: 2,
  drain: 2,
  create: 1,
  remove: 2,
  join: 3,
  leave: 3,
  replace: 2,
  transfer: 2,
  newNode: 2,
}

const GROUPS_MAX = 4
const NEW_NODES_MAX = 2
/** With more that are not over, new moves would only wait. */
const OPEN_RECONFIGS_MAX = 12
const MEMBERS_MIN = 2
/** Every call is answered within its deadline, 30 s at most; a node may stand still for some seconds meanwhile. */
const ANSWER_MS = 45_000

export interface OperatorOptions {
  readonly meanGapMs: number
  readonly slotCount: number
  /** Only moves and what goes with them, not groups and members. */
  readonly movesOnly: boolean
  /** A machine for a node that was registered: to be started. */
  newNode(newcomer: Newcomer): void
  violated(message: string): void
}

/** What a node that joins is told. */
export interface Newcomer {
  readonly nodeId: number
  readonly nodes: readonly KnownNode[]
  readonly groups: readonly GroupGenesisConfig[]
}

export class Operator {
  readonly counts: Record<string, number> = {}
  readonly #scheduler: Scheduler
  readonly #cluster: SimCluster
  readonly #watch: ClusterWatch
  readonly #random: Prng
  readonly #options: OperatorOptions
  readonly #enabled: readonly Call[]
  #newNodes = 0
  #active = false

  constructor(scheduler: Scheduler, cluster: SimCluster, watch: ClusterWatch, random: Prng, options: OperatorOptions) {
    this.#scheduler = scheduler
    this.#cluster = cluster
    this.#watch = watch
    this.#random = random
    this.#options = options
    const few: readonly Call[] = ['move', 'cancel', 'rebalance', 'weight']
    const drawn = CALLS.filter((call) => (options.movesOnly ? few.includes(call) : random.chance(0.7)))
    this.#enabled = drawn.includes('move') ? drawn : ['move', ...drawn]
  }

  start(): void {
    this.#active = true
    this.#next()
  }

  stop(): void {
    this.#active = false
  }

  #next(): void {
    this.#scheduler.after(this.#random.unit() * 2 * this.#options.meanGapMs, 'operator', () => {
      if (!this.#active) return
      const truth = this.#watch.truth()
      if (truth !== null && truth.slotTable() !== null) this.#do(this.#draw(), truth)
      this.#next()
    })
  }

  #draw(): Call {
    let at = this.#random.below(this.#enabled.reduce((sum, call) => sum + SHARES[call], 0))
    for (const call of this.#enabled) {
      at -= SHARES[call]
      if (at < 0) return call
    }
    return 'move'
  }

  #do(call: Call, truth: ClusterTruth): void {
    const groups = truth.groups()
    const data = [...groups.keys()].filter((group) => group !== MASTERS_GROUP)
    if (data.length === 0) return
    const group = this.#random.pick(data)
    switch (call) {
      case 'move':
        return this.#move(truth, data)
      case 'cancel':
        return this.#cancel(truth)
      case 'rebalance':
        return this.#ask('rebalance', { dryRun: this.#random.chance(0.2) })
      case 'weight':
        return this.#ask('group-weight', { group, weight: this.#random.pick([0, 1, 5, 10, 20]) })
      case 'drain':
        return this.#ask('group-drain', { group, draining: this.#random.chance(0.6) })
      case 'create':
        return this.#create(truth, data.length)
      case 'remove':
        return data.length > 1 ? this.#ask('group-remove', { group: this.#removable(truth, data) }) : undefined
      case 'join':
      case 'leave':
        return this.#membership(call, truth)
      case 'replace':
        return this.#replace(truth)
      case 'transfer':
        return this.#transfer(truth)
      case 'newNode':
        return this.#register()
    }
  }

  /** Several at once, of slots that may overlap, from wherever they are. */
  #move(truth: ClusterTruth, data: readonly GroupId[]): void {
    if (truth.openReconfigs().length >= OPEN_RECONFIGS_MAX) return
    const { slotCount } = this.#options
    for (let i = this.#random.between(1, 3); i > 0; i--) {
      const first = this.#random.below(slotCount)
      const last = Math.min(slotCount - 1, first + this.#random.below(this.#random.pick([1, 4, slotCount])))
      this.#ask('move', { ranges: [[first, last]], to: this.#random.pick(data) })
    }
  }

  #cancel(truth: ClusterTruth): void {
    const open = truth.openReconfigs()
    if (open.length > 0) this.#ask('cancel', { reconfig: this.#random.pick(open).reconfigId })
  }

  #create(truth: ClusterTruth, count: number): void {
    if (count >= GROUPS_MAX) return
    const nodes = this.#some(this.#machines(truth))
    // On nodes that are away, too.
    this.#ask('group-create', { weight: this.#random.pick([1, 10, 20]), nodes, anyway: true })
  }

  /** One that may be empty, if there is one. */
  #removable(truth: ClusterTruth, data: readonly GroupId[]): GroupId {
    const owners = new Set(truth.slotTable()?.groups)
    const empty = data.filter((group) => !owners.has(group))
    return this.#random.pick(empty.length > 0 ? empty : data)
  }

  #membership(call: 'join' | 'leave', truth: ClusterTruth): void {
    const [group, { members }] = this.#random.pick([...truth.groups()])
    const there = members.map(({ nodeId }) => nodeId)
    if (call === 'leave' && there.length <= MEMBERS_MIN) return
    const others = this.#machines(truth).filter((node) => !there.includes(node))
    const candidates = call === 'leave' ? there : others
    if (candidates.length === 0) return
    const node = this.#random.pick(candidates)
    this.#ask(call, group === MASTERS_GROUP ? { node, masters: true } : { node, group })
  }

  /** By one that is in none of its groups, if there is one. */
  #replace(truth: ClusterTruth): void {
    const nodes = this.#machines(truth)
    const groups = [...truth.groups().values()].map(({ members }) => members.map(({ nodeId }) => nodeId))
    const old = this.#random.pick(nodes)
    const apart = nodes.filter((node) => {
      return node !== old && !groups.some((members) => members.includes(old) && members.includes(node))
    })
    this.#ask('replace', { old, new: this.#random.pick(apart.length > 0 ? apart : nodes) })
  }

  #transfer(truth: ClusterTruth): void {
    const [group, { members }] = this.#random.pick([...truth.groups()])
    this.#ask('transfer', { group, node: this.#random.pick(members).nodeId })
  }

  #register(): void {
    if (this.#newNodes >= NEW_NODES_MAX) return
    this.#newNodes++
    // Which id it gets is the masters' to say; its addresses hang on nothing but that it is the next one.
    const next = Math.max(...this.#cluster.hosts.map(({ nodeId }) => nodeId)) + 1
    const { peer, resp, cluster, roles } = this.#cluster.knownNode(next)
    this.#ask('join-cluster', { token: SIM_SECRET, peer, resp, cluster, roles }, (answer) => {
      const newcomer = answer as Newcomer
      // An earlier attempt may have been done unseen: then this id is nobody's for ever.
      if (newcomer.nodeId === next) this.#options.newNode(newcomer)
    })
  }

  /** Registered nodes that there is a machine of: where the answer to a registration was lost, nobody has started one. */
  #machines(truth: ClusterTruth): readonly NodeId[] {
    const hosts = new Set<number>(this.#cluster.hosts.map(({ nodeId }) => nodeId))
    return [...truth.nodes().keys()].filter((node) => hosts.has(node))
  }

  #some(nodes: readonly NodeId[]): NodeId[] {
    const left = [...nodes]
    const taken: NodeId[] = []
    for (let i = Math.min(left.length, this.#random.between(2, 3)); i > 0; i--) {
      taken.push(...left.splice(this.#random.below(left.length), 1))
    }
    return taken
  }

  #ask(name: string, args: AdminArguments, then: (answer: unknown) => void = () => {}): void {
    const up = this.#cluster.hosts.filter(({ state }) => state === 'up')
    if (up.length === 0) return
    const host = this.#random.pick(up)
    const { node, incarnation } = host
    if (node === null) return
    let isOpen = true
    node.admin.call(name, args, (error, answer) => {
      if (!isOpen) return
      isOpen = false
      this.#count(`${name} ${error === null ? 'ok' : error.code}`)
      if (error === null) then(answer)
    })
    this.#scheduler.after(ANSWER_MS, 'operator gives up', () => {
      if (!isOpen) return
      isOpen = false
      this.#count(`${name} no answer`)
      if (host.incarnation === incarnation && host.state === 'up')
        this.#options.violated(
          `node ${host.nodeId} has not answered ${name} ${JSON.stringify(args)} in ${ANSWER_MS} ms`,
        )
    })
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }
}
