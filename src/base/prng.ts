/** xoshiro128** (Blackman, Vigna): small, fast, seeded; for simulation and for spreading time-outs, never for secrets. */
export class Prng {
  #a: number
  #b: number
  #c: number
  #d: number

  constructor(seed: number) {
    // splitmix32 spreads a small seed over the whole state.
    let state = seed >>> 0
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0
      let z = state
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
      return (z ^ (z >>> 16)) >>> 0
    }
    this.#a = next()
    this.#b = next()
    this.#c = next()
    this.#d = next() | 1
  }

  /** Uniform over [0, 2^32). */
  u32(): number {
    const rotated = Math.imul(this.#b, 5)
    const result = Math.imul((rotated << 7) | (rotated >>> 25), 9) >>> 0
    const t = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= t
    this.#d = (this.#d << 11) | (this.#d >>> 21)
    return result
  }

  /** Uniform over [0, 1). */
  unit(): number {
    return this.u32() / 0x1_0000_0000
  }

  /** Uniform over [0, bound); bound >= 1. */
  below(bound: number): number {
    return Math.floor(this.unit() * bound)
  }

  /** Uniform over [low, high], both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  chance(probability: number): boolean {
    return this.unit() < probability
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]
  }

  fork(): Prng {
    return new Prng(this.u32())
  }
}
