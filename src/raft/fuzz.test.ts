import { describe, expect, it } from 'vitest'
import { Fuzz, type FuzzResult } from './fuzz.testkit.ts'

const STEPS = 2000
const SEEDS = Number(process.env.RAFT_FUZZ_SEEDS ?? 200)
const FIRST = Number(process.env.RAFT_FUZZ_FIRST ?? 1)

describe('fuzz of the pure core', () => {
  it(`keeps every invariant over ${SEEDS} seeds`, () => {
    const totals: Record<string, number> = {}
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      let result: FuzzResult
      const fuzz = new Fuzz(seed)
      try {
        result = fuzz.run(STEPS)
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.stack : error}\n${fuzz.describe()}`)
      }
      for (const [name, count] of Object.entries(result)) totals[name] = (totals[name] ?? 0) + count
    }
    console.log(totals)
    expect(totals.committed).toBeGreaterThan(SEEDS * 20)
  })
})
