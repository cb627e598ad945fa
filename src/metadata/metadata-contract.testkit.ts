/**
 * What every MetadataStore must do, told once: each sentence of the port's comments (ports/metadata-store.ts,
 * protocol/metadata-operation.ts) is a test. Written against the port alone, and only about what it promises.
 */
import { describe } from 'vitest'
import { readContract } from './metadata-contract-reads.testkit.ts'
import { sessionContract } from './metadata-contract-sessions.testkit.ts'
import { watchContract } from './metadata-contract-watches.testkit.ts'
import { writeContract } from './metadata-contract-writes.testkit.ts'
import type { MetadataHarness } from './metadata-harness.testkit.ts'

/** Runs the test with a harness of its own, and ends it. */
export type WithHarness = (test: (harness: MetadataHarness) => Promise<void>) => () => Promise<void>

export function metadataContract(makeHarness: () => Promise<MetadataHarness>): void {
  const withHarness: WithHarness = (test) => async () => {
    const harness = await makeHarness()
    try {
      await test(harness)
    } finally {
      await harness.end()
    }
  }
  describe('writes', () => writeContract(withHarness))
  describe('reads and order', () => readContract(withHarness))
  describe('watches', () => watchContract(withHarness))
  describe('sessions', () => sessionContract(withHarness))
}
