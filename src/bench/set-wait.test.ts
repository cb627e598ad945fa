import { describe, expect, it } from 'vitest'
import { SetWaitBatch } from './set-wait-batch.ts'
import { SetWaitReplies } from './set-wait-replies.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')

describe('SetWaitBatch', () => {
  it('lays out SET and WAIT, and patches the key', () => {
    const batch = new SetWaitBatch({ pipeline: 1, setsPerWait: 1, replicas: 1, valueBytes: 3 })
    batch.setKey(0, 98_765)
    expect(batch.bytes.toString('latin1')).toBe(
      '*3\r\n$3\r\nSET\r\n$16\r\nkey:000000098765\r\n$3\r\nxxx\r\n*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$4\r\n5000\r\n',
    )
    expect(batch).toMatchObject({ replies: 2, sets: 1 })
    batch.setKey(0, 7)
    expect(batch.bytes.toString('latin1')).toContain('key:000000000007\r\n')
  })

  it.each([
    [0, 4, 0],
    [1, 8, 4],
    [2, 6, 2],
    [3, 6, 2],
    [4, 5, 1],
    [16, 5, 1],
  ])('4 SETs with a WAIT behind every %i bring %i replies', (setsPerWait, replies, waits) => {
    const batch = new SetWaitBatch({ pipeline: 4, setsPerWait, replicas: 1, valueBytes: 1 })
    const text = batch.bytes.toString('latin1')
    expect(batch.replies).toBe(replies)
    expect(text.split('WAIT').length - 1).toBe(waits)
    expect(text.split('SET').length - 1).toBe(4)
    if (waits > 0) expect(text.endsWith('5000\r\n')).toBe(true)
  })

  it('patches each of several keys in its own place', () => {
    const batch = new SetWaitBatch({ pipeline: 3, setsPerWait: 1, replicas: 1, valueBytes: 1 })
    for (let i = 0; i < 3; i++) batch.setKey(i, 100 + i)
    expect(batch.bytes.toString('latin1').match(/key:\d+/g)).toEqual([
      'key:000000000100',
      'key:000000000101',
      'key:000000000102',
    ])
    expect(() => batch.setKey(0, 1e12)).toThrow('more digits')
  })
})

describe('SetWaitReplies', () => {
  it('counts replies, however the stream is cut', () => {
    const stream = '+OK\r\n:1\r\n+OK\r\n:12\r\n'
    for (let cut = 0; cut <= stream.length; cut++) {
      const replies = new SetWaitReplies(1)
      replies.push(bytes(stream.slice(0, cut)))
      replies.push(bytes(stream.slice(cut)))
      expect(replies).toMatchObject({ count: 4, failure: null })
    }
  })

  it.each([
    ['+OK\r\n:0\r\n', 'WAIT reached 0 replicas, not 1'],
    ['-OOM command not allowed\r\n', 'error reply: OOM command not allowed'],
    ['$3\r\nabc\r\n', 'not a reply to SET or WAIT'],
    [':\r\n', 'WAIT reached 0 replicas, not 1'],
  ])('%j is a failure', (stream, failure) => {
    const replies = new SetWaitReplies(1)
    replies.push(bytes(stream))
    expect(replies.failure).toBe(failure)
  })

  it('keeps the first failure', () => {
    const replies = new SetWaitReplies(1)
    replies.push(bytes('-ERR one\r\n-ERR two\r\n'))
    expect(replies.failure).toBe('error reply: ERR one')
  })
})
