/** The leader's side of replication: proposals, appends in a bounded window, heartbeats, and what is committed. */
import { assert } from '../base/assert.ts'
import { asLogIndex, type LogIndex, type ReplicaId, type Term } from '../base/brand.ts'
import { ENTRY_COMMAND, ENTRY_OVERHEAD_BYTES, type Entry, encodedEntryBytes } from '../protocol/entry.ts'
import type { AppendResponse, HeartbeatResponse } from '../protocol/raft-message.ts'
import { Progress } from './progress.ts'
import { quorumIndex } from './quorum.ts'
import { NOBODY, type RaftState } from './raft-state.ts'

export type ProposeResult =
  | { readonly kind: 'accepted'; readonly term: Term; readonly firstIndex: LogIndex; readonly count: number }
  | { readonly kind: 'notLeader'; readonly leader: ReplicaId }
  | { readonly kind: 'busy'; readonly reason: string }
  | { readonly kind: 'tooLarge'; readonly maxBytes: number }

/** Appends the longest prefix that the limits allow; all of one engine turn goes out in one message to each follower. */
export function propose(state: RaftState, payloads: readonly Uint8Array[]): ProposeResult {
  assert(payloads.length > 0, 'propose: nothing to propose')
  const { maxEntryBytes, maxUncommittedBytes } = state.config
  if (state.role !== 'leader') return { kind: 'notLeader', leader: state.leader }
  if (state.transferTo !== NOBODY) return { kind: 'busy', reason: 'leadership is being transferred' }
  if (payloads[0].length > maxEntryBytes) return { kind: 'tooLarge', maxBytes: maxEntryBytes }
  const firstIndex = asLogIndex(state.log.lastIndex + 1)
  let count = 0
  for (const payload of payloads) {
    const bytes = payload.length + ENTRY_OVERHEAD_BYTES
    // With nothing outstanding one entry always passes, or an entry above the limit could never be written.
    if (state.uncommittedBytes > 0 && state.uncommittedBytes + bytes > maxUncommittedBytes) break
    if (payload.length > maxEntryBytes) break
    state.append({ term: state.term, index: asLogIndex(firstIndex + count), kind: ENTRY_COMMAND, payload })
    state.uncommittedBytes += bytes
    count++
  }
  if (count === 0) return { kind: 'busy', reason: 'too many bytes wait to be committed' }
  return { kind: 'accepted', term: state.term, firstIndex, count }
}

/** Makes the set of followers fit the membership in force. A new one is probed from the end of the log. */
export function syncPeers(state: RaftState): void {
  const membership = state.membership
  if (state.role !== 'leader' || state.peersFor === membership) return
  state.peersFor = membership
  const wanted = new Set<ReplicaId>()
  for (const { replicaId } of membership.members) if (replicaId !== state.self) wanted.add(replicaId)
  for (const replicaId of [...state.peers.keys()]) if (!wanted.has(replicaId)) state.peers.delete(replicaId)
  const { maxInflightMessages, maxInflightBytes } = state.config
  const next = asLogIndex(state.log.lastIndex + 1)
  for (const replicaId of wanted) {
    if (state.peers.has(replicaId)) continue
    state.peers.set(replicaId, new Progress(replicaId, next, maxInflightMessages, maxInflightBytes))
  }
}

/** Sends each follower what it may have now. */
export function sendAppends(state: RaftState): void {
  for (const peer of state.peers.values()) sendAppendsTo(state, peer)
}

function sendAppendsTo(state: RaftState, peer: Progress): void {
  if (peer.state === 'image') return
  if (peer.nextIndex <= state.log.compaction.index) {
    wantImage(state, peer)
    return
  }
  if (peer.state === 'probe') {
    if (!peer.paused) sendAppend(state, peer, true)
    return
  }
  while (peer.nextIndex <= state.log.lastIndex && !peer.windowFull) sendAppend(state, peer, true)
  // With the window full, or nothing new, still an empty append: it finds out whether those before it arrived. Without
  // it a follower whose whole window was lost would wait for ever (etcd-io/raft maybeSendAppend).
  if (peer.appendDue) sendAppend(state, peer, false)
}

function sendAppend(state: RaftState, peer: Progress, withEntries: boolean): void {
  const { log, commitIndex } = state
  const prevIndex = asLogIndex(peer.nextIndex - 1)
  const prevTerm = log.termAt(prevIndex)
  assert(prevTerm !== null, 'sendAppend: the previous entry is compacted away')
  let last: number = prevIndex
  let bytes = 0
  while (withEntries && last < log.lastIndex) {
    const size = encodedEntryBytes(log.entryAt(last + 1))
    if (last > prevIndex && bytes + size > state.config.maxMessageBytes) break
    bytes += size
    last++
  }
  const entries: readonly Entry[] = last > prevIndex ? log.slice(prevIndex + 1, last) : []
  const { group, self: from, term } = state
  const to = peer.replicaId
  state.outbox.messagesNow.push({
    type: 'appendRequest',
    group,
    from,
    to,
    term,
    prevIndex,
    prevTerm,
    commit: commitIndex,
    entries,
  })
  peer.appendDue = false
  peer.sentCommit = asLogIndex(Math.max(peer.sentCommit, Math.min(commitIndex, last)))
  if (peer.state === 'probe' || entries.length > 0) peer.sent(asLogIndex(last), bytes)
}

