/**
 * Replaces a small file so that a crash leaves the old bytes or the new ones, never a mixture: temporary file beside
 * it, fsync, rename, fsync of the directory. The blocking ones are for start-up only. Throws Node's system errors.
 */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
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

/** The same off the event loop. One call at a time for each path. */
export async function replaceFileDurablySoon(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`
  const file = await open(temporary, 'w', 0o644)
  try {
    await file.writeFile(text, 'utf8')
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  const directory = await open(dirname(path), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
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
