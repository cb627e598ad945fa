import { expect, test } from 'vitest'
import { Scheduler } from './scheduler.ts'
import { SimClock } from './sim-clock.ts'

function make(options: Partial<ConstructorParameters<typeof SimClock>[1]> = {}): [Scheduler, SimClock] {
  const scheduler = new Scheduler(1)
  return [scheduler, new SimClock(scheduler, { label: 'n1', wallStartMs: 1000, timerLatenessMaxMs: 0, ...options })]
}

test('a fast clock sees its timers early, by true time', () => {
  const [scheduler, clock] = make({ rate: 1.25, monotonicStartMs: 70 })
  let firedAtMs = 0
  clock.setTimer(100, () => {
    firedAtMs = scheduler.nowMs
  })
  scheduler.runUntil(200)
  expect(firedAtMs).toBe(80)
  expect(clock.monotonicMs()).toBe(70 + 250)
  expect(clock.wallMs()).toBe(1000 + 250)
})

test('a changed rate holds from then on; monotonic time never jumps', () => {
  const [scheduler, clock] = make()
  scheduler.runUntil(100)
  clock.setRate(2)
  expect(clock.monotonicMs()).toBe(100)
  scheduler.runUntil(150)
  expect(clock.monotonicMs()).toBe(200)
})

test('a step of wall time moves nothing else', () => {
  const [scheduler, clock] = make()
  scheduler.runUntil(10)
  clock.stepWall(-500)
  expect(clock.wallMs()).toBe(510)
  expect(clock.monotonicMs()).toBe(10)
  clock.stepWall(-10_000)
  expect(clock.wallMs()).toBe(0)
})

test('timers fire up to so much late, never early; cancelled ones never', () => {
  const [scheduler, clock] = make({ timerLatenessMaxMs: 5 })
  const firedAtMs: number[] = []
  for (let i = 0; i < 100; i++) clock.setTimer(10, () => firedAtMs.push(scheduler.nowMs))
  clock.setTimer(1, () => firedAtMs.push(-1)).cancel()
  scheduler.runUntil(100)
  expect(firedAtMs.length).toBe(100)
  expect(Math.min(...firedAtMs)).toBeGreaterThanOrEqual(10)
  expect(Math.max(...firedAtMs)).toBeGreaterThan(14)
  expect(Math.max(...firedAtMs)).toBeLessThanOrEqual(15)
})

test('a killed process runs nothing, and takes no new timers; the next one goes on with the machine`s time', () => {
  const [scheduler, clock] = make({ rate: 2 })
  const ran: string[] = []
  clock.setTimer(10, () => ran.push('timer'))
  clock.defer(() => ran.push('deferred'))
  clock.stepWall(7)
  clock.kill()
  clock.setTimer(1, () => ran.push('late timer'))
  clock.deliver(() => ran.push('delivered'))
  scheduler.runUntil(100)
  expect(ran).toEqual([])
  const next = clock.successor()
  expect(next.monotonicMs()).toBe(200)
  expect(next.wallMs()).toBe(1207)
  next.defer(() => ran.push('alive'))
  scheduler.runUntil(101)
  expect(ran).toEqual(['alive'])
})

test('a paused process hears everything afterwards, in order, before anything newer', () => {
  const [scheduler, clock] = make()
  const ran: string[] = []
  clock.setTimer(10, () => ran.push('ten'))
  const cancelledByTen = clock.setTimer(12, () => ran.push('cancelled in time'))
  clock.setTimer(11, () => cancelledByTen.cancel())
  clock.setTimer(20, () => ran.push('twenty'))
  clock.setTimer(50, () => ran.push('fifty'))
  scheduler.runUntil(5)
  clock.pause()
  scheduler.after(10, 'network', () => clock.deliver(() => ran.push('fifteen')))
  scheduler.runUntil(50)
  expect(ran).toEqual([])
  // In the same instant as the end of the pause, but later than what was held back.
  scheduler.after(0, 'network', () => clock.deliver(() => ran.push('new')))
  clock.resume()
  scheduler.runUntil(50)
  expect(ran).toEqual(['ten', 'fifteen', 'twenty', 'fifty', 'new'])
})

test('paused again before all was heard, it keeps the rest', () => {
  const [scheduler, clock] = make()
  const ran: number[] = []
  clock.pause()
  for (let i = 0; i < 3; i++) {
    clock.deliver(() => {
      ran.push(i)
      if (i === 0) clock.pause()
    })
  }
  clock.resume()
  scheduler.runUntil(10)
  expect(ran).toEqual([0])
  clock.resume()
  scheduler.runUntil(20)
  expect(ran).toEqual([0, 1, 2])
})

test('deferring for ever does not stop time', () => {
  const [scheduler, clock] = make()
  let rounds = 0
  const again = (): void => {
    rounds++
    clock.defer(again)
  }
  again()
  scheduler.runUntil(1)
  expect(scheduler.nowMs).toBe(1)
  expect(rounds).toBeGreaterThan(50)
})
