/** From what was measured at each number of groups to rows and tables. Pure. */
import { roundedSpread, thousands } from '../report.ts'
import { rounded, type Spread, spread } from '../statistics.ts'
import { textTable } from '../table.ts'

export interface ScaleRun {
  readonly opsPerSecond: number
  /** Of all three nodes. */
  readonly cpuUsPerOp: number
}

/** The same position in two clusters' lists is the same round. */
export interface ScaleMeasured {
  readonly groups: number
  readonly operation: 'set' | 'get'
  readonly runs: readonly ScaleRun[]
}

export interface ScaleRow {
  readonly scenario: 'scale'
  readonly operation: 'set' | 'get'
  readonly groups: number
  readonly cpuUsPerOp: Spread
  /** CPU per operation over that of the fewest groups in the same round. */
  readonly timesFewest: Spread
  readonly opsPerSecond: Spread
  readonly rounds: number
}

export interface IdleNode {
  readonly cpuPercentOfCore: number
  readonly fileDescriptors: number
  readonly residentMiB: number
}

export interface IdleRow {
  readonly scenario: 'scale-idle'
  readonly groups: number
  readonly seconds: number
  readonly nodes: readonly IdleNode[]
  readonly cpuPercentOfCoreMax: number
  /** The soft limit (`ulimit -n`) that a node needs: what it holds at most, clients apart, to the next 1,024. */
  readonly fileDescriptorLimit: number
}

const LIMIT_STEP = 1024

export function scaleRows(measured: readonly ScaleMeasured[]): ScaleRow[] {
  return measured.map(({ groups, operation, runs }) => {
    const same = measured.filter((other) => other.operation === operation)
    const fewest = same.reduce((least, other) => (other.groups < least.groups ? other : least))
    return {
      scenario: 'scale',
      operation,
      groups,
      cpuUsPerOp: threeDigits(spread(runs.map((run) => run.cpuUsPerOp))),
      timesFewest: threeDigits(spread(runs.map((run, round) => run.cpuUsPerOp / fewest.runs[round].cpuUsPerOp))),
      opsPerSecond: roundedSpread(spread(runs.map((run) => run.opsPerSecond))),
      rounds: runs.length,
    }
  })
}

export function idleRow(groups: number, seconds: number, nodes: readonly IdleNode[]): IdleRow {
  const most = Math.max(...nodes.map((node) => node.fileDescriptors))
  return {
    scenario: 'scale-idle',
    groups,
    seconds: rounded(seconds, 3),
    nodes: nodes.map(({ cpuPercentOfCore, fileDescriptors, residentMiB }) => ({
      cpuPercentOfCore: rounded(cpuPercentOfCore, 3),
      fileDescriptors,
      residentMiB: Math.round(residentMiB),
    })),
    cpuPercentOfCoreMax: rounded(Math.max(...nodes.map((node) => node.cpuPercentOfCore)), 3),
    fileDescriptorLimit: Math.ceil((most + 1) / LIMIT_STEP) * LIMIT_STEP,
  }
}

function threeDigits({ median, min, max }: Spread): Spread {
  return { median: rounded(median, 3), min: rounded(min, 3), max: rounded(max, 3) }
}

export function scaleTable(rows: readonly ScaleRow[], idle: IdleRow): string {
  const load = textTable(
    ['operation', 'groups', 'server us/op', 'range', 'times fewest', 'range', 'operations/s'],
    rows.map(({ operation, groups, cpuUsPerOp, timesFewest, opsPerSecond }) => [
      ...[operation, `${groups}`, `${cpuUsPerOp.median}`, `${cpuUsPerOp.min}-${cpuUsPerOp.max}`],
      ...[timesFewest.median.toFixed(2), `${timesFewest.min.toFixed(2)}-${timesFewest.max.toFixed(2)}`],
      thousands(opsPerSecond.median),
    ]),
  )
  const nodes = textTable(
    ['node', 'idle CPU, % of a core', 'file descriptors', 'resident MiB'],
    idle.nodes.map((node, i) => [
      ...[`${i + 1}`, `${node.cpuPercentOfCore}`, `${node.fileDescriptors}`, `${node.residentMiB}`],
    ]),
  )
  return `${load}\n\n${idle.groups} groups, idle for ${idle.seconds} s; needs ulimit -n ${idle.fileDescriptorLimit}\n${nodes}`
}
