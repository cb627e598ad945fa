/** Randomness. base/prng.ts implements it; only the seed comes from outside. */
export interface Random {
  /** Uniform over [0, 2^32). */
  u32(): number
  /** Uniform over [0, 1). */
  unit(): number
}