/** Not for a follower that is away: an image costs disk and network, and pins the log. */
function wantImage(state: RaftState, peer: Progress): void {
  if (peer.silentTicks >= state.config.electionTicksMin) return
  peer.becomeImage()
  if (peer.imageAsked) return
  peer.imageAsked = true
  state.outbox.imagesWanted.push(peer.replicaId)
}

export function imageOutcome(state: RaftState, to: ReplicaId, index: LogIndex, ok: boolean): void {
  const peer = state.peers.get(to)
  if (peer === undefined || !peer.imageAsked) return
  peer.imageAsked = false
  if (peer.state !== 'image') return
  if (ok) {
    // Its answer comes once the image is in force there; asking before that would end in a second image.
    peer.nextIndex = asLogIndex(Math.max(peer.matchIndex + 1, Math.min(index, state.log.lastIndex) + 1))
    peer.imageWaitTicks = state.config.electionTicksMax
    return
  }
  // It may have refused because it has all that long ago, and only its answers were lost: ask at the compaction point first.
  peer.becomeProbe(state.log.firstIndex)
  peer.paused = true
}

export function onAppendResponse(state: RaftState, message: AppendResponse): void {
  const peer = state.peers.get(message.from)
  if (peer === undefined) return
  peer.silentTicks = 0
  if (!message.success) {
    // Both sides skip whole terms: the follower's hint is where it may agree, ours is where we may (thesis 5.3).
    const hint = state.log.lastIndexUpToTerm(message.hintIndex, message.hintTerm).index
    peer.refused(message.index, hint)
    return
  }
  if (message.index > state.log.lastIndex) return
  const news = peer.acknowledged(message.index)
  if (peer.state === 'probe' && message.index >= peer.matchIndex) peer.becomeReplicate()
  // Whatever way it came by the entries: once the log can go on from there, it does.
  else if (peer.state === 'image' && news && peer.matchIndex >= state.log.compaction.index) peer.becomeReplicate()
  if (news) maybeCommit(state)
}

export function onHeartbeatResponse(state: RaftState, message: HeartbeatResponse): void {
  const peer = state.peers.get(message.from)
  if (peer === undefined) return
  peer.silentTicks = 0
  // A token that this leader never made confirms nothing.
  if (message.readToken <= state.reads.newestToken && message.readToken > peer.ackedToken) {
    peer.ackedToken = message.readToken
  }
  if (!peer.nudgeDue) return
  peer.nudgeDue = false
  peer.paused = false
  if (peer.state === 'replicate' && peer.matchIndex < state.log.lastIndex) peer.appendDue = true
}

/** Commits what a majority of voters has on disk, by counting entries of the leader's own term only (paper 5.4.2). */
export function maybeCommit(state: RaftState): void {
  const matches: number[] = []
  for (const voter of state.voters) {
    matches.push(voter === state.self ? ownMatchIndex(state) : (state.peers.get(voter)?.matchIndex ?? 0))
  }
  const index = asLogIndex(quorumIndex(matches))
  if (index <= state.commitIndex) return
  if (state.log.termAt(index) !== state.term && !state.mutations.countOldTermEntries) return
  state.commitTo(index)
}

/** A leader writes its disk while its followers write theirs, and counts itself only after (thesis 10.2.1). */
function ownMatchIndex(state: RaftState): LogIndex {
  if (state.mutations.noPersistOnSelfCount) return state.log.lastIndex
  return state.log.durableIndex
}

/** With a new read round: only to voters, whose answers confirm it. The timer's go to all, each with the right to start the next probe. */
export function sendReadHeartbeats(state: RaftState): void {
  for (const voter of state.voters) {
    const peer = state.peers.get(voter)
    if (peer !== undefined) sendHeartbeat(state, peer)
  }
}

export function sendTimerHeartbeats(state: RaftState): void {
  for (const peer of state.peers.values()) {
    peer.nudgeDue = true
    sendHeartbeat(state, peer)
  }
}

export function sendHeartbeat(state: RaftState, peer: Progress): void {
  const commit = asLogIndex(Math.min(state.commitIndex, peer.matchIndex))
  peer.sentCommit = asLogIndex(Math.max(peer.sentCommit, commit))
  const { group, self: from, term } = state
  const to = peer.replicaId
  const readToken = state.reads.newestToken
  state.outbox.messagesNow.push({ type: 'heartbeat', group, from, to, term, commit, readToken })
}
