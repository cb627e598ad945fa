/**
 * Is that process still there, and still the same one? A pid alone may have been given to another process; with the
 * start time of /proc/PID/stat it names one process for ever. Where there is no /proc (macOS) the pid has to do.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'

const HAS_PROC = existsSync('/proc/self/stat')

/** Changes when the pid is given to another process; null: gone (or a zombie, which only waits to be reaped). */
export function processMark(pid: number): string | null {
  if (!HAS_PROC) return answersSignals(pid) ? 'alive' : null
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return null
  }
  // The command's name, in parentheses, may hold anything, also parentheses: the fields start after the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const state = fields[0]
  const startTicks = fields[19]
  return state === 'Z' || state === 'X' ? null : startTicks
}

function answersSignals(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * Calls `onGone` once, soon after the process has ended. Null: it is not there now. The returned function ends the watch.
 * Polled: there is no portable event for the end of a process that is not one's child.
 */
export function watchProcess(pid: number, everyMs: number, onGone: () => void): (() => void) | null {
  const mark = processMark(pid)
  if (mark === null) return null
  const timer = setInterval(() => {
    if (processMark(pid) === mark) return
    clearInterval(timer)
    onGone()
  }, everyMs)
  timer.unref()
  return () => clearInterval(timer)
}

/** Pids of the living processes whose arguments hold `words` in a row. Empty where there is no /proc. */
export function processesWithArguments(words: readonly string[]): number[] {
  if (!HAS_PROC) return []
  const wanted = `\0${words.join('\0')}\0`
  const found: number[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      if (readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(wanted)) found.push(Number(name))
    } catch {
      // It ended between the listing and the reading.
    }
  }
  return found.filter((pid) => processMark(pid) !== null)
}
