/** What the rounds need of a system under test: its processes, and a way to drive it. */
import type { LoadShape } from './scenarios.ts'

/** What a load generator said of one run. */
export interface LoadResult {
  readonly operations: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface System {
  /** As in the rows: "quorate", "etcd"... */
  readonly name: string
  /** The program that makes its load. */
  readonly generator: string
  supports(shape: LoadShape): boolean
  /** Resolves when operations succeed, and for systems that read: when every key is there. */
  start(): Promise<void>
  /** Every process whose time counts as the server's. */
  serverPids(): readonly number[]
  /** Runs so many operations to the end; throws BenchError if any of them failed. */
  run(shape: LoadShape, operations: number): Promise<LoadResult>
}
