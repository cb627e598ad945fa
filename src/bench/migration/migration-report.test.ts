import { describe, expect, it } from 'vitest'
import { longestGapMs, type MigrationMeasured, migrationRow, migrationTable } from './migration-report.ts'
import { movedData, parseSlotTable } from './study-migration.ts'

const MEASURED: MigrationMeasured = {
  movedKeys: 100_000,
  movedBytes: 100_000_000,
  moveSeconds: 4,
  before: [
    { seconds: 1, operations: 10_000, latenciesMs: [1, 2, 3] },
    { seconds: 1, operations: 12_000, latenciesMs: [4] },
  ],
  during: [{ seconds: 2, operations: 16_500, latenciesMs: [9, 5] }],
  pausesMs: [3, 9, 4],
}

describe('migrationRow', () => {
  it('gives speed, loss and pauses', () => {
    expect(migrationRow(MEASURED)).toMatchObject({
      mbPerSecond: 25,
      keysPerSecond: 25_000,
      opsPerSecondBefore: { median: 11_000, min: 10_000, max: 12_000 },
      lossPercent: 25,
      beforeMs: { p50: 2, p99: 4, p999: 4 },
      duringMs: { p50: 5, p99: 9 },
      handOverPauseMs: { median: 4, min: 3, max: 9, slots: 3 },
    })
    expect(migrationTable([migrationRow(MEASURED)])).toContain('median 4 ms (3-9, 3 slots)')
  })
})

describe('longestGapMs', () => {
  it('is the longest between neighbours', () => {
    expect(longestGapMs([10, 11, 31, 32])).toBe(20)
  })
})

describe('movedData', () => {
  it('counts what lies in the ranges', () => {
    const first = movedData(5_000, 1024, [[0, 511, 1]])
    const second = movedData(5_000, 1024, [[512, 1023, 2]])
    expect(first.movedKeys + second.movedKeys).toBe(5_000)
    expect(first.movedBytes).toBe(first.movedKeys * (12 + 1024))
    expect(first.movedKeys).toBeGreaterThan(2_000)
  })
})

describe('parseSlotTable', () => {
  it('names what it cannot read', () => {
    expect(parseSlotTable({ version: 1, slotCount: 4, ranges: [[0, 3, 1]] }).slotCount).toBe(4)
    expect(() => parseSlotTable({ error: {} })).toThrow('{"error":{}}')
  })
})
