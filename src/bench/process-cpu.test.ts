import { describe, expect, it } from 'vitest'
import { cpuUsOf, parseCpuTicks } from './process-cpu.ts'

describe('CPU time', () => {
  it('is read behind a name that holds anything', () => {
    const stat = '4711 (a) b (c) S 1 4711 4711 0 -1 4194560 100 0 0 0 321 123 40 2 20 0 12 0 5000 1 1'
    expect(parseCpuTicks(stat)).toEqual({ own: 444, children: 42 })
    expect(() => parseCpuTicks('4711 (x) S 1')).toThrow('not a /proc')
  })

  it('of this process rises with its work', () => {
    const before = cpuUsOf([process.pid])
    expect(before).toBeGreaterThan(0)
    const used = process.cpuUsage()
    let sum = 0
    while (process.cpuUsage(used).user < 100_000) for (let i = 0; i < 10_000; i++) sum += i
    expect(sum).toBeGreaterThan(0)
    // In ticks of 10 ms, rounded on both sides.
    expect(cpuUsOf([process.pid]) - before).toBeGreaterThanOrEqual(80_000)
  })

  it('of a process that is gone is an error', () => {
    expect(() => cpuUsOf([2 ** 22 + 1])).toThrow('is gone')
  })
})
