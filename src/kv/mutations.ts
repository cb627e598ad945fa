/**
 * Known bugs that the simulator puts back in, one at a time, to show that its checks catch them. Each is one `if` where
 * the right code stands. None is ever set outside simulation and tests.
 */
export interface KvMutations {
  /** A restored replica has forgotten which writes it has already run. */
  readonly sessionsLeftOutOfCheckpoint?: boolean
  /** A retry that is in the log twice runs twice. */
  readonly sessionRecordsIgnored?: boolean
  /** A late copy of a write below its session's floor runs again. */
  readonly sessionFloorForgotten?: boolean
  /** Reads decide expiry by this clock of the reader's own, so that it can run backwards from one replica to the next. */
  readonly expiryByLocalClock?: () => number
  /** A restored replica starts log time afresh: expired keys show again. */
  readonly logTimeLeftOutOfCheckpoint?: boolean
  /** FLUSHALL says OK and leaves the old generation in place. */
  readonly generationNotBumpedOnFlush?: boolean
  /** BITOP leaves the expiry that the destination had. */
  readonly bitopKeepsExpiry?: boolean
  /** A scan that has looked at enough keys at a slot's end goes on one slot too far. */
  readonly scanSkipsSlot?: boolean
  /** EXEC does not look at the watched versions. */
  readonly watchedVersionsIgnored?: boolean
  /** A late or doubled STAGE is taken, whatever was staged since. */
  readonly stageCursorIgnored?: boolean
  /** The source says that the slots are disabled, and serves on. */
  readonly disableNotApplied?: boolean
  /** The destination serves before everything is staged. */
  readonly enabledBeforeStaged?: boolean
  /** The destination forgets which writes the source has run. */
  readonly sessionsNotMoved?: boolean
  /** A key that is deleted during a move, and of which no journal tells, shows again at the destination. */
  readonly tombstonesNotKept?: boolean
  /** A restored replica owns what its group began with, and has no open move. */
  readonly slotsLeftOutOfCheckpoint?: boolean
  /** A restored replica knows nothing of open moves. */
  readonly movesLeftOutOfCheckpoint?: boolean
  /** The destination owns the slots from BEGIN on. */
  readonly servedFromBegin?: boolean
  /** PURGE_EXPIRED trusts the leader's scan instead of the key's modification index and expiry. */
  readonly purgeUnconditional?: boolean
}

export const NO_MUTATIONS: KvMutations = {}
