/**
 * Bad luck with a purpose: while a hunt is on, something happens to whoever is elected, in the moments in which published systems had their
 * bugs. Chance alone meets these schedules once in hundreds of runs.
 */
import type { GroupId } from '../base/brand.ts'
import type { Prng } from '../base/prng.ts'
import type { Scheduler } from './scheduler.ts'
import type { SimCluster, SimHost } from './sim-cluster.ts'

/**
 * `kill`: a new leader dies moments after its election.
 * `branch`: the schedule of the paper's figure 8. One leader is cut off with its first entry, then the next with its own; the one elected
 * after them is cut off right after it has applied something, and everybody else is connected again.
 * `forget`: a new leader is cut off while those who elected it crash and come back at once, without what they had not synced.
 */
const STYLES = ['kill', 'branch', 'forget'] as const
type Style = (typeof STYLES)[number]
/** Of a figure 8: how many leaders are cut off before the one that may replicate. */
const BRANCHES = 2

export interface HuntActions {
  crash(host: SimHost, restartAfterMs: number): void
}

export class LeaderHunt {
  readonly counts: Record<string, number> = {}
  readonly #scheduler: Scheduler
  readonly #cluster: SimCluster
  readonly #random: Prng
  readonly #actions: HuntActions
  #style: Style = 'kill'
  #untilMs = 0
  #reactionMs = 0
  #group = 0
  #branches = 0
  /** Branching: the leader that is cut off when it applies something. */
  #marked: number | null = null

  constructor(scheduler: Scheduler, cluster: SimCluster, random: Prng, actions: HuntActions) {
    this.#scheduler = scheduler
    this.#cluster = cluster
    this.#random = random
    this.#actions = actions
  }

  begin(): void {
    this.#style = this.#random.pick(STYLES)
    this.#untilMs = this.#scheduler.nowMs + this.#random.between(5_000, 15_000)
    this.#reactionMs = this.#random.pick([3, 10, 40])
    this.#group = this.#random.between(1, this.#cluster.groupCount)
    this.#branches = 0
    this.#marked = null
  }

  stop(): void {
    this.#untilMs = 0
  }

  onLeader(nodeId: number, group: GroupId): void {
    if (!this.#isOn || group !== this.#group) return
    const host = this.#cluster.host(nodeId)
    switch (this.#style) {
      case 'kill':
        return this.#later(this.#random.unit() * this.#reactionMs, () => this.#kill(host))
      case 'branch':
        if (this.#branches++ < BRANCHES) this.#later(0, () => this.#cutOffAlone(host))
        else this.#marked = nodeId
        return
      case 'forget':
        return this.#later(0, () => {
          this.#cutOff(host)
          for (const other of this.#cluster.hosts) if (other !== host) this.#blink(other)
        })
    }
  }

  onApplied(nodeId: number, group: GroupId): void {
    if (!this.#isOn || group !== this.#group || nodeId !== this.#marked) return
    this.#marked = null
    this.#branches = 0
    this.#later(0, () => this.#cutOffAlone(this.#cluster.host(nodeId)))
  }

  get #isOn(): boolean {
    return this.#scheduler.nowMs < this.#untilMs
  }

  #later(delayMs: number, act: () => void): void {
    this.#scheduler.after(delayMs, 'hunt', () => {
      if (this.#isOn) act()
    })
  }

  #kill(host: SimHost): void {
    if (host.state === 'down') return
    this.#count('huntKill')
    this.#actions.crash(host, this.#random.between(20, 2_500))
  }

  #blink(host: SimHost): void {
    if (host.state === 'down') return
    this.#count('huntBlink')
    this.#actions.crash(host, this.#random.between(1, 30))
  }

  /** Whoever was cut off before is back. */
  #cutOffAlone(host: SimHost): void {
    this.#cluster.network.heal()
    this.#cutOff(host)
  }

  #cutOff(host: SimHost): void {
    const { network, hosts } = this.#cluster
    const others = hosts.filter((one) => one !== host)
    this.#count('huntCutOff')
    for (const other of others) network.partition(host.nodeId, other.nodeId)
    this.#scheduler.after(this.#random.between(800, 4_000), 'hunt heals', () => {
      for (const other of others) network.healPair(host.nodeId, other.nodeId)
    })
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }
}
