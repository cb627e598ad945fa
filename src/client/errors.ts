/**
 * How a call can fail. `mayHaveRun` is the question that matters to whoever sent a write: false means that it did not run and never will; true means
 * that nobody knows: read before you send it anew. A read has never "run".
 */

export type ClientErrorCode =
  | 'OutcomeUnknown'
  | 'Timeout'
  | 'NotResponsible'
  | 'Redirect'
  | 'Unreachable'
  | 'Busy'
  | 'ReplyLost'
  | 'Aborted'
  | 'Closed'
  | 'CommandError'
  | 'Usage'

export class QuorateClientError extends Error {
  readonly code: ClientErrorCode
  readonly mayHaveRun: boolean

  constructor(code: ClientErrorCode, message: string, mayHaveRun = false, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = code
    this.code = code
    this.mayHaveRun = mayHaveRun
  }
}

/** The deadline has passed, and the write may have run, or may still run until its retry time is over. */
export class OutcomeUnknown extends QuorateClientError {
  constructor(message: string, cause?: unknown) {
    super('OutcomeUnknown', message, true, cause)
  }
}

/** The deadline has passed without an answer; a write did not run. `cause` says what the last attempt met. */
export class Timeout extends QuorateClientError {
  constructor(message: string, cause?: unknown) {
    super('Timeout', message, false, cause)
  }
}

/** Until the deadline nobody served the slot: it has no leader, or it was on the move all the time. */
export class NotResponsible extends QuorateClientError {
  constructor(message: string, cause?: unknown) {
    super('NotResponsible', message, false, cause)
  }
}

/** Until the deadline nodes sent the request from one to the other. */
export class Redirect extends QuorateClientError {
  /** Where the last one pointed. */
  readonly address: string

  constructor(message: string, address: string) {
    super('Redirect', message)
    this.address = address
  }
}

/** Until the deadline no server of the list could be reached. */
export class Unreachable extends QuorateClientError {
  constructor(message: string) {
    super('Unreachable', message)
  }
}

/** The servers, or this client, had too much to do until the deadline. */
export class Busy extends QuorateClientError {
  constructor(message: string) {
    super('Busy', message)
  }
}

/** The write ran, once; its reply was too long to be kept for the attempt that asked again. */
export class ReplyLost extends QuorateClientError {
  constructor(message: string) {
    super('ReplyLost', message, true)
  }
}

/** The caller's signal ended the wait. */
export class Aborted extends QuorateClientError {
  constructor(mayHaveRun: boolean, reason: unknown) {
    super('Aborted', mayHaveRun ? 'aborted; the write may have run' : 'aborted', mayHaveRun, reason)
  }
}

/** close() came before the answer. */
export class Closed extends QuorateClientError {
  constructor(mayHaveRun: boolean) {
    super('Closed', mayHaveRun ? 'the client was closed; the write may have run' : 'the client is closed', mayHaveRun)
  }
}

/** The cluster's own error reply: a wrong type, a syntax error, a full disk. Nothing was changed. */
export class CommandError extends QuorateClientError {
  /** The reply's first word: `WRONGTYPE`, `ERR`, `DISKFULL`. */
  readonly replyCode: string

  constructor(reply: string) {
    super('CommandError', reply)
    this.replyCode = reply.split(' ', 1)[0]
  }
}

/** The call itself makes no sense; nothing was sent. */
export class UsageError extends QuorateClientError {
  constructor(message: string) {
    super('Usage', message)
  }
}
