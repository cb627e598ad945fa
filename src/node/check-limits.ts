/**
 * Which limits fit together: what a client may send must fit a log entry, the entry half a log segment and one message between nodes. Checked
 * once, before anything is opened: each of these is an assertion deeper down, which would end the node in the middle of its work.
 */
import { MAX_MESSAGE_BYTES } from '../protocol/frame.ts'
import type { NodeError, NodeLimits } from './node-config.ts'

/** What LMDB's longest key leaves beside its prefix. */
export const MAX_KEY_BYTES_MAX = 1_962
/** One transaction may be larger than the largest value by this. */
const ENTRY_EXTRA_BYTES = 1024 * 1024
/** What carries an entry: headers of command, request, append message and frame, each far below 1 KiB. */
const ENVELOPE_BYTES = 4096
const BLOCK_BYTES = 4096
/** Key, options and headers of the command that writes one largest value. */
const COMMAND_EXTRA_BYTES = 8 * 1024

/** The payload of one log entry, so also of what is passed on to a leader. */
export function maxEntryBytesOf(limits: NodeLimits): number {
  return Math.min(limits.maxValueBytes + ENTRY_EXTRA_BYTES, Math.floor(limits.segmentBytes / 2) - ENVELOPE_BYTES)
}

/** Null: they fit. */
export function checkLimits(limits: NodeLimits): NodeError | null {
  const { maxKeyBytes, maxValueBytes, segmentBytes } = limits
  if (!isWithin(maxKeyBytes, 1, MAX_KEY_BYTES_MAX)) {
    return refusal(`the largest key is ${maxKeyBytes} bytes`, `choose 1 to ${MAX_KEY_BYTES_MAX}`)
  }
  const maxValueBytesMax = MAX_MESSAGE_BYTES - ENTRY_EXTRA_BYTES - ENVELOPE_BYTES
  if (!isWithin(maxValueBytes, 1, maxValueBytesMax)) {
    return refusal(`the largest value is ${maxValueBytes} bytes`, `choose 1 to ${maxValueBytesMax}`)
  }
  const segmentBytesMin = 2 * (maxValueBytes + COMMAND_EXTRA_BYTES + ENVELOPE_BYTES)
  if (!isWithin(segmentBytes, segmentBytesMin, 2 ** 30) || segmentBytes % BLOCK_BYTES !== 0) {
    const mend = `choose a multiple of ${BLOCK_BYTES} from ${segmentBytesMin} on, at most 1 GiB, or a smaller largest value`
    return refusal(`log segments of ${segmentBytes} bytes`, mend)
  }
  return null
}

function isWithin(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= least && value <= most
}

function refusal(what: string, mend: string): NodeError {
  return { code: 'limits', message: `these limits do not fit together: ${what}`, mend }
}
