/** The file that a node under `quorate dev` prints to. A file, not a pipe: a pipe would break when the supervisor dies. */
import { openSync, readFileSync, renameSync, statSync } from 'node:fs'

/** At a start, a log above this becomes LOG.old and a new one begins. */
const ROTATE_ABOVE_BYTES = 16 * 1024 * 1024

/** A descriptor for appending; the caller closes it. */
export function openNodeLog(path: string): number {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size > ROTATE_ABOVE_BYTES) renameSync(path, `${path}.old`)
  return openSync(path, 'a')
}

/** The last line that is not empty, for messages. */
export function lastLogLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').at(-1) ?? ''
  } catch {
    return ''
  }
}
