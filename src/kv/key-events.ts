/**
 * What happens to keys, as Redis's keyspace notifications name it. Every change of a key names its event, so none is forgotten; where
 * nobody listens that costs one look at `wanted`.
 */

/** The classes of notify-keyspace-events: $ g x n m. */
export type KeyEventKind = 'string' | 'generic' | 'expired' | 'new' | 'miss'

export interface KeyEvent {
  readonly kind: KeyEventKind
  readonly name: string
}

/** Takes the events of one replica. Replicas emit what they apply, each entry once; a miss is emitted where the read runs. */
export interface KeyEventSink {
  readonly wanted: boolean
  /** `key` is a view. */
  emit(event: KeyEvent, key: Uint8Array): void
}

export const NO_KEY_EVENTS: KeyEventSink = { wanted: false, emit() {} }

const string = (name: string): KeyEvent => ({ kind: 'string', name })
const generic = (name: string): KeyEvent => ({ kind: 'generic', name })

export const EVENT_SET: KeyEvent = string('set')
export const EVENT_INCRBY: KeyEvent = string('incrby')
export const EVENT_INCRBYFLOAT: KeyEvent = string('incrbyfloat')
export const EVENT_APPEND: KeyEvent = string('append')
export const EVENT_SETRANGE: KeyEvent = string('setrange')
export const EVENT_SETBIT: KeyEvent = string('setbit')
export const EVENT_DEL: KeyEvent = generic('del')
export const EVENT_EXPIRE: KeyEvent = generic('expire')
export const EVENT_PERSIST: KeyEvent = generic('persist')
export const EVENT_RENAME_FROM: KeyEvent = generic('rename_from')
export const EVENT_RENAME_TO: KeyEvent = generic('rename_to')
export const EVENT_COPY_TO: KeyEvent = generic('copy_to')
export const EVENT_RESTORE: KeyEvent = generic('restore')
export const EVENT_EXPIRED: KeyEvent = { kind: 'expired', name: 'expired' }
export const EVENT_NEW: KeyEvent = { kind: 'new', name: 'new' }
export const EVENT_MISS: KeyEvent = { kind: 'miss', name: 'keymiss' }
