/** What a process holds: file descriptors and memory, from /proc/PID (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs'

export interface ProcessSize {
  readonly fileDescriptors: number
  readonly residentMiB: number
}

export function sizeOf(pid: number): ProcessSize {
  return {
    fileDescriptors: readdirSync(`/proc/${pid}/fd`).length,
    residentMiB: parseResidentMiB(readFileSync(`/proc/${pid}/status`, 'latin1')),
  }
}

/** NaN where there is no such line. */
export function parseResidentMiB(status: string): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}
