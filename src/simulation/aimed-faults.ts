/**
 * Faults at the steps of moves: chance alone seldom meets the moments between two of them. One step and one victim at a time, drawn by the seed, or given
 * (move-crash.ts).
 */
import type { Prng } from '../base/prng.ts'
import type { ClusterWatch } from './cluster-watch.ts'
import type { MoveParties, MoveStep } from './move-steps.ts'
import type { Scheduler } from './scheduler.ts'
import type { SimCluster, SimHost } from './sim-cluster.ts'

export const VICTIMS = [
  'sourceLeader',
  'destinationLeader',
  'bothLeaders',
  'activeMaster',
  'sourceFollower',
  'destinationFollower',
  'everybody',
  'leadersApart',
  'sourceAlone',
  'masterAlone',
] as const
export type Victim = (typeof VICTIMS)[number]

export interface AimedActions {
  crash(host: SimHost): void
}

const CUT_MS_MIN = 300
const CUT_MS_MAX = 4_000

/** False: nobody has that part now. */
export function strike(
  victim: Victim,
  move: MoveParties,
  cluster: SimCluster,
  watch: ClusterWatch,
  random: Prng,
  actions: AimedActions,
): boolean {
  const source = watch.leader(move.source)?.host ?? null
  const destination = watch.leader(move.destination)?.host ?? null
  const master = watch.activeMaster()
  const crash = (...hosts: readonly (SimHost | null)[]): boolean => {
    const struck = new Set(hosts.filter((host): host is SimHost => host !== null && host.state !== 'down'))
    for (const host of struck) actions.crash(host)
    return struck.size > 0
  }
  switch (victim) {
    case 'sourceLeader':
      return crash(source)
    case 'destinationLeader':
      return crash(destination)
    case 'bothLeaders':
      return crash(source, destination)
    case 'activeMaster':
      return crash(master)
    case 'sourceFollower':
      return crash(followerOf(move.source, cluster))
    case 'destinationFollower':
      return crash(followerOf(move.destination, cluster))
    case 'everybody':
      return crash(...cluster.hosts)
    case 'leadersApart':
      if (source === null || destination === null) return false
      return cut(cluster, random, source, source === destination ? cluster.hosts : [destination])
    case 'sourceAlone':
      return source !== null && cut(cluster, random, source, cluster.hosts)
    case 'masterAlone':
      return master !== null && cut(cluster, random, master, cluster.hosts)
  }
}

function followerOf(group: number, cluster: SimCluster): SimHost | null {
  const found = cluster.replicas().find(({ host, replica }) => {
    return replica.group === group && !replica.isLeader && host.state === 'up'
  })
  return found?.host ?? null
}

function cut(cluster: SimCluster, random: Prng, host: SimHost, others: readonly SimHost[]): boolean {
  const { network, scheduler } = cluster
  const apart = others.filter((other) => other !== host)
  for (const other of apart) network.partition(host.nodeId, other.nodeId)
  scheduler.after(random.between(CUT_MS_MIN, CUT_MS_MAX), 'aimed cut heals', () => {
    for (const other of apart) network.healPair(host.nodeId, other.nodeId)
  })
  return true
}

export class AimedFaults {
  readonly counts: Record<string, number> = {}
  readonly #scheduler: Scheduler
  readonly #cluster: SimCluster
  readonly #watch: ClusterWatch
  readonly #random: Prng
  readonly #actions: AimedActions
  /** At each step. */
  readonly #chance: number
  #active = false

  constructor(
    scheduler: Scheduler,
    cluster: SimCluster,
    watch: ClusterWatch,
    random: Prng,
    actions: AimedActions,
    chance: number,
  ) {
    this.#scheduler = scheduler
    this.#cluster = cluster
    this.#watch = watch
    this.#random = random
    this.#actions = actions
    this.#chance = chance
  }

  start(): void {
    this.#active = true
  }

  stop(): void {
    this.#active = false
  }

  onStep(step: MoveStep, move: MoveParties): void {
    if (!this.#active || !this.#random.chance(this.#chance)) return
    const victim = this.#random.pick(VICTIMS)
    // At once, or while the step's first consequences are on their way.
    const delayMs = this.#random.chance(0.5) ? 0 : this.#random.unit() * 30
    this.#scheduler.after(delayMs, `aimed at ${step}`, () => {
      if (!this.#active) return
      if (!strike(victim, move, this.#cluster, this.#watch, this.#random, this.#actions)) return
      this.#count(`aimed ${step}`)
      this.#count(`aimed ${victim}`)
    })
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }
}
