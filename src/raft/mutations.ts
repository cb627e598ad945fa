/**
 * Known bugs that the simulator can put back, one by one, to prove that its oracles would see them. Each is one `if` at
 * the place where the bug once stood in some system (sources: raft checklist; redisraft, etcd, CCF issues). All off in production.
 */
export interface RaftMutations {
  /** A vote leaves before it is on disk: after a crash the replica votes again in the same term. */
  readonly voteBeforeDisk: boolean
  /** A leader commits an entry of an earlier term by counting copies (paper 5.4.2, figure 8). */
  readonly countOldTermEntries: boolean
  /** Stepping down within a term forgets the vote (etcd 2461, CCF 8094). */
  readonly clearVoteInSameTerm: boolean
  /** A new leader appends nothing and does not wait for a commit of its own term before it answers reads (redisraft 18, 19). */
  readonly noNoop: boolean
  /** Reads are answered without asking a quorum whether the leader still leads. */
  readonly readIndexWithoutConfirmation: boolean
  /** Entries are handed out as committed when they are appended. */
  readonly applyBeforeCommit: boolean
  /** A membership is in force only once committed, and changes are not guarded. */
  readonly configurationLate: boolean
  /** The leader counts its own copy before its disk has it. */
  readonly noPersistOnSelfCount: boolean
  /** A follower acknowledges entries before its disk has them. */
  readonly appendAckBeforeDisk: boolean
}

export const NO_MUTATIONS: RaftMutations = {
  voteBeforeDisk: false,
  countOldTermEntries: false,
  clearVoteInSameTerm: false,
  noNoop: false,
  readIndexWithoutConfirmation: false,
  applyBeforeCommit: false,
  configurationLate: false,
  noPersistOnSelfCount: false,
  appendAckBeforeDisk: false,
}
