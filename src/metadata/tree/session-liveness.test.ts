import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asTerm } from '../../base/brand.ts'
import { COUNTED_STEP_MAX_MS, SessionLiveness } from './session-liveness.ts'

const TERM = asTerm(7)

/** Passes time as an owner does that looks every 100 ms; what was due on the way. */
function pass(liveness: SessionLiveness, fromMs: number, toMs: number): number[] {
  const due: number[] = []
  for (let now = fromMs; now < toMs; now += 100) due.push(...liveness.due(now, 1000))
  return [...due, ...liveness.due(toMs, 1000)]
}

describe('session liveness', () => {
  it('a session is due when it was not heard of for its timeout, not before', () => {
    const liveness = new SessionLiveness(TERM, [{ id: 1, timeoutMs: 1000 }], 0)
    expect(pass(liveness, 0, 900)).toEqual([])
    expect(liveness.heard(1, 900)).toBe(true)
    expect(pass(liveness, 900, 1899)).toEqual([])
    expect(liveness.due(1900, 10)).toEqual([1])
    expect(liveness.term).toBe(TERM)
  })

  it('a new leader gives every session its full time', () => {
    const sessions = [
      { id: 1, timeoutMs: 1000 },
      { id: 2, timeoutMs: 3000 },
    ]
    const old = new SessionLiveness(asTerm(1), sessions, 0)
    expect(pass(old, 0, 1000)).toEqual([1])
    const next = new SessionLiveness(asTerm(2), sessions, 1000)
    expect(pass(next, 1000, 1999)).toEqual([])
    expect(pass(next, 1999, 3999)).toEqual([1, 1])
    expect(pass(next, 3999, 4000)).toEqual([2])
  })

  it('what was named gets no word of being alive, and is named again until it has ended', () => {
    const liveness = new SessionLiveness(TERM, [{ id: 1, timeoutMs: 1000 }], 0)
    expect(pass(liveness, 0, 1000)).toEqual([1])
    expect(liveness.heard(1, 1001)).toBe(false)
    expect(pass(liveness, 1001, 1999)).toEqual([])
    expect(pass(liveness, 1999, 2000)).toEqual([1])
    liveness.ended(1)
    expect(pass(liveness, 2000, 9000)).toEqual([])
    expect(liveness.heard(1, 9000)).toBe(false)
    liveness.ended(1)
    expect(liveness.count).toBe(0)
  })

  it("the leader's own pause is not the sessions' silence", () => {
    const liveness = new SessionLiveness(TERM, [{ id: 1, timeoutMs: 1000 }], 0)
    expect(pass(liveness, 0, 400)).toEqual([])
    // It stood still for a minute; of that half a second counts.
    expect(liveness.due(60_400, 10)).toEqual([])
    expect(liveness.heard(1, 60_401)).toBe(true)
    expect(pass(liveness, 60_401, 61_400)).toEqual([])
    expect(pass(liveness, 61_400, 61_401)).toEqual([1])
    // A clock that is asked backwards counts nothing.
    expect(liveness.due(0, 10)).toEqual([])
  })

  it('names no more than it is asked for at once, the longest overdue first', () => {
    const sessions = Array.from({ length: 100 }, (_, i) => ({ id: i + 1, timeoutMs: 200 + i }))
    const liveness = new SessionLiveness(TERM, sessions, 0)
    pass(liveness, 0, 100)
    const [all, none] = [sessions.map(({ id }) => id), [] as number[]]
    expect(liveness.due(350, 60)).toEqual(all.slice(0, 60))
    expect(liveness.due(350, 30)).toEqual(all.slice(60, 90))
    expect(liveness.due(350, 30)).toEqual(all.slice(90))
    expect(liveness.due(350, 30)).toEqual(none)
  })

  it('agrees with a list that is looked through, and forgets what has ended', () => {
    const step = fc.record({
      kind: fc.constantFrom<'open' | 'end' | 'heard' | 'wait'>('open', 'end', 'heard', 'wait', 'wait'),
      which: fc.nat({ max: 9 }),
      ms: fc.nat({ max: COUNTED_STEP_MAX_MS }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const liveness = new SessionLiveness(TERM, [], 0)
        const model = new Map<number, { timeoutMs: number; atMs: number; named: boolean }>()
        let now = 0
        let last = 0
        for (const { kind, which, ms } of steps) {
          const ids = [...model.keys()]
          const id = ids[which % Math.max(ids.length, 1)] ?? 0
          if (kind === 'open') {
            model.set(++last, { timeoutMs: 100 + ms * 3, atMs: now + 100 + ms * 3, named: false })
            liveness.opened(last, 100 + ms * 3, now)
          } else if (kind === 'end') {
            model.delete(id)
            liveness.ended(id)
          } else if (kind === 'heard') {
            const session = model.get(id)
            const alive = session !== undefined && !session.named
            if (alive) session.atMs = now + session.timeoutMs
            expect(liveness.heard(id, now)).toBe(alive)
          } else {
            now += ms
            const due: number[] = []
            for (const [other, session] of model) {
              if (session.atMs > now) continue
              due.push(other)
              session.named = true
              session.atMs = now + 1000
            }
            expect(liveness.due(now, 1000).sort((a, b) => a - b)).toEqual(due)
          }
          expect(liveness.count).toBe(model.size)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('a hundred thousand sessions that are heard of cost little', () => {
    const sessions = Array.from({ length: 100_000 }, (_, i) => ({ id: i + 1, timeoutMs: 10_000 }))
    const liveness = new SessionLiveness(TERM, sessions, 0)
    for (let now = 0; now <= 30_000; now += 500) {
      if (now % 5000 === 0) for (const { id } of sessions) liveness.heard(id, now)
      expect(liveness.due(now, 10)).toEqual([])
    }
    for (let id = 1; id < 100_000; id++) liveness.ended(id)
    expect(liveness.count).toBe(1)
  })
})
