import { describe, expect, it } from 'vitest'
import { parseResidentMiB } from '../process-size.ts'
import { idleRow, scaleRows, scaleTable } from './scale-report.ts'

const run = (cpuUsPerOp: number) => ({ opsPerSecond: 1000, cpuUsPerOp })

describe('scaleRows', () => {
  it('takes ratios round by round, of the same operation', () => {
    const rows = scaleRows([
      { groups: 1, operation: 'set', runs: [run(50), run(100), run(60)] },
      { groups: 4, operation: 'set', runs: [run(55), run(120), run(60)] },
      { groups: 1, operation: 'get', runs: [run(10)] },
    ])
    expect(rows[0].timesFewest).toEqual({ median: 1, min: 1, max: 1 })
    expect(rows[1].timesFewest).toEqual({ median: 1.1, min: 1, max: 1.2 })
    expect(rows[2].timesFewest.median).toBe(1)
    expect(
      scaleTable(rows, idleRow(1000, 20, [{ cpuPercentOfCore: 3, fileDescriptors: 3036, residentMiB: 400 }])),
    ).toContain('ulimit -n 3072')
  })
})

describe('idleRow', () => {
  it('tells the busiest node, and the limit above what is open', () => {
    const node = { cpuPercentOfCore: 2.5, fileDescriptors: 1024, residentMiB: 300.4 }
    const row = idleRow(1000, 20.01, [node, { ...node, cpuPercentOfCore: 4 }])
    expect(row).toMatchObject({ cpuPercentOfCoreMax: 4, fileDescriptorLimit: 2048, seconds: 20 })
  })
})

describe('parseResidentMiB', () => {
  it('reads VmRSS', () => {
    expect(parseResidentMiB('VmPeak:\t 10 kB\nVmRSS:\t  2048 kB\n')).toBe(2)
    expect(parseResidentMiB('')).toBeNaN()
  })
})
