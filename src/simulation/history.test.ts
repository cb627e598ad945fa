import { describe, expect, it } from 'vitest'
import { HistoryRecorder } from './history.ts'

function recorder(maxOperations = 10): { history: HistoryRecorder<string, number>; passMs: (ms: number) => void } {
  let nowMs = 100
  return {
    history: new HistoryRecorder<string, number>({ nowMs: () => nowMs, maxOperations }),
    passMs: (ms) => {
      nowMs += ms
    },
  }
}

describe('HistoryRecorder', () => {
  it('orders calls and returns as they happen, even at one moment', () => {
    const { history } = recorder()
    const a = history.call(1, 'x', 'first')
    history.ok(a, 7)
    const b = history.call(2, 'x', 'second')
    history.failed(b)
    const [first, second] = history.history()
    expect(first).toMatchObject({ client: 1, key: 'x', operation: 'first', outcome: { kind: 'ok', result: 7 } })
    expect(first.calledAtMs).toBe(second.calledAtMs)
    expect(first.returnOrder).toBeLessThan(second.callOrder)
    expect(second.outcome.kind).toBe('failed')
  })

  it('lets an unknown operation return never, whenever its client gave up', () => {
    const { history, passMs } = recorder()
    const a = history.call(1, 'x', 'op')
    passMs(50)
    history.unknown(a)
    expect(history.history()[0]).toMatchObject({
      outcome: { kind: 'unknown' },
      returnOrder: Infinity,
      returnedAtMs: 150,
    })
  })

  it('counts operations still open as unknown, and keeps them open', () => {
    const { history } = recorder()
    const a = history.call(1, 'x', 'op')
    expect(history.history()[0]).toMatchObject({ outcome: { kind: 'unknown' }, returnedAtMs: Infinity })
    expect(history.isOpen(a)).toBe(true)
    history.ok(a, 1)
    expect(history.history()[0].outcome).toEqual({ kind: 'ok', result: 1 })
  })

  it('refuses a second return, and a call beyond its bound', () => {
    const { history } = recorder(1)
    const a = history.call(1, 'x', 'op')
    history.ok(a, 1)
    expect(() => history.ok(a, 1)).toThrow('returns once')
    expect(history.full).toBe(true)
    expect(() => history.call(1, 'x', 'op')).toThrow('maxOperations')
  })
})
