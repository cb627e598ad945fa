/** Calls that were split by slot. */
import { QuorateClientError } from './errors.ts'

export interface Part {
  readonly words: readonly Uint8Array[]
  /** Of its keys in the whole. */
  readonly places: readonly number[]
}

/** Waits for all parts; then throws what one of them met, a part that may have run before the others. */
export async function joinAll(parts: readonly Part[], run: (part: Part) => Promise<unknown>): Promise<void> {
  const outcomes = await Promise.allSettled(parts.map(run))
  const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
  const unknown = errors.find((error) => error instanceof QuorateClientError && error.mayHaveRun)
  if (errors.length > 0) throw unknown ?? errors[0]
}
