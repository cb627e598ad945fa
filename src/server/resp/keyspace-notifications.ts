/**
 * Keyspace notifications: what happens to keys, as messages on the channels `__keyspace@0__:KEY` and `__keyevent@0__:EVENT`, by the flags of
 * notify-keyspace-events. Each node has flags of its own, and tells its own subscribers; of which keys it hears is the node's affair.
 */
import { concatBytes, latin1Bytes } from '../../base/bytes.ts'
import type { Door } from './door.ts'
import {
  NOTIFY_EXPIRED,
  NOTIFY_GENERIC,
  NOTIFY_KEY_MISS,
  NOTIFY_KEYEVENT,
  NOTIFY_KEYSPACE,
  NOTIFY_NEW,
  NOTIFY_STRING,
} from './keyspace-events.ts'

const FLAGS: Readonly<Record<string, number>> = {
  string: NOTIFY_STRING,
  generic: NOTIFY_GENERIC,
  expired: NOTIFY_EXPIRED,
  new: NOTIFY_NEW,
  miss: NOTIFY_KEY_MISS,
}
const KEYSPACE_CHANNEL = latin1Bytes('__keyspace@0__:')
const KEYEVENT_CHANNEL = latin1Bytes('__keyevent@0__:')

/** Asked again whenever the flags may have changed. */
export function listenByFlags(door: Door): void {
  const flags = door.config.keyspaceEvents
  const heard = (flags & (NOTIFY_KEYSPACE | NOTIFY_KEYEVENT)) !== 0
  door.bus.listenToKeys(heard ? (kind, name, key) => notify(door, flags, kind, name, key) : null)
}

function notify(door: Door, flags: number, kind: string, name: string, key: Uint8Array): void {
  if ((flags & (FLAGS[kind] ?? 0)) === 0) return
  const event = latin1Bytes(name)
  if ((flags & NOTIFY_KEYSPACE) !== 0) door.subscriptions.deliver(concatBytes([KEYSPACE_CHANNEL, key]), event)
  if ((flags & NOTIFY_KEYEVENT) !== 0) door.subscriptions.deliver(concatBytes([KEYEVENT_CHANNEL, event]), key)
}
