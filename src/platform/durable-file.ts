/**
 * Replaces a small file so that a crash leaves the old bytes or the new ones, never a mixture: temporary file beside
 * it, fsync, rename, fsync of the directory. Blocking, for start-up only. Throws Node's system errors.
 */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

export function replaceFileDurably(path: string, text: string): void {
  const temporary = `${path}.new`
  const bytes = Buffer.from(text, 'utf8')
  const file = openSync(temporary, 'w', 0o644)
  try {
    let written = 0
    while (written < bytes.length) written += writeSync(file, bytes, written, bytes.length - written)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(temporary, path)
  syncDirectory(dirname(path))
}

/** Makes creations, renames and removals in the directory durable. */
export function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
