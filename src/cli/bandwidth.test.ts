import { expect, test } from 'vitest'
import { bandwidth } from './bandwidth.ts'

test('bytes, with a unit or without', () => {
  expect(['4096', '20M', '1g', '16kb'].map(bandwidth)).toEqual([4096, 20 * 1024 ** 2, 1024 ** 3, 16 * 1024])
})

test.each(['', '0', '100', '-1', '20 M', '20T', '1e6', '2000G'])('%s is refused', (text) => {
  expect(() => bandwidth(text)).toThrow('bytes per second')
})
