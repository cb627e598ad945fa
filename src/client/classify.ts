/** What an error reply means for the call that got it. */
import type { PendingCall, Trouble } from './pending-call.ts'

export type Verdict =
  /** It is the answer, and nothing was changed. */
  | { readonly kind: 'refused' }
  /** The write ran; what it answered is not known any more. */
  | { readonly kind: 'done' }
  /** Not to be asked again; it may have run. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'stale'; readonly version: number }
  /** Ask again; `mayHaveRun`: this attempt, or one of the server's. */
  | { readonly kind: 'again'; readonly trouble: Trouble; readonly mayHaveRun: boolean }

const DONE = 'UNCERTAIN the write was done once'
const UNSERVED: ReadonlySet<string> = new Set(['CLUSTERDOWN', 'TRYAGAIN', 'LOADING', 'MASTERDOWN', 'NOTRESPONSIBLE'])

export function classify(call: PendingCall, text: string): Verdict {
  const [code, second, third] = text.split(' ', 3)
  const again = (trouble: Trouble, mayHaveRun = false): Verdict => ({ kind: 'again', trouble, mayHaveRun })
  if (code === 'STALESLOTTABLE') return { kind: 'stale', version: Number(second) || 0 }
  if (UNSERVED.has(code)) return again({ kind: 'unserved', text })
  if (code === 'BUSY' || text === 'ERR max number of clients reached') return again({ kind: 'busy', text })
  if (code === 'MOVED' || code === 'ASK') return again({ kind: 'redirect', text, address: third ?? '' })
  if (text.startsWith(DONE)) return { kind: 'done' }
  if (code === 'UNCERTAIN') return again({ kind: 'uncertain', text }, call.isWrite)
  if (code === 'RETRYEXPIRED' || code === 'SEQUENCETOOOLD') return { kind: 'unknown' }
  // The door's own words about an attempt, which say nothing of an earlier one.
  const isOfDoor = /^(DISKFULL|OOM|READONLY|NOREPLICAS) |^ERR KV\.CALL/.test(text)
  return call.maybeRan && isOfDoor ? { kind: 'unknown' } : { kind: 'refused' }
}
