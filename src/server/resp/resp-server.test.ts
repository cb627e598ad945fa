import { describe, expect, it } from 'vitest'
import { DoorWorld } from './door.testkit.ts'

function lines(...text: string[]): string {
  return text.map((line) => `${line}\r\n`).join('')
}

describe('smoke', () => {
  it('sets and gets', () => {
    const client = new DoorWorld().connect()
    expect(client.exchange(lines('SET a 1', 'GET a', 'GET b', 'INCR a', 'DEL a b', 'MGET a b'))).toBe(
      lines('+OK', '$1', '1', '$-1', ':2', ':1', '*2', '$-1', '$-1'),
    )
  })
})
