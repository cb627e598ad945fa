import { expect, it } from 'vitest'
import { RetryDelay } from './retry-delay.ts'

it('doubles from the first delay to the bound', () => {
  const retry = new RetryDelay(10, 100)
  expect(retry.isDue(0)).toBe(true)
  const delays = []
  for (let nowMs = 0; delays.length < 6; nowMs = retry.dueMs) {
    retry.failed(nowMs)
    delays.push(retry.dueMs - nowMs)
  }
  expect(delays).toEqual([10, 20, 40, 80, 100, 100])
})

it('begins anew with success: at once, or after the first delay', () => {
  const retry = new RetryDelay(2, 50)
  for (let i = 0; i < 9; i++) retry.failed(1000)
  expect(retry.dueMs).toBe(1050)
  retry.reset()
  expect(retry.isDue(0)).toBe(true)
  retry.settle(1000)
  expect(retry.dueMs).toBe(1002)
  retry.failed(1002)
  expect(retry.dueMs).toBe(1006)
})

it('is hastened, never put off', () => {
  const retry = new RetryDelay(50, 50)
  retry.failed(1000)
  retry.hasten(1002)
  retry.hasten(1020)
  expect(retry.dueMs).toBe(1002)
})
