import { describe, expect, it } from 'vitest'
import { NodeProcessUsage } from './node-process-usage.ts'

describe('NodeProcessUsage', () => {
  it('counts buffers as used, and resident memory on top of none', () => {
    const usage = new NodeProcessUsage()
    const before = usage.memory()
    const buffer = new Uint8Array(64 * 1024 * 1024).fill(1)
    const after = usage.memory()
    expect(after.usedBytes - before.usedBytes).toBeGreaterThan(buffer.length / 2)
    expect(after.residentBytes - before.residentBytes).toBeGreaterThan(buffer.length / 2)
    expect(after.residentBytes).toBeLessThan(usage.machineMemoryBytes)
  })

  it('counts processor time in seconds', () => {
    const usage = new NodeProcessUsage()
    const { userSeconds, systemSeconds } = usage.cpu()
    expect(userSeconds).toBeGreaterThan(0.01)
    expect(userSeconds + systemSeconds).toBeLessThan(performance.now())
    expect(usage.processId).toBe(process.pid)
  })
})
