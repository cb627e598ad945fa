/**
 * Keeps a defect of lmdb 3.5.6 away. LMDB notes the pages that a transaction frees in a tree of its own. Where that tree is empty, as in every
 * compacting copy, so in every installed image, and the file is past its first transaction, the first record of more than about 500 pages is put
 * into a leaf without keys, and in the middle of that the allocator of pages reads the leaf's last key: an assertion in
 * mdb_page_alloc or a segmentation fault, at each start anew. After one small record all goes well.
 */
import type { Environment } from './lmdb-environment.ts'

const SEED_KEY: Uint8Array = Uint8Array.of(0xff, 0x73)

/** What lmdb-js tells and its types leave out. */
interface Stats {
  readonly lastTxnId: number
  readonly free: { readonly entryCount: number }
}

/** Before the first write to a file. A transaction of its own, which frees only the few pages above one key. */
export function seedFreeList(environment: Environment): void {
  const { lastTxnId, free } = environment.getStats() as Stats
  if (lastTxnId <= 1 || free.entryCount > 0) return
  environment.transactionSync(() => environment.putSync(SEED_KEY, Buffer.of(1)))
}
