/** What a ShardMaster's call answers where it does not do what it was asked: a code for programs, a message and a mend for people. */
import type { NodeId } from '../base/brand.ts'

export type MasterErrorCode =
  /** Another node is the active master, or none is: `activeMaster` of the error. Nothing was done. */
  | 'not-active'
  /** This master was deposed while the write was under way: it may have been done. */
  | 'uncertain'
  /** Too much is waiting, or too many reconfigs are unfinished. Nothing was done. */
  | 'busy'
  /** The metadata store does not answer. Nothing was done. */
  | 'unavailable'
  /** A node of the tree is not what this version writes. */
  | 'malformed-tree'
  | 'malformed-id'
  | 'malformed-argument'
  | 'unknown-group'
  | 'unknown-slot'
  | 'unknown-node'
  | 'unknown-reconfig'
  /** The reconfig is over, and too old to be remembered. */
  | 'pruned'
  /** DISABLE or an outcome came first. */
  | 'too-late'
  /** The group owns slots, is to get some, or another group still waits for its word. */
  | 'group-in-use'
  /** The group hands its slots away: it takes none. */
  | 'group-draining'
  /** No group may hold slots. */
  | 'no-groups'
  /** A group has it as a member, or is to have it. */
  | 'node-in-use'
  /** What the groups say leaves slots with nobody. */
  | 'unowned-slots'
  /** More than one write may hold. */
  | 'too-large'

export interface MasterError {
  readonly code: MasterErrorCode
  readonly message: string
  /** What to do about it. */
  readonly mend: string
  /** Of `not-active`: who is; null: nobody, as far as it is known. */
  readonly activeMaster?: NodeId | null
}

/** Exactly one of the two is not null. */
export type MasterDone<T> = (error: MasterError | null, value: T | null) => void

export function masterError(code: MasterErrorCode, message: string, mend: string): MasterError {
  return { code, message, mend }
}
