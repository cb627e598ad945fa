/** What the process uses of the machine that it runs on. Real: platform/. Simulated: simulation/. */

export interface MemoryUse {
  /** Of the process's own making: the JavaScript heap and the buffers outside of it. Pages of mapped files are not in it. */
  readonly usedBytes: number
  /** Pages in the machine's memory, those of mapped files among them. */
  readonly residentBytes: number
}

export interface CpuUse {
  /** Since the process began, over all its threads. */
  readonly userSeconds: number
  readonly systemSeconds: number
}

export interface ProcessUsage {
  readonly processId: number
  /** Name, version and machine of the operating system. */
  readonly system: string
  readonly machineMemoryBytes: number
  /** Costs some microseconds: not for every request. */
  memory(): MemoryUse
  cpu(): CpuUse
}
