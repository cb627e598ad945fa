/**
 * CLUSTER COUNTKEYSINSLOT and GETKEYSINSLOT. Redis Cluster's slots are finer than the cluster's own: the own slot's keys are walked, wherever that slot is, and
 * those of the asked slot are picked. They stand alone on their connection, as SCAN does.
 */
import { asSlotId } from '../../../base/brand.ts'
import { REDIS_SLOT_COUNT, redisSlot } from '../../../base/slot.ts'
import { arrayReply, bulkContent, errorReply, integerReply } from '../../../protocol/resp-reply.ts'
import type { RespConnection } from '../connection.ts'
import type { Door, Handler } from '../door.ts'
import { KEYS_PER_STEP, NO_FILTER, Walk } from '../scan.ts'
import { wordText } from '../words.ts'
import { NO_CLUSTER } from './cluster-command.ts'

const NOT_AN_INTEGER = errorReply('ERR value is not an integer or out of range')
const INVALID_SLOT = errorReply('ERR Invalid slot')
const INVALID_SLOT_OR_COUNT = errorReply('ERR Invalid slot or number of keys')
/** Of one GETKEYSINSLOT's reply. */
const MAX_REPLY_BYTES = 16 * 1024 * 1024

function integerAt(connection: RespConnection, word: number): number | null {
  const text = wordText(connection.words, word)
  return /^(0|-?[1-9][0-9]{0,17})$/.test(text) ? Number(text) : null
}

export const runCountKeysInSlot: Handler = (door, connection) => {
  const slot = integerAt(connection, 2)
  const refusal = refusalOf(door, slot, 0, INVALID_SLOT)
  if (refusal !== null || slot === null) return refuse(connection, refusal ?? NOT_AN_INTEGER)
  let count = 0
  return walk(
    door,
    connection,
    slot,
    () => {
      count++
      return true
    },
    () => integerReply(count),
  )
}

export const runGetKeysInSlot: Handler = (door, connection) => {
  const slot = integerAt(connection, 2)
  const limit = integerAt(connection, 3)
  const refusal = limit === null ? NOT_AN_INTEGER : refusalOf(door, slot, limit, INVALID_SLOT_OR_COUNT)
  if (refusal !== null || slot === null || limit === null) return refuse(connection, refusal ?? NOT_AN_INTEGER)
  const found: Uint8Array[] = []
  let bytes = 0
  return walk(
    door,
    connection,
    slot,
    (key) => {
      if (found.length < limit) found.push(key)
      bytes += key.length
      return found.length < limit && bytes < MAX_REPLY_BYTES
    },
    () => arrayReply(found),
  )
}

function refusalOf(door: Door, slot: number | null, limit: number, outside: Uint8Array): Uint8Array | null {
  if (door.shape === null) return NO_CLUSTER
  if (slot === null) return NOT_AN_INTEGER
  return slot < 0 || slot >= REDIS_SLOT_COUNT || limit < 0 ? outside : null
}

function refuse(connection: RespConnection, reply: Uint8Array): true {
  connection.answer(reply)
  return true
}

/** `take` gets each key of the slot as a reply, and says whether it wants more. */
function walk(
  door: Door,
  connection: RespConnection,
  slot: number,
  take: (key: Uint8Array) => boolean,
  end: () => Uint8Array,
): boolean {
  if (connection.pendingCount > 0) return false
  const own = asSlotId(Math.floor((slot * door.router.slotCount) / REDIS_SLOT_COUNT))
  const steps = new Walk(connection, NO_FILTER, KEYS_PER_STEP, (keys, next) => {
    for (const key of keys) {
      const bytes = bulkContent(key)
      // The walk may have gone on into the next slot of the group.
      if (redisSlot(bytes) === slot && !take(key)) return end()
    }
    return next.slot > own ? end() : next
  })
  steps.step({ slot: own, position: 0 })
  return true
}
