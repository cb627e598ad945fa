/** From what a migration under load showed to its row. Pure. */
import { thousands } from '../report.ts'
import { median, percentile, rounded, type Spread, spread } from '../statistics.ts'
import { textTable } from '../table.ts'

export interface LoadWindow {
  readonly seconds: number
  readonly operations: number
  /** Of the paced clients, which wait for no answer before the next operation; in any order. */
  readonly latenciesMs: readonly number[]
}

export interface MigrationMeasured {
  /** Keys and their values in the slots that moved. */
  readonly movedKeys: number
  readonly movedBytes: number
  /** From the command to its end: every slot handed over and cleaned up behind. */
  readonly moveSeconds: number
  readonly before: readonly LoadWindow[]
  readonly during: readonly LoadWindow[]
  /** One a slot: see `longestGapMs`. */
  readonly pausesMs: readonly number[]
}

export interface MigrationRow {
  readonly scenario: 'migration'
  readonly movedMB: number
  readonly seconds: number
  readonly mbPerSecond: number
  readonly keysPerSecond: number
  readonly opsPerSecondBefore: Spread
  readonly opsPerSecondDuring: Spread
  readonly lossPercent: number
  readonly beforeMs: Latencies
  readonly duringMs: Latencies
  readonly handOverPauseMs: Spread & { readonly slots: number }
}

export interface Latencies {
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

const MEGABYTE = 1_000_000

export function migrationRow(measured: MigrationMeasured): MigrationRow {
  const { movedKeys, movedBytes, moveSeconds, before, during, pausesMs } = measured
  const opsBefore = totalRate(before)
  return {
    scenario: 'migration',
    movedMB: rounded(movedBytes / MEGABYTE, 3),
    seconds: rounded(moveSeconds, 3),
    mbPerSecond: rounded(movedBytes / MEGABYTE / moveSeconds, 3),
    keysPerSecond: Math.round(movedKeys / moveSeconds),
    opsPerSecondBefore: rates(before),
    opsPerSecondDuring: rates(during),
    lossPercent: rounded((1 - totalRate(during) / opsBefore) * 100, 3),
    beforeMs: latenciesOf(before),
    duringMs: latenciesOf(during),
    handOverPauseMs: { ...threeDigits(spread(pausesMs)), slots: pausesMs.length },
  }
}

/** The longest time between two neighbouring completions of a client that always has one operation under way. At least two. */
export function longestGapMs(completedAtMs: readonly number[]): number {
  let longest = 0
  for (let i = 1; i < completedAtMs.length; i++) longest = Math.max(longest, completedAtMs[i] - completedAtMs[i - 1])
  return longest
}

function totalRate(windows: readonly LoadWindow[]): number {
  const sum = (pick: (window: LoadWindow) => number): number =>
    windows.reduce((total, window) => total + pick(window), 0)
  return sum((window) => window.operations) / sum((window) => window.seconds)
}

function rates(windows: readonly LoadWindow[]): Spread {
  return threeDigits(spread(windows.map(({ operations, seconds }) => operations / seconds)))
}

function latenciesOf(windows: readonly LoadWindow[]): Latencies {
  const sorted = Float64Array.from(windows.flatMap((window) => window.latenciesMs)).sort()
  const [p50, p99, p999] = [50, 99, 99.9].map((percent) => rounded(percentile(sorted, percent), 3))
  return { p50, p99, p999 }
}

function threeDigits({ median: middle, min, max }: Spread): Spread {
  return { median: rounded(middle, 3), min: rounded(min, 3), max: rounded(max, 3) }
}

export function migrationTable(rows: readonly MigrationRow[]): string {
  const titles = [
    'moved MB',
    'seconds',
    'MB/s',
    'keys/s',
    'ops/s before',
    'during',
    'loss %',
    'p50/p99/p99.9 ms before',
    'during',
  ]
  const cells = rows.map((row) => [
    ...[`${row.movedMB}`, `${row.seconds}`, `${row.mbPerSecond}`, thousands(row.keysPerSecond)],
    ...[thousands(row.opsPerSecondBefore.median), thousands(row.opsPerSecondDuring.median), `${row.lossPercent}`],
    ...[row.beforeMs, row.duringMs].map(({ p50, p99, p999 }) => `${p50}/${p99}/${p999}`),
  ])
  const pauses = rows.map(({ handOverPauseMs: pause }) => pause.median)
  const { slots, min, max } = rows[0].handOverPauseMs
  return (
    `${textTable([...titles], cells)}\n` +
    `hand-over pause of a slot, otherwise idle: median ${median(pauses)} ms (${min}-${max}, ${slots} slots)`
  )
}
