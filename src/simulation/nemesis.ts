/**
 * What is done to the cluster, by the seed: each run draws its own set of faults and their rates (a swarm: Groce et al. 2012), so that
 * rare combinations get runs of their own. Keeps count of what it did.
 */
import type { GroupId } from '../base/brand.ts'
import type { Prng } from '../base/prng.ts'
import { LeaderHunt } from './leader-hunt.ts'
import { MembershipChurn } from './membership-churn.ts'
import type { Scheduler } from './scheduler.ts'
import type { SimCluster, SimHost } from './sim-cluster.ts'

const KINDS = [
  'crash',
  'crashAll',
  'hunt',
  'pause',
  'isolate',
  'oneWay',
  'split',
  'heal',
  'reset',
  'lossy',
  'slow',
  'clockStep',
  'clockRate',
  'transfer',
  'member',
  'diskError',
] as const
/** With an operator about (operator.ts), members are its business; and disks may be slow or full. */
export const CLUSTER_FAULTS: readonly FaultKind[] = [
  ...KINDS.filter((kind) => kind !== 'member'),
  'diskFull',
  'diskSlow',
]
/** What a disk that is filled up has left, at most. */
const FREE_BYTES_MAX = 512 * 1024
/** What the simulated disk's errors say (sim-disk.ts). */
const SIMULATED_ERROR = '(simulated)'

export type FaultKind = (typeof KINDS)[number] | 'diskFull' | 'diskSlow'

export class Nemesis {
  readonly #counts: Record<string, number> = {}
  readonly #scheduler: Scheduler
  readonly #cluster: SimCluster
  readonly #random: Prng
  readonly #enabled: readonly FaultKind[]
  readonly #churn: MembershipChurn
  readonly #hunt: LeaderHunt
  #meanGapMs: number
  #active = false

