/** CPU time of processes, from /proc/PID/stat (proc(5)): user and system, threads and waited-for children included. */
import { readFileSync } from 'node:fs'
import { assert } from '../base/assert.ts'
import { setupError } from './bench-error.ts'

/** USER_HZ is 100 on every Linux that Node runs on: it is part of the kernel's interface. */
const US_PER_TICK = 10_000

export interface CpuTicks {
  readonly own: number
  readonly children: number
}

/** The name in parentheses may hold anything, parentheses too: fields are counted from the last one. Field 3 is the first behind it. */
export function parseCpuTicks(stat: string): CpuTicks {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const field = (number: number): number => Number(fields[number - 3])
  const ticks = { own: field(14) + field(15), children: field(16) + field(17) }
  assert(Number.isInteger(ticks.own) && Number.isInteger(ticks.children), 'parseCpuTicks: not a /proc/PID/stat line')
  return ticks
}

/** Of all these processes together, in microseconds, in steps of 10 ms. A process that is gone is a failed run. */
export function cpuUsOf(pids: readonly number[]): number {
  let ticks = 0
  for (const pid of pids) {
    const cpu = readTicks(pid)
    ticks += cpu.own + cpu.children
  }
  return ticks * US_PER_TICK
}

/** Of this process's own children that have ended and been waited for: a load generator's, once it has run. */
export function endedChildrenCpuUs(): number {
  return readTicks(process.pid).children * US_PER_TICK
}

function readTicks(pid: number): CpuTicks {
  try {
    return parseCpuTicks(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch (error) {
    throw setupError(`process ${pid} is gone, or this is no Linux: ${(error as Error).message}`, 'see its log above')
  }
}
