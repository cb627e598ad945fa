/** A process that always uses the same: what a simulated node shows in INFO hangs on nothing outside of its seed. */
import type { ProcessUsage } from '../ports/process-usage.ts'

export const SIM_PROCESS_USAGE: ProcessUsage = {
  processId: 1,
  system: 'Simulation',
  machineMemoryBytes: 2 ** 34,
  memory: () => ({ usedBytes: 64 * 1024 ** 2, residentBytes: 128 * 1024 ** 2 }),
  cpu: () => ({ userSeconds: 1, systemSeconds: 1 }),
}
