/**
 * The measuring: for each shape of load, every system in turn, round after round (Q, E, R, Q, E, R...), so that whatever
 * else the machine does hits all of them. Before that each system is warmed up with the same load, which also tells how
 * many operations fill a round.
 */
import { cpuUsOf, endedChildrenCpuUs } from './process-cpu.ts'
import type { LoadShape } from './scenarios.ts'
import type { LoadResult, System } from './system.ts'

export interface RoundPlan {
  readonly rounds: number
  /** About how long each system is measured in each round. */
  readonly secondsPerRun: number
}

export interface Measurement extends LoadResult {
  readonly opsPerSecond: number
  /** Of all server processes. */
  readonly cpuUsPerOp: number
  readonly generatorCpuUsPerOp: number
}

export interface Measured {
  readonly shape: LoadShape
  readonly system: System
  /** One for each round; the same position in two systems' lists is the same round. */
  readonly measurements: readonly Measurement[]
}

const WARM_UP_SECONDS = 0.5
/** The first guess is small, as the slowest systems take long for it. */
const FIRST_GUESS_PER_CONNECTION = 10
const MAX_OPERATIONS_PER_RUN = 10_000_000

export async function measureShape(
  shape: LoadShape,
  systems: readonly System[],
  plan: RoundPlan,
  say: (text: string) => void,
): Promise<Measured[]> {
  const taking = systems.filter((system) => system.supports(shape))
  const rates: number[] = []
  for (const system of taking) rates.push(await warmUp(shape, system))
  const measured = taking.map((system) => ({ shape, system, measurements: [] as Measurement[] }))
  for (let round = 1; round <= plan.rounds; round++) {
    for (let i = 0; i < taking.length; i++) {
      const measurement = await measure(shape, taking[i], operationsFor(shape, rates[i], plan.secondsPerRun))
      measured[i].measurements.push(measurement)
      rates[i] = measurement.opsPerSecond
      say(
        `${shape.scenario} ${shape.connections}x${shape.pipeline} round ${round}/${plan.rounds} ` +
          `${taking[i].name}: ${Math.round(measurement.opsPerSecond)}/s`,
      )
    }
  }
  return measured
}

async function warmUp(shape: LoadShape, system: System): Promise<number> {
  const guess = await system.run(shape, shape.connections * shape.pipeline * FIRST_GUESS_PER_CONNECTION)
  const operations = operationsFor(shape, guess.operations / guess.seconds, WARM_UP_SECONDS)
  const warm = await system.run(shape, operations)
  return warm.operations / warm.seconds
}

async function measure(shape: LoadShape, system: System, operations: number): Promise<Measurement> {
  const pids = system.serverPids()
  const serverBefore = cpuUsOf(pids)
  const generatorBefore = endedChildrenCpuUs()
  const result = await system.run(shape, operations)
  return {
    ...result,
    opsPerSecond: result.operations / result.seconds,
    cpuUsPerOp: (cpuUsOf(pids) - serverBefore) / result.operations,
    generatorCpuUsPerOp: (endedChildrenCpuUs() - generatorBefore) / result.operations,
  }
}

/** A whole number of batches for each connection. */
export function operationsFor(shape: LoadShape, opsPerSecond: number, seconds: number): number {
  const batch = shape.connections * shape.pipeline
  const batches = Math.max(1, Math.round((opsPerSecond * seconds) / batch))
  return Math.min(batches * batch, MAX_OPERATIONS_PER_RUN)
}
