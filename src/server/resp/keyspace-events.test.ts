import { describe, expect, it } from 'vitest'
import {
  keyspaceEventsText,
  NOTIFY_ALL,
  NOTIFY_KEYEVENT,
  NOTIFY_KEYSPACE,
  NOTIFY_STRING,
  parseKeyspaceEvents,
} from './keyspace-events.ts'

describe('notify-keyspace-events', () => {
  it('reads letters in any order, and shows them in one', () => {
    expect(parseKeyspaceEvents('E$K')).toBe(NOTIFY_KEYEVENT | NOTIFY_STRING | NOTIFY_KEYSPACE)
    expect(keyspaceEventsText(NOTIFY_KEYEVENT | NOTIFY_STRING | NOTIFY_KEYSPACE)).toBe('$KE')
  })

  it.each([
    ['KEA', 'AKE'],
    ['g$lshzxetd', 'A'],
    ['g$lshzxet', 'g$lshzxet'],
    ['mnKEgxe', 'gxenKEm'],
    ['An', 'A'],
    ['KK', 'K'],
    ['', ''],
  ])('%j is shown as %j', (text, shown) => {
    expect(keyspaceEventsText(parseKeyspaceEvents(text) ?? -1)).toBe(shown)
  })

  it('A stands for all classes but misses and new keys', () => {
    expect(parseKeyspaceEvents('A')).toBe(NOTIFY_ALL)
    expect(parseKeyspaceEvents('Am')).not.toBe(NOTIFY_ALL)
  })

  it('refuses other letters', () => {
    expect(parseKeyspaceEvents('KEQ')).toBeNull()
  })
})
