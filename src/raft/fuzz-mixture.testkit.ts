/** What goes wrong in one seed of the fuzz, and how often: drawn from the seed. */
import type { ReplicaId } from '../base/brand.ts'
import type { Prng } from '../base/prng.ts'
import type { RaftConfig } from './ready.ts'

/** A swarm: each seed has its own mixture of what goes wrong (design: simulation must be believed). */
export interface Mixture {
  readonly replicas: number
  readonly lossChance: number
  readonly doubleChance: number
  readonly reorderChance: number
  readonly syncWeight: number
  readonly tickWeight: number
  readonly crashWeight: number
  readonly partitionWeight: number
  readonly memberWeight: number
  readonly transferWeight: number
  readonly checkpointWeight: number
  readonly readWeight: number
  readonly proposeWeight: number
  readonly campaignWeight: number
  /** Against whoever leads: elections follow fast on one another, and logs branch. */
  readonly strikeWeight: number
  readonly recoverWeight: number
  readonly pauseWeight: number
  /** Crashes with an immediate restart: what was not synced is gone, and the replica votes on. */
  readonly blinkWeight: number
  /** Of the ticks that a replica is due, how many it gets: clocks that differ. */
  readonly slowestClock: number
  readonly smallMessages: boolean
}

export function configOf(replicaId: ReplicaId, random: Prng, mixture: Mixture): RaftConfig {
  return {
    replicaId,
    heartbeatTicks: 1,
    electionTicksMin: 5,
    electionTicksMax: random.between(8, 12),
    maxInflightMessages: random.between(1, 6),
    maxInflightBytes: random.between(20, 400),
    maxMessageBytes: mixture.smallMessages ? 1 : random.between(10, 100),
    maxEntryBytes: 1000,
    maxUncommittedBytes: random.between(100, 2000),
    maxApplyBytes: random.between(20, 500),
    maxPendingReads: 20,
  }
}

/** Leaders die young, one entry a message, logs branch: the schedules of the paper's figure 8. */
export const FIGURE_8: Partial<Mixture> = {
  replicas: 5,
  lossChance: 0,
  doubleChance: 0,
  reorderChance: 0,
  syncWeight: 30,
  tickWeight: 20,
  crashWeight: 0,
  partitionWeight: 0,
  memberWeight: 0,
  transferWeight: 0,
  checkpointWeight: 0,
  campaignWeight: 0,
  strikeWeight: 10,
  recoverWeight: 6,
  pauseWeight: 0,
  blinkWeight: 0,
  smallMessages: true,
  proposeWeight: 15,
  readWeight: 0,
  slowestClock: 1,
}

/** Each fault is on in some seeds and off in others, and one seed in two is a storm of elections. */
export function drawMixture(random: Prng): Mixture {
  const often = (chance: number, low: number, high: number): number =>
    random.chance(chance) ? low + random.unit() * (high - low) : 0
  const storm = random.chance(0.5)
  return {
    replicas: random.between(3, 5),
    lossChance: often(0.6, 0, 0.1),
    doubleChance: often(0.5, 0, 0.1),
    reorderChance: often(0.6, 0, 0.5),
    syncWeight: random.pick([10, 30, 80]),
    tickWeight: random.pick([10, 20, 40]),
    crashWeight: often(0.8, 0.1, storm ? 1 : 0.4),
    partitionWeight: often(0.8, 0.1, storm ? 0.8 : 0.4),
    memberWeight: storm ? often(0.4, 0.5, 4) : often(0.6, 0.5, 3),
    transferWeight: often(0.4, 0.1, 0.6),
    checkpointWeight: often(0.5, 0.2, 2),
    readWeight: random.pick([2, 8]),
    proposeWeight: random.pick([3, 10]),
    recoverWeight: random.pick([2, 6]),
    blinkWeight: storm ? often(0.8, 0.5, 5) : often(0.3, 0.1, 0.5),
    campaignWeight: storm ? often(0.8, 0.5, 4) : often(0.3, 0.1, 0.5),
    strikeWeight: storm ? often(0.8, 0.5, 12) : 0,
    pauseWeight: storm ? 0.3 + random.unit() : often(0.5, 0.1, 0.5),
    slowestClock: random.pick([1, 0.5, 0.1]),
    smallMessages: random.chance(0.5),
  }
}
