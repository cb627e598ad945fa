/** Test beds on real LMDB, in a temporary directory that goes with them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BaseFileBed } from '../store/base-file-contract.testkit.ts'
import { LmdbBaseFileStore } from './lmdb-base-file.ts'

export interface LmdbBed extends BaseFileBed {
  readonly files: LmdbBaseFileStore
}

export async function makeLmdbBed(mapBytes?: number): Promise<LmdbBed> {
  const root = await mkdtemp(join(tmpdir(), 'quorate-base-'))
  const files = new LmdbBaseFileStore(mapBytes)
  return {
    files,
    path: `${root}/replica`,
    run: (start) => new Promise((resolve) => start(resolve)),
    async end() {
      await files.stop()
      await rm(root, { recursive: true, force: true })
    },
  }
}
