/**
 * What operators and programs ask of the cluster as a whole: the ShardMaster's calls, and questions about nodes, groups and moves. Any node takes them;
 * writes go to the active master, wherever it is. Arguments and answers are JSON values: they go out as they are, over every door.
 */

export interface AdminError {
  /** For programs: see master/master-error.ts and node/cluster/. */
  readonly code: string
  readonly message: string
  /** What to do about it. */
  readonly mend: string
}

export type AdminArguments = Readonly<Record<string, unknown>>

/** Exactly one of the two says something: `answer` is null where `error` is not. Called once, as an event of its own. */
export type AdminDone = (error: AdminError | null, answer: unknown) => void

export interface ClusterAdmin {
  /** An unknown call, or arguments that do not fit it, are errors that name them. */
  call(name: string, args: AdminArguments, done: AdminDone): void
}
