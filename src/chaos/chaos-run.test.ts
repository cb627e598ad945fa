import { expect, test } from 'vitest'
import { unavailability } from './chaos-run.ts'

test('median and longest, as whole milliseconds', () => {
  expect(unavailability([1200.4, 700, 950.6])).toEqual({ median: 951, max: 1200 })
  expect(unavailability([9, 100])).toEqual({ median: 100, max: 100 })
  expect(unavailability([10])).toEqual({ median: 10, max: 10 })
})
