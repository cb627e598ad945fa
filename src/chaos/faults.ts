/** The faults that a chaos run makes, each from a settled cluster to one that is whole again, with the time without writes. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Prng } from '../base/prng.ts'
import type { DevCluster } from './dev-cluster.ts'
import { eventually } from './eventually.ts'
import type { WriteWatch } from './write-watch.ts'

export const FAULT_NAMES = ['kill', 'pause', 'restart-all'] as const
export type FaultName = (typeof FAULT_NAMES)[number]

/** Named in the interfaces, not built yet. */
export const PLANNED_FAULT_NAMES: readonly string[] = [
  'partition',
  'move',
  'member',
  'weight',
  'transfer',
  'disk',
  'corrupt',
  'clock',
  'zookeeper',
]

export interface FaultScene {
  readonly cluster: DevCluster
  /** Told of the writes of a load that runs all the while. */
  readonly watch: WriteWatch
  readonly random: Prng
}

/** A group that takes no write for so long, with a majority up, is stuck. */
const STUCK_AFTER_MS = 30_000

/** Ends when the cluster is whole; the milliseconds without writes. Throws where it stays broken. */
export async function makeFault(fault: FaultName, scene: FaultScene): Promise<number> {
  await scene.cluster.settled()
  switch (fault) {
    case 'kill':
      return killLeader(scene, scene.random.between(0, 2_000))
    case 'pause':
      return pauseLeader(scene, scene.random.between(500, 6_000))
    case 'restart-all':
      return restartAll(scene)
  }
}

/** SIGKILL of the leader of some group; started again `downMs` after the groups that it led write again. */
export async function killLeader(scene: FaultScene, downMs: number): Promise<number> {
  const { cluster } = scene
  const { nodeId, groups } = await someLeader(scene)
  const atMs = performance.now()
  const gone = cluster.kill(nodeId)
  const resumed = resumption(scene, `the kill of node ${nodeId}`, groups, atMs)
  const [unavailableMs] = await Promise.all([resumed, gone])
  await delay(downMs)
  await cluster.restart(nodeId)
  return unavailableMs
}

/** SIGSTOP of the leader of some group, for `pauseMs`: it comes back believing that it leads. */
export async function pauseLeader(scene: FaultScene, pauseMs: number): Promise<number> {
  const { cluster } = scene
  const { nodeId, groups } = await someLeader(scene)
  const atMs = performance.now()
  cluster.pause(nodeId)
  try {
    const paused = delay(pauseMs)
    const resumed = resumption(scene, `the pause of node ${nodeId}`, groups, atMs)
    // A short pause may be over before anybody else leads: then the paused leader itself goes on.
    await paused
    cluster.resume(nodeId)
    return await resumed
  } finally {
    cluster.resume(nodeId)
  }
}

/** SIGKILL of all nodes at once; all started again at once. The time without writes holds the restart. */
export async function restartAll(scene: FaultScene): Promise<number> {
  const { cluster } = scene
  const atMs = performance.now()
  await Promise.all(cluster.nodeIds.map((nodeId) => cluster.kill(nodeId)))
  const groups = cluster.ready.groups.map(({ id }) => id)
  const resumed = resumption(scene, 'the kill of all nodes', groups, atMs)
  await Promise.all([resumed, ...cluster.nodeIds.map((nodeId) => cluster.restart(nodeId))])
  return resumed
}

/** A node that leads, and the groups that it leads. */
async function someLeader({ cluster, random }: FaultScene): Promise<{ nodeId: number; groups: number[] }> {
  const group = random.pick(cluster.ready.groups)
  return eventually(`a leader of group ${group.id}`, STUCK_AFTER_MS, async () => {
    const leaders = await cluster.leaders()
    const nodeId = leaders.get(group.id)
    if (nodeId === undefined) return null
    return { nodeId, groups: [...leaders.keys()].filter((groupId) => leaders.get(groupId) === nodeId) }
  })
}

async function resumption(
  { watch }: FaultScene,
  what: string,
  groups: readonly number[],
  atMs: number,
): Promise<number> {
  const unavailableMs = await watch.resumption(groups, atMs, STUCK_AFTER_MS)
  if (unavailableMs === null) {
    throw new Error(`no write of groups ${groups.join(', ')} within ${STUCK_AFTER_MS} ms of ${what}`)
  }
  return unavailableMs
}