  constructor(scheduler: Scheduler, cluster: SimCluster, kinds: readonly FaultKind[] = KINDS) {
    this.#scheduler = scheduler
    this.#cluster = cluster
    this.#random = scheduler.random.fork()
    const enabled = kinds.filter(() => this.#random.chance(0.6))
    this.#enabled = enabled.length > 0 ? [...enabled, 'crash'] : ['crash', 'isolate', 'heal']
    this.#churn = new MembershipChurn(scheduler, cluster, this.#random)
    this.#hunt = new LeaderHunt(scheduler, cluster, this.#random, {
      crash: (host, restartAfterMs) => this.#crash(host, restartAfterMs),
    })
    this.#meanGapMs = this.#random.between(400, 2_500)
  }

  get counts(): Record<string, number> {
    return { ...this.#counts, ...this.#hunt.counts }
  }

  get total(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0)
  }

  start(): void {
    this.#active = true
    this.#next()
  }

  onLeader(nodeId: number, group: GroupId): void {
    this.#hunt.onLeader(nodeId, group)
  }

  /** A leader has applied something. */
  onLeaderApplied(nodeId: number, group: GroupId): void {
    this.#hunt.onApplied(nodeId, group)
  }

  /** The cluster gets nothing done under this mixture: twice the pause between two faults from here on. */
  ease(): void {
    this.#meanGapMs *= 2
  }

  /** A node that ended itself comes back. True: it had to end, because of an error that we injected. */
  onNodeEnd(nodeId: number, message: string): boolean {
    this.#restartLater(this.#cluster.host(nodeId), this.#random.between(100, 3_000))
    return message.includes(SIMULATED_ERROR)
  }

  /** The end of all faults: everything runs, everything is connected. */
  stop(): void {
    this.#active = false
    this.#hunt.stop()
    this.#cluster.network.heal()
    this.#cluster.network.configure({
      frameDropProbability: 0,
      frameDuplicateProbability: 0,
      frameReorderProbability: 0,
      spikeProbability: 0,
    })
    for (const host of this.#cluster.hosts) {
      host.disk.clearFaults()
      host.disk.setCapacity(null)
      host.disk.setSlowSyncChance(null)
      host.clock.setRate(1)
      if (host.state === 'paused') this.#cluster.resume(host)
      else if (host.state === 'down') this.#cluster.start(host)
    }
  }

  #next(): void {
    const gapMs = this.#random.unit() * 2 * this.#meanGapMs
    this.#scheduler.after(gapMs, 'nemesis', () => {
      if (!this.#active) return
      const kind = this.#random.pick(this.#enabled)
      // All at once, again and again, and nobody would get anything done in between.
      if (kind !== 'crashAll' || this.#random.chance(0.25)) this.#do(kind)
      this.#next()
    })
  }

  #do(kind: FaultKind): void {
    const { network, hosts } = this.#cluster
    const host = this.#random.pick(hosts)
    const other = this.#random.pick(hosts.filter((one) => one !== host))
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1
    switch (kind) {
      case 'crash':
        return this.#crash(host)
      case 'crashAll':
        for (const one of hosts) this.#crash(one)
        return
      case 'hunt':
        return this.#hunt.begin()
      case 'pause':
        return this.#pause(host)
      case 'isolate':
        for (const one of hosts) if (one !== host) network.partition(host.nodeId, one.nodeId)
        return this.#healLater()
      case 'oneWay':
        network.partition(host.nodeId, other.nodeId, true)
        return this.#healLater()
      case 'split':
        network.partition(host.nodeId, other.nodeId)
        return this.#healLater()
      case 'heal':
        return network.heal()
      case 'reset':
        network.resetRandomConnection()
        return
      case 'lossy':
        network.configure({
          frameDropProbability: this.#random.unit() * 0.2,
          frameDuplicateProbability: this.#random.unit() * 0.2,
          frameReorderProbability: this.#random.unit() * 0.2,
        })
        return
      case 'slow':
        network.configure({ spikeProbability: this.#random.unit() * 0.1, spikeMaxMs: this.#random.between(10, 800) })
        return
      case 'clockStep':
        return host.clock.stepWall(this.#random.between(-4_000, 4_000))
      case 'clockRate':
        return host.clock.setRate(1 + (this.#random.unit() - 0.5) * 0.2)
      case 'transfer':
        return this.#transfer()
      case 'member':
        return this.#churn.begin()
      case 'diskError':
        return host.disk.failOnce(this.#random.pick(['write', 'sync']), 'io')
      case 'diskFull':
        return this.#fillDisk(host)
      case 'diskSlow':
        return this.#slowDisk(host)
    }
  }

  crash(host: SimHost): void {
    this.#crash(host)
  }

  #crash(host: SimHost, restartAfterMs = this.#drawOutageMs()): void {
    if (host.state === 'down') return
    if (host.state === 'paused') this.#cluster.resume(host)
    this.#cluster.crash(host)
    this.#restartLater(host, restartAfterMs)
  }

  #drawOutageMs(): number {
    return this.#random.chance(0.2) ? this.#random.between(3_000, 9_000) : this.#random.between(20, 2_500)
  }

  #restartLater(host: SimHost, delayMs: number): void {
    this.#scheduler.after(delayMs, `restart n${host.nodeId}`, () => {
      if (host.state === 'down') this.#cluster.start(host)
    })
  }

  #pause(host: SimHost): void {
    if (host.state !== 'up') return
    this.#cluster.pause(host)
    this.#scheduler.after(this.#random.between(50, 6_000), `resume n${host.nodeId}`, () => {
      if (host.state === 'paused') this.#cluster.resume(host)
    })
  }

  #healLater(): void {
    this.#scheduler.after(this.#random.between(100, 5_000), 'heal', () => this.#cluster.network.heal())
  }

  /** Somebody else's files, for a while. */
  #fillDisk(host: SimHost): void {
    host.disk.setCapacity(host.disk.usedBytes() + this.#random.below(FREE_BYTES_MAX))
    this.#scheduler.after(this.#random.between(500, 6_000), 'room again', () => host.disk.setCapacity(null))
  }

  #slowDisk(host: SimHost): void {
    host.disk.setSlowSyncChance(this.#random.pick([0.2, 0.9]))
    this.#scheduler.after(this.#random.between(500, 6_000), 'disk fast again', () => host.disk.setSlowSyncChance(null))
  }

  #transfer(): void {
    for (const { replica, host } of this.#cluster.replicas()) {
      if (!replica.isLeader || host.state !== 'up') continue
      const members = replica.core.membership.members.filter((member) => member.replicaId !== replica.replicaId)
      if (members.length === 0) continue
      replica.transferLeadership(this.#random.pick(members).replicaId)
      return
    }
  }
}
