/**
 * The node's one loop over all its groups: step the groups that have something to do, send, one log write for all of them, apply
 * (dragonboat's engine, in one thread). A turn runs after the events of one pass of the event loop, so what arrived together is
 * sent and written together.
 *
 * Gathering: while a log batch is under way the next one gathers proposals. It closes when it holds 80% of the recently seen concurrency,
 * or 400 us (3 ms on a busy disk) after its first proposal. A sync costs 120-180 us of CPU on each node, so too small a batch wastes the machine.
 */
import type { Clock, Timer } from '../ports/clock.ts'
import type { NodeLog } from '../ports/log.ts'
import type { PeerChannel } from '../ports/peer-channel.ts'
import type { RaftReplica, UnsyncedReady } from '../replication/raft/raft-replica.ts'

const GATHER_LIMIT_MS = 0.4
/** While the disk is busy anyway: waiting for its end costs little, and a small batch costs a sync on every node. */
const GATHER_LIMIT_BUSY_MS = 3
const GATHER_TIMER_MS = 1
const GATHER_SHARE = 0.8
const CONCURRENCY_DECAY = 0.95
/** Turns that may pass while a batch gathers on an idle disk: each is a poll for more, and a spinning loop would take the core from those
 * who are to send it. */
const GATHER_TURNS_MAX = 8

export class Engine {
  readonly #clock: Clock
  readonly #log: NodeLog
  readonly #peers: PeerChannel
  #dirty = new Set<RaftReplica>()
  #spare = new Set<RaftReplica>()
  #scheduled = false
  #running = false
  #stopped = false
  /** Somebody asked for a turn while one ran. */
  #woken = false
  #gatherTimer: Timer | null = null
  #recentConcurrency = 1
  #gatherStartedMs = -1
  #gatherTurns = 0

  constructor(clock: Clock, log: NodeLog, peers: PeerChannel) {
    this.#clock = clock
    this.#log = log
    this.#peers = peers
  }

  /** The replica gets a turn soon. */
  wake(replica: RaftReplica): void {
    this.#dirty.add(replica)
    this.#woken = true
    this.#schedule()
  }

  /** Something was queued for a peer outside a turn. */
  schedule(): void {
    this.#schedule()
  }

  stop(): void {
    this.#stopped = true
    this.#gatherTimer?.cancel()
    this.#dirty.clear()
  }

  #schedule(): void {
    if (this.#scheduled || this.#running || this.#stopped) return
    this.#scheduled = true
    this.#clock.defer(this.#onDeferred)
  }

  readonly #onDeferred = (): void => {
    this.#scheduled = false
    this.#run()
  }

  #run(): void {
    if (this.#stopped) return
    this.#running = true
    this.#woken = false
    const replicas = this.#dirty
    this.#dirty = this.#spare
    const unsynced: UnsyncedReady[] = []
    const closes = this.#batchCloses(replicas)
    for (const replica of replicas) {
      replica.turn(closes, unsynced)
      if (!closes && replica.gatheredProposals > 0) this.#dirty.add(replica)
    }
    replicas.clear()
    this.#spare = replicas
    if (unsynced.length > 0) this.#log.flush(() => this.#synced(unsynced))
    this.#peers.flush()
    this.#running = false
    if (this.#woken || (this.#dirty.size > 0 && !this.#log.busy)) this.#schedule()
    // On a busy disk the end of the sync brings the next turn, a millisecond at the latest: no spinning meanwhile.
    else if (this.#dirty.size > 0 && this.#gatherTimer === null) {
      this.#gatherTimer = this.#clock.setTimer(GATHER_TIMER_MS, () => {
        this.#gatherTimer = null
        this.#run()
      })
    }
    this.#woken = false
  }

  #synced(readies: readonly UnsyncedReady[]): void {
    if (this.#stopped) return
    for (const ready of readies) ready.replica.synced(ready)
    this.#run()
  }

  #batchCloses(replicas: ReadonlySet<RaftReplica>): boolean {
    let gathered = 0
    let outstanding = 0
    for (const replica of replicas) {
      gathered += replica.gatheredProposals
      outstanding += replica.outstandingProposals
    }
    if (gathered === 0) return true
    this.#recentConcurrency = Math.max(this.#recentConcurrency, outstanding)
    const nowMs = this.#clock.monotonicMs()
    if (this.#gatherStartedMs < 0) this.#gatherStartedMs = nowMs
    this.#gatherTurns++
    const full = gathered >= this.#recentConcurrency * GATHER_SHARE
    const late =
      nowMs - this.#gatherStartedMs >= (this.#log.busy ? GATHER_LIMIT_BUSY_MS : GATHER_LIMIT_MS) ||
      this.#gatherTurns > GATHER_TURNS_MAX
    if (!full && !late) return false
    this.#gatherStartedMs = -1
    this.#gatherTurns = 0
    this.#recentConcurrency = Math.max(1, this.#recentConcurrency * CONCURRENCY_DECAY)
    return true
  }
}
