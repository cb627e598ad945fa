/**
 * WAIT numreplicas timeout. An acknowledged write is on a quorum's disks already, so once this connection's writes are answered, a
 * quorum less one (the leader) hold them: that is the answer, at once where it is enough. Where more is asked for, the command waits out its
 * time, as Redis does, and then says the same: what is known for certain. A timeout of 0 waits for ever.
 */
import type { Timer } from '../../ports/clock.ts'
import { errorReply, integerReply } from '../../protocol/resp-reply.ts'
import type { DoorReply, Handler } from './door.ts'
import { wordText } from './words.ts'

const INTEGER = /^(0|-?[1-9][0-9]{0,17})$/
const NOT_AN_INTEGER = errorReply('ERR value is not an integer or out of range')
const BAD_TIMEOUT = errorReply('ERR timeout is not an integer or out of range')
const NEGATIVE_TIMEOUT = errorReply('ERR timeout is negative')
/** What a timer can count; about 24 days. Longer waits end then. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** Inside EXEC nothing waits, as in Redis. */
export const waitReply: DoorReply = (door, _client, words) => {
  const refusal = refusalOf(wordText(words, 1), wordText(words, 2))
  return refusal ?? integerReply(door.options.nodeInfo.replicasHoldingWrites())
}

export const runWait: Handler = (door, connection) => {
  const { words } = connection
  const wanted = wordText(words, 1)
  const timeout = wordText(words, 2)
  const refusal = refusalOf(wanted, timeout)
  if (refusal !== null) {
    connection.answer(refusal)
    return true
  }
  if (connection.pendingCount > 0) return false
  const held = door.options.nodeInfo.replicasHoldingWrites()
  if (Number(wanted) <= held) {
    connection.answer(integerReply(held))
    return true
  }
  const whole = connection.openKeepingWords()
  let timer: Timer | null = null
  connection.beginExclusive(whole, () => timer?.cancel())
  if (Number(timeout) === 0) return true
  timer = door.clock.setTimer(Math.min(Number(timeout), MAX_TIMEOUT_MS), () =>
    connection.settle(whole, integerReply(held)),
  )
  return true
}

function refusalOf(wanted: string, timeout: string): Uint8Array | null {
  if (!INTEGER.test(wanted)) return NOT_AN_INTEGER
  if (!INTEGER.test(timeout)) return BAD_TIMEOUT
  return Number(timeout) < 0 ? NEGATIVE_TIMEOUT : null
}
