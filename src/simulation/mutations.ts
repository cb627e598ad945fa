/**
 * The known bugs that can be put back, by name: each has bitten some published system (raft checklist in docs/architecture.md). A
 * simulation that does not catch them would not catch their relatives either.
 */
import type { NodeMutations } from '../node/node-config.ts'

export interface SimMutation {
  readonly name: string
  readonly what: string
  readonly node?: NodeMutations
  readonly checkpointNotAtomic?: boolean
}

const none = { acceptStaleSegments: false, skipSync: false, cutAnywhere: false }

export const SIM_MUTATIONS: readonly SimMutation[] = [
  { name: 'vote-not-synced', what: 'a vote leaves before it is on disk', node: { raft: { voteBeforeDisk: true } } },
  {
    name: 'old-term-counted',
    what: "a leader commits an earlier term's entry by counting copies",
    node: { raft: { countOldTermEntries: true } },
  },
  {
    name: 'vote-cleared',
    what: 'stepping down within a term forgets the vote',
    node: { raft: { clearVoteInSameTerm: true } },
  },
  { name: 'no-noop', what: 'a new leader reads before it has committed in its term', node: { raft: { noNoop: true } } },
  {
    name: 'read-unconfirmed',
    what: 'reads without asking a quorum who leads',
    node: { raft: { readIndexWithoutConfirmation: true } },
  },
  {
    name: 'apply-before-commit',
    what: 'entries are applied when they are appended',
    node: { raft: { applyBeforeCommit: true } },
  },
  {
    name: 'configuration-late',
    what: 'a membership is in force only once committed, without guards',
    node: { raft: { configurationLate: true } },
  },
  {
    name: 'leader-counts-itself-early',
    what: 'the leader counts its copy before its disk has it',
    node: { raft: { noPersistOnSelfCount: true } },
  },
  {
    name: 'append-acked-early',
    what: 'a follower acknowledges before its disk has it',
    node: { raft: { appendAckBeforeDisk: true } },
  },
  {
    name: 'sync-skipped',
    what: 'the log reports batches as durable without the sync',
    node: { wal: { ...none, skipSync: true } },
  },
  {
    name: 'stale-segment-accepted',
    what: "recovery takes a recycled segment's old batches for new ones",
    node: { wal: { ...none, acceptStaleSegments: true } },
  },
  {
    name: 'checkpoint-not-atomic',
    what: 'a crash leaves half a checkpoint under the old meta data',
    checkpointNotAtomic: true,
  },
  {
    name: 'sessions-left-out',
    what: 'checkpoints and images lack the session table',
    node: { kv: { sessionsLeftOutOfCheckpoint: true } },
  },
  {
    name: 'retries-run-twice',
    what: 'a retry that is in the log twice runs twice',
    node: { kv: { sessionRecordsIgnored: true } },
  },
  {
    name: 'watch-ignored',
    what: 'EXEC does not look at the watched versions',
    node: { kv: { watchedVersionsIgnored: true } },
  },
  {
    name: 'expiry-by-local-clock',
    what: "reads decide expiry by the reader's clock",
    node: { expiryByLocalClock: true },
  },
  {
    name: 'flush-keeps-keys',
    what: 'FLUSHALL says OK and leaves the keys in place',
    node: { kv: { generationNotBumpedOnFlush: true } },
  },
  {
    name: 'scan-skips-slot',
    what: "SCAN leaves out a slot where its count is used up at a slot's end",
    node: { kv: { scanSkipsSlot: true } },
  },
  {
    name: 'bitop-keeps-expiry',
    what: "BITOP's result inherits the expiry of the value that it replaces",
    node: { kv: { bitopKeepsExpiry: true } },
  },
  {
    name: 'log-time-left-out',
    what: 'a restored replica starts log time afresh',
    node: { kv: { logTimeLeftOutOfCheckpoint: true } },
  },
]
