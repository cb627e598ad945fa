/** The file that a node under `quorate dev` prints to. A file, not a pipe: a pipe would break when the supervisor dies. */
import { openSync, readFileSync, renameSync, statSync } from 'node:fs'

/** At a start, a log above this becomes LOG.old and a new one begins. */
const ROTATE_ABOVE_BYTES = 16 * 1024 * 1024
const PREFIX = 'quorate: '

/** A descriptor for appending; the caller closes it. */
export function openNodeLog(path: string): number {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size > ROTATE_ABOVE_BYTES) renameSync(path, `${path}.old`)
  return openSync(path, 'a')
}

/** What the node said last for people (`quorate: ...`, without that word), else its last line; empty if it said nothing. */
export function lastWords(path: string): string {
  let lines: string[]
  try {
    lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  } catch {
    return ''
  }
  const line = lines.findLast((one) => one.startsWith(PREFIX)) ?? lines.at(-1) ?? ''
  return line.startsWith(PREFIX) ? line.slice(PREFIX.length) : line
}
