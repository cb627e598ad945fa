import { describe, expect, it } from 'vitest'
import { rowsOf, tableOf } from './report.ts'
import { type Measured, measureShape, operationsFor } from './rounds.ts'
import type { LoadShape } from './scenarios.ts'
import type { System } from './system.ts'

const SHAPE: LoadShape = { scenario: 'set', operation: 'set', connections: 50, pipeline: 1 }

function system(name: string, generator: string, opsPerSecond = 1000, runs: string[] = []): System {
  return {
    name,
    generator,
    supports: (shape) => name !== 'redis-wait' || shape.operation === 'set',
    start: () => Promise.resolve(),
    serverPids: () => [process.pid],
    run: (_, operations) => {
      runs.push(name)
      return Promise.resolve({ operations, seconds: operations / opsPerSecond, p50Ms: 1, p99Ms: 2 })
    },
  }
}

function measured(name: string, generator: string, rates: readonly number[]): Measured {
  return {
    shape: SHAPE,
    system: system(name, generator),
    measurements: rates.map((opsPerSecond, i) => ({
      opsPerSecond,
      operations: 1000,
      seconds: 1000 / opsPerSecond,
      p50Ms: 1 + i,
      p99Ms: 10 + i,
      cpuUsPerOp: 30,
      generatorCpuUsPerOp: 10,
    })),
  }
}

describe('rowsOf', () => {
  const rows = rowsOf([
    measured('quorate', 'redis-benchmark', [3000, 4000, 2000]),
    measured('quorate-by-set-wait-load', 'set-wait-load', [1000, 1200, 900]),
    measured('etcd', 'h2load', [1000, 2000, 500]),
    measured('redis-wait', 'set-wait-load', [1000, 1000, 1000]),
  ])

  it('has the fields that outside checks rely on', () => {
    expect(rows[0]).toMatchObject({
      scenario: 'set',
      system: 'quorate',
      connections: 50,
      pipeline: 1,
      opsPerSecond: { median: 3000, min: 2000, max: 4000 },
      p50Ms: 2,
      p99Ms: 11,
      cpuUsPerOp: 30,
    })
  })

  it('compares round by round, not median by median', () => {
    expect(rows[0].ratio.etcd).toBe(3)
    expect(rows[0].ratioRange.etcd).toEqual({ min: 2, max: 4 })
  })

  it('holds against redis-wait what the same generator measured', () => {
    expect(rows[0].ratio['redis-wait']).toBe(1)
    expect(rows[1].ratio['redis-wait']).toBe(1)
  })

  it('gives peers no ratio', () => {
    expect(rows[2].ratio).toEqual({})
  })

  it('prints a table with a line for each row', () => {
    const lines = tableOf(rows).split('\n')
    expect(lines).toHaveLength(5)
    expect(lines[1]).toMatch(/^set +50x1 +quorate +3000 +2000-4000 +2 +11 +30 +10 +etcd 3\.00, redis-wait 1\.00$/)
  })
})

describe('measureShape', () => {
  it('warms everyone up first, then goes round by round', async () => {
    const runs: string[] = []
    const systems = [system('quorate', 'redis-benchmark', 1000, runs), system('etcd', 'h2load', 500, runs)]
    const result = await measureShape(SHAPE, systems, { rounds: 3, secondsPerRun: 2 }, () => undefined)
    expect(runs.slice(0, 4)).toEqual(['quorate', 'quorate', 'etcd', 'etcd'])
    expect(runs.slice(4)).toEqual(['quorate', 'etcd', 'quorate', 'etcd', 'quorate', 'etcd'])
    expect(result.map((one) => one.measurements.length)).toEqual([3, 3])
    expect(result[0].measurements[0]).toMatchObject({ operations: 2000, opsPerSecond: 1000 })
    expect(result[1].measurements[0].operations).toBe(1000)
  })

  it('leaves out who does not take part', async () => {
    const get: LoadShape = { scenario: 'get', operation: 'get', connections: 50, pipeline: 1 }
    const plan = { rounds: 1, secondsPerRun: 1 }
    expect(await measureShape(get, [system('redis-wait', 'set-wait-load')], plan, () => undefined)).toEqual([])
  })

  it('gives each connection whole batches, at least one', () => {
    const shape: LoadShape = { scenario: 'set-pipelined', operation: 'set', connections: 50, pipeline: 16 }
    expect(operationsFor(shape, 10_000, 1.8) % 800).toBe(0)
    expect(operationsFor(shape, 1, 1)).toBe(800)
    expect(operationsFor(shape, 1e9, 60)).toBe(10_000_000)
  })
})
