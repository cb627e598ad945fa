/** Taking over an image (InstallSnapshot, thesis 5). Index and term are checked before anything is loaded, and again when it is whole. */
import { assert } from '../base/assert.ts'
import type { ReplicaId, Term } from '../base/brand.ts'
import { answerAppend } from './follower.ts'
import { NOBODY, type RaftState } from './raft-state.ts'
import type { ImageMeta } from './ready.ts'
import { becomeFollower } from './roles.ts'

/** An image is committed state: it is of use only to a replica that knows less to be committed. */
export function wantsImage(state: RaftState, meta: ImageMeta): boolean {
  if (state.role === 'leader' || meta.index <= state.commitIndex) return false
  const commitTerm = state.log.termAt(state.commitIndex)
  // Terms never fall along a log: such a pair was never committed.
  return commitTerm === null || meta.term >= commitTerm
}

/**
 * The image is whole and on disk. `fromTerm` is its sender's term. An image of a past leader is as good as any (all that it holds is
 * committed); only the answer would go to nobody.
 */
export function installImage(state: RaftState, meta: ImageMeta, fromTerm: Term, from: ReplicaId): boolean {
  if (meta.term > fromTerm || from === state.self) return false
  if (fromTerm > state.term) becomeFollower(state, fromTerm, from)
  const current = fromTerm === state.term
  if (!wantsImage(state, meta)) {
    // Tells the leader what it did not know: this replica has all of it.
    if (current && state.role !== 'leader') answerAppend(state, from, true, state.commitIndex)
    return false
  }
  assert(meta.term <= state.term, 'installImage: the image is from a later term than this replica')
  if (state.role !== 'follower') becomeFollower(state, state.term, current ? from : NOBODY)
  takeOver(state, meta)
  if (current) answerAppend(state, from, true, meta.index)
  return true
}

function takeOver(state: RaftState, meta: ImageMeta): void {
  const keepsLogSuffix = state.log.install({ index: meta.index, term: meta.term }, state.commitIndex)
  state.memberships.install(meta.index, meta.membership, keepsLogSuffix)
  state.commitIndex = meta.index
  state.givenIndex = meta.index
  state.appliedIndex = meta.index
  state.givenBytes = 0
  state.outbox.installed = { index: meta.index, term: meta.term, membership: meta.membership, keepsLogSuffix }
}
