import { expect, test } from 'vitest'
import { NodeClock } from './node-clock.ts'

const clock = new NodeClock()

test('time goes on, and is wall time', () => {
  const first = clock.monotonicMs()
  expect(clock.monotonicMs()).toBeGreaterThanOrEqual(first)
  expect(Number.isInteger(clock.wallMs())).toBe(true)
  expect(Math.abs(clock.wallMs() - Date.now())).toBeLessThan(1000)
})

test('timers and deferred calls run as events of their own, cancelled timers never', async () => {
  const order: string[] = []
  await new Promise<void>((resolve) => {
    clock.setTimer(1, () => order.push('cancelled')).cancel()
    clock.setTimer(30, () => {
      order.push('timer')
      resolve()
    })
    clock.defer(() => order.push('deferred'))
    order.push('now')
  })
  expect(order).toEqual(['now', 'deferred', 'timer'])
})
