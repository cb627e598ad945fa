// A temporary directory of the test's own, in which the library makes its own ones too: what it leaves behind shows.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'

/** Call it at the top of a test file; the function gives the directory. */
export function useTemporaryRoot(): () => string {
  const before = process.env.TMPDIR
  let root = ''
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'quorate-embedding-'))
    process.env.TMPDIR = root
  })
  afterAll(() => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
    rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  })
  return () => root
}
