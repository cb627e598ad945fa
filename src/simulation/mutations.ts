/**
 * The known bugs that can be put back, by name: each has bitten some published system (raft checklist in docs/architecture.md). A
 * simulation that does not catch them would not catch their relatives either.
 */
import type { NodeMutations } from '../node/node-config.ts'

export interface SimMutation {
  readonly name: string
  readonly what: string
  /** The runs that show it; `groups` unless said. */
  readonly kind?: 'cluster'
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
  {
    name: 'serve-before-enable',
    what: 'a destination owns the slots from BEGIN on',
    kind: 'cluster',
    node: { kv: { servedFromBegin: true } },
  },
  {
    name: 'enable-before-staged',
    what: 'a destination enables before the last STAGE, and its log lets it',
    kind: 'cluster',
    node: { kv: { enabledBeforeStaged: true }, migration: { enableBeforeLastStage: true } },
  },
  {
    name: 'serve-after-disable',
    what: 'a source says that the slots are disabled, and serves on',
    kind: 'cluster',
    node: { kv: { disableNotApplied: true } },
  },
  {
    name: 'forget-unchecked',
    what: 'a source forgets its keys without CheckCommit',
    kind: 'cluster',
    node: { migration: { forgetWithoutAsking: true } },
  },
  {
    name: 'drop-unasked',
    what: 'a destination drops what it has staged when the source falls silent',
    kind: 'cluster',
    node: { migration: { dropWithoutAsking: true } },
  },
  {
    name: 'sessions-not-moved',
    what: 'a destination does not know which writes the source has run',
    kind: 'cluster',
    node: { kv: { sessionsNotMoved: true } },
  },
  {
    name: 'tombstones-not-kept',
    what: 'a key that is deleted during a move shows again at the destination',
    kind: 'cluster',
    node: { kv: { tombstonesNotKept: true } },
  },
  {
    name: 'slots-left-out',
    what: 'checkpoints and images have the slots that the group began with',
    kind: 'cluster',
    node: { kv: { slotsLeftOutOfCheckpoint: true } },
  },
  {
    name: 'moves-left-out',
    what: 'checkpoints and images lack the open moves',
    kind: 'cluster',
    node: { kv: { movesLeftOutOfCheckpoint: true } },
  },
  {
    name: 'master-unchecked',
    what: 'a deposed master writes on, and leads while its session is in doubt',
    kind: 'cluster',
    node: { master: { writesUnchecked: true, leadsWhileSuspended: true } },
  },
  {
    name: 'begin-out-of-turn',
    what: 'a master sends BEGIN before the reconfigs that it follows have an outcome',
    kind: 'cluster',
    node: { master: { beginBeforePredecessor: true } },
  },
  {
    name: 'published-early',
    what: 'a master publishes a reconfig as done once both groups have begun',
    kind: 'cluster',
    node: { master: { publishBeforeEnable: true } },
  },
  {
    name: 'outcome-remembered',
    what: 'a master takes a reconfig for cancelled because it has asked for that',
    kind: 'cluster',
    node: { master: { outcomeFromMemory: true } },
  },
  {
    name: 'view-late',
    what: 'with members coming and going: a membership is in force only once committed, without guards',
    kind: 'cluster',
    node: { raft: { configurationLate: true } },
  },
]
