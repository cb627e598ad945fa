/** From measurements to rows, and from rows to the table for people. */
import type { Measured } from './rounds.ts'
import type { ScenarioName } from './scenarios.ts'
import { median, rounded, type Spread, spread } from './statistics.ts'
import { textTable } from './table.ts'

export interface Row {
  readonly scenario: ScenarioName
  readonly system: string
  readonly connections: number
  readonly pipeline: number
  readonly opsPerSecond: Spread
  /** Medians over the rounds, as are the next three. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuUsPerOp: number
  readonly generatorCpuUsPerOp: number
  readonly generator: string
  readonly rounds: number
  readonly operations: number
  /**
   * On rows of Quorate: its operations per second over each peer's in the same round; the median of the rounds. Against a
   * peer that another generator drives, by Quorate's own figures with that generator where there are any.
   */
  readonly ratio: Readonly<Record<string, number>>
  readonly ratioRange: Readonly<Record<string, { readonly min: number; readonly max: number }>>
}

/** `measured`: of one shape, all systems. */
export function rowsOf(measured: readonly Measured[]): Row[] {
  return measured.map((own) => {
    const peers = isOurs(own) ? measured.filter((other) => !isOurs(other)) : []
    const ratios = peers.map(
      (peer) => [peer.system.name, spread(roundRatios(sameGenerator(own, peer, measured), peer))] as const,
    )
    const of = (pick: (m: Measured['measurements'][number]) => number): number =>
      rounded(median(own.measurements.map(pick)))
    return {
      scenario: own.shape.scenario,
      system: own.system.name,
      connections: own.shape.connections,
      pipeline: own.shape.pipeline,
      opsPerSecond: roundedSpread(spread(own.measurements.map((m) => m.opsPerSecond))),
      p50Ms: of((m) => m.p50Ms),
      p99Ms: of((m) => m.p99Ms),
      cpuUsPerOp: of((m) => m.cpuUsPerOp),
      generatorCpuUsPerOp: of((m) => m.generatorCpuUsPerOp),
      generator: own.system.generator,
      rounds: own.measurements.length,
      operations: own.measurements.reduce((sum, m) => sum + m.operations, 0),
      ratio: Object.fromEntries(ratios.map(([peer, ratio]) => [peer, rounded(ratio.median, 3)])),
      ratioRange: Object.fromEntries(
        ratios.map(([peer, ratio]) => [peer, { min: rounded(ratio.min, 3), max: rounded(ratio.max, 3) }]),
      ),
    }
  })
}

function isOurs(measured: Measured): boolean {
  return measured.system.name.startsWith('quorate')
}

/** Our measurement to hold against a peer's: the one made by the same generator, where it is of the same cluster. */
function sameGenerator(own: Measured, peer: Measured, measured: readonly Measured[]): Measured {
  const cluster = own.system.serverPids()
  const twin = measured.find(
    (other) =>
      isOurs(other) && other.system.generator === peer.system.generator && other.system.serverPids()[0] === cluster[0],
  )
  return twin ?? own
}

function roundRatios(own: Measured, peer: Measured): number[] {
  return own.measurements.map((m, round) => m.opsPerSecond / peer.measurements[round].opsPerSecond)
}

export function roundedSpread(full: Spread): Spread {
  return { median: Math.round(full.median), min: Math.round(full.min), max: Math.round(full.max) }
}

const COLUMNS: ReadonlyArray<readonly [title: string, cell: (row: Row) => string]> = [
  ['scenario', (row) => row.scenario],
  ['load', (row) => `${row.connections}x${row.pipeline}`],
  ['system', (row) => row.system],
  ['operations/s', (row) => thousands(row.opsPerSecond.median)],
  ['range', (row) => `${thousands(row.opsPerSecond.min)}-${thousands(row.opsPerSecond.max)}`],
  ['p50 ms', (row) => String(rounded(row.p50Ms, 3))],
  ['p99 ms', (row) => String(rounded(row.p99Ms, 3))],
  ['server us/op', (row) => String(rounded(row.cpuUsPerOp, 3))],
  ['generator us/op', (row) => String(rounded(row.generatorCpuUsPerOp, 3))],
  [
    'times',
    (row) =>
      Object.entries(row.ratio)
        .map(([peer, ratio]) => `${peer} ${ratio.toFixed(2)}`)
        .join(', '),
  ],
]

export function tableOf(rows: readonly Row[]): string {
  return textTable(
    COLUMNS.map(([title]) => title),
    rows.map((row) => COLUMNS.map(([, cell]) => cell(row))),
  )
}

export function thousands(value: number): string {
  return value >= 10_000 ? `${(value / 1000).toFixed(1)}k` : String(value)
}
