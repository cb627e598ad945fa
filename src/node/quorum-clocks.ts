/**
 * What the leader may stamp on entries (design, "Time"). Expiry is decided by the log's time, so one wrong clock must not push it
 * ahead: a leader whose clock is more than a second ahead of its quorum's stamps the quorum's time instead, and one without
 * fresh samples of a quorum does not stamp at all.
 */
import type { NodeId } from '../base/brand.ts'
import type { Clock } from '../ports/clock.ts'
import type { Membership } from '../protocol/membership.ts'

const AHEAD_LIMIT_MS = 1_000
const SAMPLE_AGE_LIMIT_MS = 5_000

interface Sample {
  readonly wallMs: number
  readonly atMonotonicMs: number
}

export class QuorumClocks {
  readonly #clock: Clock
  readonly #self: NodeId
  readonly #samples = new Map<NodeId, Sample>()

  constructor(clock: Clock, self: NodeId) {
    this.#clock = clock
    this.#self = self
  }

  /** A frame of this peer carried its wall clock; the time on the wire makes it look late, never ahead. */
  sample(from: NodeId, wallMs: number): void {
    this.#samples.set(from, { wallMs, atMonotonicMs: this.#clock.monotonicMs() })
  }

  /** Milliseconds since the Unix epoch; 0: do not stamp. */
  stampMs(membership: Membership): number {
    const wallMs = this.#clock.wallMs()
    const nowMs = this.#clock.monotonicMs()
    const clocks: number[] = []
    let voters = 0
    for (const member of membership.members) {
      if (member.role !== 'voter') continue
      voters++
      if (member.nodeId === this.#self) clocks.push(wallMs)
      else {
        const sample = this.#samples.get(member.nodeId)
        const ageMs = sample === undefined ? Number.POSITIVE_INFINITY : nowMs - sample.atMonotonicMs
        if (sample !== undefined && ageMs <= SAMPLE_AGE_LIMIT_MS) clocks.push(sample.wallMs + ageMs)
      }
    }
    const quorum = Math.floor(voters / 2) + 1
    if (voters === 0 || clocks.length < quorum) return 0
    clocks.sort((a, b) => b - a)
    const quorumMs = Math.floor(clocks[quorum - 1])
    return wallMs <= quorumMs + AHEAD_LIMIT_MS ? wallMs : quorumMs
  }
}
