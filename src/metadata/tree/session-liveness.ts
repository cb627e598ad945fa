/**
 * Which sessions a leader of the masters' group has not heard of for longer than their timeout. It decides, and the log carries it out: what
 * `due` names is to be proposed as EXPIRE under `term`.
 *
 *  - A new leader knows nothing of what its predecessors heard: there is one SessionLiveness for each term that is led, and it begins with
 *    the full time for every session. It is made once the leader has applied an entry of its own term (see tree-state-machine.ts), and
 *    nobody is told "you are alive" before.
 *  - What has been named stays named: whoever is heard of afterwards gets no "you are alive" (`heard` is false), for the proposal may be on
 *    its way to the log already. It is named again after a second, in case the proposal was refused.
 *  - The leader's own pauses are not the sessions' silence: while it stood still, what they sent lay unread. So the clock counts at most
 *    half a second between two calls, and the owner calls `due` more often than that. Sessions can only live longer for it.
 *
 * Pure: times are monotonic milliseconds that the owner passes in. One heap entry a session, moved lazily: `heard` costs O(1), `due` O(log n)
 * for each session whose time has come or has been put off since it was last looked at.
 */
import { assert } from '../../base/assert.ts'
import type { Term } from '../../base/brand.ts'

/** How much time counts between two calls. */
export const COUNTED_STEP_MAX_MS = 500
const NAMED_AGAIN_AFTER_MS = 1000

interface WatchedSession {
  readonly id: number
  readonly timeoutMs: number
  /** On the clock that counts. */
  deadlineMs: number
  /** What the heap is ordered by: never later than the deadline. */
  heapMs: number
  named: boolean
  over: boolean
}

export class SessionLiveness {
  readonly term: Term
  readonly #sessions = new Map<number, WatchedSession>()
  readonly #heap: WatchedSession[] = []
  #countedMs = 0
  #lastMs: number

  /** One for each term that is led. `sessions`: those that are open in the applied state. */
  constructor(term: Term, sessions: Iterable<{ readonly id: number; readonly timeoutMs: number }>, nowMs: number) {
    this.term = term
    this.#lastMs = nowMs
    for (const { id, timeoutMs } of sessions) this.opened(id, timeoutMs, nowMs)
  }

  get count(): number {
    return this.#sessions.size
  }

  opened(id: number, timeoutMs: number, nowMs: number): void {
    this.#count(nowMs)
    assert(!this.#sessions.has(id), `session liveness: ${id} opened twice`)
    const deadlineMs = this.#countedMs + timeoutMs
    const session = { id, timeoutMs, deadlineMs, heapMs: deadlineMs, named: false, over: false }
    this.#sessions.set(id, session)
    this.#push(session)
  }

  /** Through the log, in whatever way. */
  ended(id: number): void {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    session.over = true
    this.#sessions.delete(id)
    this.#sweep()
  }

  /** True: the session is alive, for another full timeout. False: it is over, or about to be; say nothing to its holder. */
  heard(id: number, nowMs: number): boolean {
    this.#count(nowMs)
    const session = this.#sessions.get(id)
    if (session === undefined || session.named) return false
    session.deadlineMs = this.#countedMs + session.timeoutMs
    return true
  }

  /** At most `max` sessions whose time is over; ask again where it is as many. */
  due(nowMs: number, max: number): number[] {
    assert(max >= 1, 'session liveness: at least one a call')
    this.#count(nowMs)
    const due: number[] = []
    while (due.length < max && this.#heap.length > 0 && this.#heap[0].heapMs <= this.#countedMs) {
      const session = this.#pop()
      if (session.over) continue
      if (session.deadlineMs <= this.#countedMs) {
        session.named = true
        session.deadlineMs = this.#countedMs + NAMED_AGAIN_AFTER_MS
        due.push(session.id)
      }
      session.heapMs = session.deadlineMs
      this.#push(session)
    }
    return due
  }

  #count(nowMs: number): void {
    this.#countedMs += Math.min(Math.max(nowMs - this.#lastMs, 0), COUNTED_STEP_MAX_MS)
    this.#lastMs = nowMs
  }

  /** Entries of ended sessions go when they are half of the heap, so that short sessions with long timeouts do not pile up. */
  #sweep(): void {
    if (this.#heap.length < 64 || this.#heap.length < this.#sessions.size * 2) return
    const alive = this.#heap.filter((session) => !session.over)
    this.#heap.length = 0
    for (const session of alive) this.#push(session)
  }

  #push(session: WatchedSession): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(session)
    while (at > 0) {
      const parent = (at - 1) >>> 1
      if (heap[parent].heapMs <= session.heapMs) break
      heap[at] = heap[parent]
      at = parent
    }
    heap[at] = session
  }

  #pop(): WatchedSession {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    assert(last !== undefined, 'session liveness: nothing to take')
    if (heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1].heapMs < heap[child].heapMs) child++
      if (heap[child].heapMs >= last.heapMs) break
      heap[at] = heap[child]
      at = child
    }
    heap[at] = last
    return first
  }
}
