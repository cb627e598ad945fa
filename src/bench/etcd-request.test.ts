import { describe, expect, it } from 'vitest'
import { putRequest, rangeRequest } from './etcd-request.ts'

describe('etcd requests', () => {
  it('are the bytes of the protocol', () => {
    expect(Buffer.from(rangeRequest('ab')).toString('hex')).toBe('00' + '00000004' + '0a02' + '6162')
    expect(Buffer.from(putRequest('ab', Buffer.from('xyz'))).toString('hex')).toBe(
      '00' + '00000009' + '0a02' + '6162' + '1203' + '78797a',
    )
  })

  it('carry a value of 100 bytes', () => {
    const message = Buffer.from(putRequest('key:000000000001', Buffer.alloc(100, 'x')))
    expect(message.readUInt32BE(1)).toBe(message.length - 5)
    expect(message.subarray(-102).toString('latin1')).toBe(`\x12d${'x'.repeat(100)}`)
  })
})
