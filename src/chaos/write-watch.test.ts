import { expect, test } from 'vitest'
import { WriteWatch } from './write-watch.ts'

test('the slowest group decides, by its first write that was called after the fault', async () => {
  const watch = new WriteWatch()
  const resumed = watch.resumption([1, 2], 100, 10_000)
  // Called before the fault: its answer may have been under way.
  watch.acknowledged(1, 99, 400)
  watch.acknowledged(2, 100, 400)
  watch.acknowledged(2, 101, 500)
  watch.acknowledged(3, 101, 550)
  watch.acknowledged(2, 101, 600)
  watch.acknowledged(1, 650, 700)
  watch.acknowledged(1, 800, 900)
  expect(await resumed).toBe(600)
})

test('each wait has its own fault', async () => {
  const watch = new WriteWatch()
  const first = watch.resumption([1], 100, 10_000)
  const second = watch.resumption([1], 200, 10_000)
  watch.acknowledged(1, 150, 300)
  watch.acknowledged(1, 250, 400)
  expect([await first, await second]).toEqual([200, 200])
})

test('no write in time', async () => {
  const watch = new WriteWatch()
  const resumed = watch.resumption([1, 2], 100, 20)
  watch.acknowledged(1, 150, 300)
  expect(await resumed).toBeNull()
})
