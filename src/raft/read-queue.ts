/**
 * Reads that wait for a confirmed index (ReadIndex, thesis 6.4). A leader gathers them into rounds, each with a token
 * that it makes itself and never uses twice (re-used contexts with delayed answers gave stale reads: etcd 20418).
 * A follower gathers them into questions to its leader.
 */
import type { LogIndex, ReplicaId } from '../base/brand.ts'
import type { Random } from '../ports/random.ts'

/** A local read has its number; a question from a follower has the follower and its context. */
export type ReadRequest =
  | { readonly kind: 'local'; readonly read: number }
  | { readonly kind: 'remote'; readonly from: ReplicaId; readonly context: number }

export interface ReadRound {
  readonly token: number
  /** The commit index when the round began: at least as high as when each of its reads was asked. */
  readonly index: LogIndex
  readonly requests: readonly ReadRequest[]
}

interface ReadQuestion {
  readonly context: number
  readonly reads: readonly number[]
  ticksLeft: number
  ticksToRepeat: number
}

export class ReadQueue {
  waiting: ReadRequest[] = []
  /** Leader: oldest first. */
  readonly rounds: ReadRound[] = []
  /** Follower: oldest first. */
  readonly questions: ReadQuestion[] = []
  /** Reads held in all of these. */
  count = 0
  /** Leader: of the newest roll call; 0: none. */
  #rollCall = 0
  #lastRead = 0
  #lastToken = 0
  #lastContext: number

  constructor(random: Random) {
    // Contexts start at random: an answer to a question from before a restart must not fit one from after it.
    this.#lastContext = random.u32() * 0x10_0000 + (random.u32() >>> 12)
  }

  nextRead(): number {
    return ++this.#lastRead
  }

  nextToken(): number {
    return ++this.#lastToken
  }

  nextContext(): number {
    return ++this.#lastContext
  }

  /** From now on heartbeats carry a token that no answer to an earlier one has. */
  callRoll(): number {
    this.#rollCall = this.nextToken()
    return this.#rollCall
  }

  get roundsEver(): number {
    return this.#lastToken
  }

  /** What heartbeats carry; 0 where no round is open and no roll was called. */
  get newestToken(): number {
    return Math.max(this.#rollCall, this.rounds.at(-1)?.token ?? 0)
  }
}
