// What `quorate verify` may and may not believe: each lie of a cluster is found, and no honest answer is called one.
import { describe, expect, it } from 'vitest'
import { CasChain } from './cas-chain.ts'
import { CounterModel } from './counter-model.ts'
import { KeyModel } from './key-model.ts'
import { LatencyHistogram } from './latency-histogram.ts'

const SESSION = 7

describe('a key of one client', () => {
  it('holds what was written last', () => {
    const model = new KeyModel('k')
    expect(model.read(null, 0)).toBeNull()
    model.wrote('1', SESSION, 0)
    expect(model.read('1', 0)).toBeNull()
    expect(model.read(null, 0)).toMatch(/k holds nothing, not "1"/)
    model.wrote('2', SESSION, 0)
    expect(model.read('1', 0)).toMatch(/holds "1", not "2"/)
  })

  it('may hold a write of unknown outcome, once, until a later one of the session is answered', () => {
    const model = new KeyModel('k')
    model.wrote('1', SESSION, 0)
    model.writeUnknown('2', SESSION, 0)
    expect(model.read('1', 1)).toBeNull()
    expect(model.read('2', 2)).toBeNull()
    expect(model.read('1', 3)).toMatch(/holds "1", not "2"/)
    model.wrote('3', SESSION, 4)
    model.writeUnknown('4', SESSION, 5)
    model.wrote('5', SESSION, 6)
    expect(model.read('4', 7)).toMatch(/holds "4", not "5"/)
  })

  it('may hold it longer where the session has changed, and no longer than writes are retried', () => {
    const model = new KeyModel('k')
    model.writeUnknown('1', SESSION, 0)
    model.wrote('2', SESSION + 1, 1)
    expect(model.read('1', 2)).toBeNull()
    model.writeUnknown('3', null, 3)
    model.wrote('4', SESSION + 1, 4)
    expect(model.read('4', 70_000)).toBeNull()
    expect(model.read('3', 70_001)).toMatch(/holds "3", not "4"/)
  })

  it('is compared with what it may hold', () => {
    const model = new KeyModel('k')
    model.wrote('1', SESSION, 0)
    expect(model.compared('1', '2', { ok: true }, SESSION, 1)).toBeNull()
    expect(model.compared('x', '3', { ok: false, current: '2' }, SESSION, 2)).toBeNull()
    expect(model.compared('x', '3', { ok: true }, SESSION, 3)).toMatch(/compare-and-set of "x" was done/)
    expect(model.compared('3', '4', { ok: false, current: '3' }, SESSION, 4)).toMatch(/was refused with "3"/)
    expect(model.compared('9', '5', { ok: false, current: '8' }, SESSION, 5)).toMatch(/refused with "8"/)
  })
})

describe('a counter of one client', () => {
  it('is exact, but for what is unknown', () => {
    const counter = new CounterModel('n')
    expect(counter.counted(1, SESSION, 0)).toBeNull()
    expect(counter.counted(3, SESSION, 0)).toMatch(/n counts 3, not 2/)
    counter.unknown(SESSION, 0)
    expect(counter.counted(5, SESSION, 0)).toBeNull()
    expect(counter.counted(7, SESSION, 0)).toMatch(/counts 7, not 6/)
    counter.unknown(SESSION, 0)
    expect(counter.read('9')).toMatch(/counts 9, not 7 to 8/)
    expect(counter.read('8')).toBeNull()
    expect(counter.counted(8, SESSION + 1, 0)).toBeNull()
    // The unknown one of the old session may come still.
    expect(counter.counted(10, SESSION + 1, 1)).toBeNull()
    expect(counter.counted(11, null, 61_000)).toBeNull()
    expect(counter.counted(13, SESSION + 1, 61_001)).toMatch(/counts 13, not 12/)
  })
})

describe('a register of several clients', () => {
  it('is one chain, in whatever order its answers come', () => {
    const chain = new CasChain()
    chain.succeeded('a', 'b')
    chain.succeeded(null, 'a')
    chain.unknown('b', 'c')
    chain.unknown('b', 'x')
    chain.unknown('c', 'd')
    chain.succeeded('d', 'e')
    chain.unknown('e', 'f')
    chain.finish('f')
    expect(chain.problems).toEqual([])
    expect(chain.length).toBe(6)
  })

  it('shows a fork, a lost update and a wrong end', () => {
    const fork = new CasChain()
    fork.succeeded('a', 'b')
    fork.succeeded('a', 'c')
    fork.succeeded(null, 'a')
    fork.finish('c')
    expect(fork.problems.join()).toMatch(/"a" was replaced twice: by "b" and by "c"/)

    const late = new CasChain()
    late.succeeded(null, 'a')
    late.succeeded('a', 'b')
    late.succeeded('a', 'c')
    late.finish('b')
    expect(late.problems).toEqual(['the update of "a" to "c" was acknowledged and is lost'])

    const end = new CasChain()
    end.succeeded(null, 'a')
    end.finish(null)
    expect(end.problems).toEqual(['the register holds nothing, but its last known value is "a"'])

    const gap = new CasChain()
    gap.succeeded('nobody wrote it', 'b')
    gap.finish('b')
    expect(gap.problems).toHaveLength(2)
  })
})

it('percentiles are within 5%', () => {
  const histogram = new LatencyHistogram()
  expect(histogram.percentile(0.99)).toBe(0)
  for (let ms = 1; ms <= 1000; ms++) histogram.record(ms)
  for (const [share, expected] of [
    [0.5, 500],
    [0.99, 990],
    [0.999, 999],
  ]) {
    expect(Math.abs(histogram.percentile(share) / expected - 1)).toBeLessThan(0.05)
  }
  expect(histogram.percentile(1)).toBe(1000)
})
