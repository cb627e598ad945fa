// What a walk by SCAN owes its caller while keys come and go.
import { describe, expect, it } from 'vitest'
import { Prng } from '../base/prng.ts'
import type { RespValue } from './resp-reader.ts'
import { SessionScan } from './session-scan.ts'

const names = (certain: string, maybe = ''): { certain: Set<string>; possible: Set<string> } => ({
  certain: new Set(certain),
  possible: new Set(certain + maybe),
})

function page(cursor: string, keys: string): RespValue {
  const bulk = (text: string): RespValue => ({ kind: 'bulk', text })
  return { kind: 'array', items: [bulk(cursor), { kind: 'array', items: [...keys].map(bulk) }] }
}

const begin = (certain: string, maybe = ''): SessionScan => new SessionScan(new Prng(1), ['*'], names(certain, maybe))

describe('a walk', () => {
  it('returns what is there all the time, in any order and more than once', () => {
    const scan = begin('abc')
    expect(scan.take(page('7', 'ba'))).toBeNull()
    expect(scan.done).toBe(false)
    expect(scan.next().slice(0, 2)).toEqual(['SCAN', '7'])
    expect(scan.take(page('0', 'cb'))).toBeNull()
    expect(scan.done).toBe(true)
  })

  it('may leave out what came, went, or is not certain', () => {
    const scan = begin('ab', 'x')
    scan.take(page('7', 'a'))
    scan.note(names('a', 'b'))
    scan.note(names('abn'))
    expect(scan.take(page('0', 'n'))).toBeNull()
  })

  it('leaves out nothing else, and makes nothing up', () => {
    expect(begin('ab').take(page('0', 'a'))).toContain('left out b')
    expect(begin('ab', 'x').take(page('5', 'abx'))).toBeNull()
    expect(begin('ab').take(page('5', 'abz'))).toContain('z was never there')
  })
})
