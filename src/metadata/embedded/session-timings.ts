/**
 * The times of one session's holder, all from its timeout T, counted on the holder's monotonic clock:
 *
 *   0 ------- T/6 ------------ T/3 ------------- 2T/3 ------------- T
 *   sent      a master that    the next          suspended          the leader may
 *             is silent is     keepalive         (unless answered)  propose EXPIRE
 *             left (1.5 s)
 *
 * A master that answers, but not what the leader must say, is left after T/3 (3 s at most). Two masters in a row may be dead and the third is still
 * asked before `suspended`.
 */
import { assert } from '../../base/assert.ts'

export const SESSION_TIMEOUT_DEFAULT_MS = 10_000
const TIMEOUT_MIN_MS = 1_000
const TIMEOUT_MAX_MS = 60_000
const SILENT_MAX_MS = 1_500
const STALLED_MAX_MS = 3_000
const RESEND_MAX_MS = 500
const TICK_MIN_MS = 20
const TICK_MAX_MS = 100

export interface SessionTimings {
  readonly timeoutMs: number
  readonly keepaliveMs: number
  readonly suspendAfterMs: number
  /** A master that says nothing for so long, while it is waited for, is left for the next. */
  readonly silentMs: number
  /** The same for one that talks, but does not answer. */
  readonly stalledMs: number
  /** What is not answered, or refused, is sent again after this time. */
  readonly resendMs: number
  /** From the call of an operation to its answer, whatever that is. */
  readonly operationMs: number
  readonly tickMs: number
}

export function sessionTimings(timeoutMs: number, operationMs: number): SessionTimings {
  assert(
    timeoutMs >= TIMEOUT_MIN_MS && timeoutMs <= TIMEOUT_MAX_MS,
    'a metadata session times out after 1 to 60 seconds',
  )
  assert(operationMs > 0, 'an operation has time')
  return {
    timeoutMs,
    keepaliveMs: timeoutMs / 3,
    suspendAfterMs: (timeoutMs * 2) / 3,
    silentMs: Math.min(timeoutMs / 6, SILENT_MAX_MS),
    stalledMs: Math.min(timeoutMs / 3, STALLED_MAX_MS),
    resendMs: Math.min(timeoutMs / 20, RESEND_MAX_MS),
    operationMs,
    tickMs: Math.min(Math.max(timeoutMs / 100, TICK_MIN_MS), TICK_MAX_MS),
  }
}
