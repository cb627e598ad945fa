/**
 * What a group's state machine is made with. Everything here but the mutations is part of the group's genesis: it must be
 * the same on every replica and stay the same for the group's life, because apply depends on it. (A node that is started
 * with other limits refuses larger keys and values at its door, by `checkSyntax`; the log's own limits stay.)
 */

import { assert } from '../base/assert.ts'
import { REDIS_SLOT_COUNT } from '../base/slot.ts'
import type { KeyEventSink } from './key-events.ts'
import type { KvMutations } from './mutations.ts'

/** Bounds on one command. `checkSyntax` and apply both hold to them. */
export interface KvLimits {
  readonly maxKeyBytes: number
  readonly maxValueBytes: number
}

export const DEFAULT_KV_LIMITS: KvLimits = { maxKeyBytes: 1024, maxValueBytes: 8 * 1024 * 1024 }

/** Bounds on what exactly-once may keep. */
export interface SessionLimits {
  /** Results of one session in one slot, from its lowest unanswered sequence on. */
  readonly maxResults: number
  /** A larger reply is kept as "done" only. */
  readonly maxReplyBytes: number
  /** All records of the group, as counted in session-table.ts. */
  readonly maxTotalBytes: number
}

export const DEFAULT_SESSION_LIMITS: SessionLimits = {
  maxResults: 256,
  maxReplyBytes: 4096,
  maxTotalBytes: 32 * 1024 * 1024,
}

export interface KvOptions {
  /** A power of two, 1..16384. */
  readonly slotCount: number
  /** The slots that the group owns at genesis, as [first, last] with both ends. */
  readonly ownedSlots: readonly (readonly [number, number])[]
  readonly maxKeyBytes?: number
  readonly maxValueBytes?: number
  readonly sessionLimits?: Partial<SessionLimits>
  readonly mutations?: KvMutations
  /** Not part of the genesis either: nothing that is replicated rests on it. */
  readonly events?: KeyEventSink
}

export function checkKvOptions(options: KvOptions): void {
  const { slotCount } = options
  assert(
    Number.isInteger(Math.log2(slotCount)) && slotCount >= 1 && slotCount <= REDIS_SLOT_COUNT,
    `slot count ${slotCount} is not a power of two in 1..${REDIS_SLOT_COUNT}`,
  )
  for (const [first, last] of options.ownedSlots) {
    assert(first >= 0 && first <= last && last < slotCount, `slots ${first}-${last} are not within 0-${slotCount - 1}`)
  }
}

/** Bytes of one command's reply, and of EXEC's before its next command: beyond, an error stands in place of the values. */
export const MAX_REPLY_BYTES = 64 * 1024 * 1024
