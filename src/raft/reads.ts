/** Linearizable reads without the log: the leader asks a quorum whether it still leads, once for all reads that wait (thesis 6.4). */
import { asLogIndex, type LogIndex, type ReplicaId } from '../base/brand.ts'
import type { ReadIndexRequest, ReadIndexResponse } from '../protocol/raft-message.ts'
import { majorityOf } from './quorum.ts'
import { NOBODY, type RaftState } from './raft-state.ts'
import type { ReadRequest, ReadRound } from './read-queue.ts'

/** Rounds, or a follower's questions, under way at once; what comes meanwhile waits and shares the next one. */
const MAX_ROUNDS = 4

export type ReadIndexResult =
  | { readonly kind: 'pending'; readonly read: number }
  | { readonly kind: 'notLeader'; readonly leader: ReplicaId }
  | { readonly kind: 'busy'; readonly reason: string }

export function readIndex(state: RaftState): ReadIndexResult {
  const reads = state.reads
  if (state.leader === NOBODY) return { kind: 'notLeader', leader: NOBODY }
  if (reads.count >= state.config.maxPendingReads) return { kind: 'busy', reason: 'too many pending reads' }
  const read = reads.nextRead()
  reads.waiting.push({ kind: 'local', read })
  reads.count++
  return { kind: 'pending', read }
}

/** A follower's question. */
export function onReadIndexRequest(state: RaftState, message: ReadIndexRequest): void {
  const reads = state.reads
  const repeated = reads.waiting.some(
    (other) => other.kind === 'remote' && other.from === message.from && other.context === message.context,
  )
  if (repeated) return
  if (state.role !== 'leader' || reads.count >= state.config.maxPendingReads) {
    answer(state, message.from, message.context, null)
    return
  }
  reads.waiting.push({ kind: 'remote', from: message.from, context: message.context })
  reads.count++
}

/** The leader's answer to a question; an answer that fits none (a duplicate, one from before a restart) is nothing. */
export function onReadIndexResponse(state: RaftState, message: ReadIndexResponse): void {
  const reads = state.reads
  const at = reads.questions.findIndex((question) => question.context === message.context)
  if (at < 0) return
  const [question] = reads.questions.splice(at, 1)
  reads.count -= question.reads.length
  for (const read of question.reads) {
    if (message.ok) state.outbox.readStates.push({ read, index: message.index })
    else state.outbox.readsRefused.push(read)
  }
}

/** Starts a round (leader) or a question (follower) for what waits. True: heartbeats with the new token must leave. */
export function startReads(state: RaftState): boolean {
  const reads = state.reads
  // Of fewer voters than when a round began the answers so far may be enough; the one that left may be the one that was waited for, and nobody else answers.
  if (state.role === 'leader' && reads.rounds.length > 0) confirmReads(state)
  if (reads.waiting.length === 0) return false
  if (state.role === 'leader') return startRound(state)
  if (state.leader !== NOBODY && reads.questions.length < MAX_ROUNDS) ask(state)
  return false
}

function startRound(state: RaftState): boolean {
  const reads = state.reads
  // Before a commit in its own term a leader may not know what is committed: stale and empty reads (redisraft 18, 19).
  if (!state.hasCommittedInTerm && !state.mutations.noNoop) return false
  if (reads.rounds.length >= MAX_ROUNDS) return false
  reads.rounds.push({ token: reads.nextToken(), index: state.commitIndex, requests: reads.waiting })
  reads.waiting = []
  confirmReads(state)
  return reads.rounds.length > 0
}

/** Answers every round that a quorum has confirmed: an answer to a heartbeat confirms its round and all before. */
export function confirmReads(state: RaftState): void {
  const rounds = state.reads.rounds
  let confirmed = 0
  while (confirmed < rounds.length && isConfirmed(state, rounds[confirmed])) confirmed++
  for (const round of rounds.splice(0, confirmed)) {
    state.reads.count -= round.requests.length
    for (const request of round.requests) deliver(state, request, round.index)
  }
}

function isConfirmed(state: RaftState, round: ReadRound): boolean {
  if (state.mutations.readIndexWithoutConfirmation) return true
  const voters = state.voters
  let confirming = 0
  for (const voter of voters) {
    if (voter === state.self || (state.peers.get(voter)?.ackedToken ?? 0) >= round.token) confirming++
  }
  return voters.length > 0 && confirming >= majorityOf(voters.length)
}

function deliver(state: RaftState, request: ReadRequest, index: LogIndex): void {
  if (request.kind === 'local') {
    state.outbox.readStates.push({ read: request.read, index })
    return
  }
  answer(state, request.from, request.context, index)
  // Without the commit index the follower would wait for the next heartbeat before it could serve the read.
  const peer = state.peers.get(request.from)
  if (peer !== undefined && peer.sentCommit < index) peer.appendDue = true
}

function answer(state: RaftState, to: ReplicaId, context: number, index: LogIndex | null): void {
  state.outbox.messagesNow.push({
    type: 'readIndexResponse',
    group: state.group,
    from: state.self,
    to,
    term: state.term,
    context,
    ok: index !== null,
    index: index ?? asLogIndex(0),
  })
}

function ask(state: RaftState): void {
  const reads = state.reads
  const numbers: number[] = []
  for (const request of reads.waiting) {
    if (request.kind === 'local') numbers.push(request.read)
  }
  reads.waiting = []
  const context = reads.nextContext()
  reads.questions.push({
    context,
    reads: numbers,
    ticksLeft: state.config.electionTicksMax,
    ticksToRepeat: state.config.heartbeatTicks,
  })
  sendQuestion(state, context)
}

function sendQuestion(state: RaftState, context: number): void {
  const { group, self, leader, term } = state
  state.outbox.messagesNow.push({ type: 'readIndexRequest', group, from: self, to: leader, term, context })
}

/** A follower repeats an unanswered question (a duplicate answer is harmless) and gives up after a bounded time. */
export function tickReads(state: RaftState): void {
  const reads = state.reads
  for (let i = reads.questions.length - 1; i >= 0; i--) {
    const question = reads.questions[i]
    if (--question.ticksLeft <= 0) {
      reads.questions.splice(i, 1)
      reads.count -= question.reads.length
      state.outbox.readsRefused.push(...question.reads)
    } else if (--question.ticksToRepeat <= 0) {
      question.ticksToRepeat = state.config.heartbeatTicks
      sendQuestion(state, question.context)
    }
  }
}

/** Role, term or leader changed: nothing that waits can be confirmed any more. Before the term changes, so that askers hear it. */
export function refuseReads(state: RaftState): void {
  const reads = state.reads
  if (reads.count === 0) return
  const requests = [...reads.rounds.flatMap((round) => round.requests), ...reads.waiting]
  for (const request of requests) {
    if (request.kind === 'local') state.outbox.readsRefused.push(request.read)
    else answer(state, request.from, request.context, null)
  }
  for (const question of reads.questions) state.outbox.readsRefused.push(...question.reads)
  reads.rounds.length = 0
  reads.waiting = []
  reads.questions.length = 0
  reads.count = 0
}
