/** The ProcessUsage of a real process. */
import { machine, release, totalmem, type } from 'node:os'
import type { CpuUse, MemoryUse, ProcessUsage } from '../ports/process-usage.ts'

export class NodeProcessUsage implements ProcessUsage {
  readonly processId = process.pid
  readonly system = `${type()} ${release()} ${machine()}`
  readonly machineMemoryBytes = totalmem()

  memory(): MemoryUse {
    const { heapUsed, external, rss } = process.memoryUsage()
    return { usedBytes: heapUsed + external, residentBytes: rss }
  }

  cpu(): CpuUse {
    const { user, system } = process.cpuUsage()
    return { userSeconds: user / 1e6, systemSeconds: system / 1e6 }
  }
}
