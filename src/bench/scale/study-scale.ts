/**
 * `scale`: what a group costs. CPU of the nodes per operation with 1, 4, 16 and 64 groups under the same load, in interleaved rounds; and of a cluster
 * with 1,000 groups (quick: 200) in which nothing happens, CPU, file descriptors and memory of each node.
 *
 * The load comes in at all three nodes in equal parts whatever the number of groups, so that in each cluster about two thirds of the operations
 * are passed on to another node: what differs is the number of groups alone.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { startDevCluster } from '../dev-cluster.ts'
import type { BenchOptions } from '../options.ts'
import { cpuUsOf } from '../process-cpu.ts'
import { sizeOf } from '../process-size.ts'
import type { LoadShape } from '../scenarios.ts'
import { QuorateSystem } from '../systems/quorate.ts'
import { runRedisBenchmark } from '../systems/redis.ts'
import type { Study } from '../table.ts'
import type { Workshop } from '../workshop.ts'
import { type IdleRow, idleRow, type ScaleMeasured, type ScaleRun, scaleRows, scaleTable } from './scale-report.ts'

const GROUP_COUNTS = [1, 4, 16, 64]
const IDLE_GROUPS = 1_000
const IDLE_GROUPS_QUICK = 200
/** A connection at each node... */
const CONNECTIONS_PER_NODE = 16
const PIPELINE = 16
const WARM_UP_OPERATIONS = 30_000
/** Longer than any group takes to come to rest, and the masters to have reported everything. */
const SETTLE_MS = 20_000
const IDLE_MS = 20_000

type Say = (text: string) => void

export async function studyScale(workshop: Workshop, options: BenchOptions, say: Say): Promise<Study> {
  // First and alone: the others would take its core.
  const idle = await measureIdle(workshop, options.quick ? IDLE_GROUPS_QUICK : IDLE_GROUPS, say)
  const systems: QuorateSystem[] = []
  for (const groups of GROUP_COUNTS) {
    const system = new QuorateSystem(workshop, groups)
    say(`starting ${system.name}`)
    await system.start()
    systems.push(system)
  }
  const measured: ScaleMeasured[] = []
  for (const operation of ['set', 'get'] as const)
    measured.push(...(await measureLoad(workshop, systems, operation, options, say)))
  const rows = scaleRows(measured)
  return { rows: [...rows, idle], table: scaleTable(rows, idle) }
}

async function measureLoad(
  workshop: Workshop,
  systems: readonly QuorateSystem[],
  operation: 'set' | 'get',
  options: BenchOptions,
  say: Say,
): Promise<ScaleMeasured[]> {
  const measured = systems.map((_, i) => ({ groups: GROUP_COUNTS[i], operation, runs: [] as ScaleRun[] }))
  const rates: number[] = []
  for (const system of systems) rates.push((await drive(workshop, system, operation, WARM_UP_OPERATIONS)).opsPerSecond)
  for (let round = 1; round <= options.rounds; round++) {
    for (let i = 0; i < systems.length; i++) {
      const run = await drive(workshop, systems[i], operation, rates[i] * options.secondsPerRun)
      rates[i] = run.opsPerSecond
      measured[i].runs.push(run)
      say(
        `scale ${operation} round ${round}/${options.rounds}, ${GROUP_COUNTS[i]} groups: ` +
          `${run.cpuUsPerOp.toFixed(1)} us/op, ${Math.round(run.opsPerSecond)}/s`,
      )
    }
  }
  return measured
}

async function drive(
  workshop: Workshop,
  system: QuorateSystem,
  operation: 'set' | 'get',
  operations: number,
): Promise<ScaleRun> {
  const ports = system.respPorts()
  const shape: LoadShape = { scenario: operation, operation, connections: CONNECTIONS_PER_NODE, pipeline: PIPELINE }
  const each = Math.max(CONNECTIONS_PER_NODE * PIPELINE, Math.round(operations / ports.length))
  const pids = system.serverPids()
  const cpuBefore = cpuUsOf(pids)
  const startedMs = performance.now()
  await Promise.all(ports.map((port) => runRedisBenchmark(workshop, port, shape, each)))
  const seconds = (performance.now() - startedMs) / 1000
  const done = each * ports.length
  return { opsPerSecond: done / seconds, cpuUsPerOp: (cpuUsOf(pids) - cpuBefore) / done }
}

async function measureIdle(workshop: Workshop, groups: number, say: Say): Promise<IdleRow> {
  say(`starting a cluster of ${groups} groups`)
  const cluster = await startDevCluster(workshop, `idle-${groups}-groups`, groups)
  const pids = cluster.nodes.map((node) => node.pid)
  await delay(SETTLE_MS)
  const before = pids.map((pid) => cpuUsOf([pid]))
  const startedMs = performance.now()
  await delay(IDLE_MS)
  const seconds = (performance.now() - startedMs) / 1000
  const nodes = pids.map((pid, i) => ({
    cpuPercentOfCore: (cpuUsOf([pid]) - before[i]) / seconds / 10_000,
    ...sizeOf(pid),
  }))
  await workshop.stopServer(`idle-${groups}-groups`)
  return idleRow(groups, seconds, nodes)
}
