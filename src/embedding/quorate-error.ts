/**
 * What startNode and startLocalCluster reject with. Its own fields alone tell the failures apart: no caller need look into the message.
 */

/** Machine-readable names of what can go wrong; see `docs/embedding.md` for each. Later versions may add to them. */
export type QuorateErrorCode =
  | 'usage'
  | 'limits'
  | 'aborted'
  | 'stopped'
  | 'closed'
  | 'not-ready'
  | 'node-failed'
  | 'no-node'
  | 'locked'
  | 'port-taken'
  | 'port-denied'
  | 'host-unusable'
  | 'wrong-port'
  | 'other-shape'
  | 'exists'
  | 'foreign-directory'
  | 'not-a-directory'
  | 'unreadable'
  | 'no-space'
  | 'data-directory'
  | 'node-missing'
  | 'corrupt-identity'
  | 'corrupt-cluster-file'
  | 'corrupt'
  | 'wiped'
  | 'newer-format'
  | 'older-format'
  | (string & {})

export class QuorateError extends Error {
  override readonly name: string = 'QuorateError'
  /** Which failure it is: lower case, words joined by '-'. */
  readonly code: QuorateErrorCode
  /** What the reader can do about it, in one line. `message` says what is wrong, naming the path, port or option. */
  readonly mend: string

  constructor(code: QuorateErrorCode, message: string, mend: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
    this.mend = mend
  }
}
