/**
 * The keepalives of one session. What counts is when the last one that was answered was SENT: the leader heard it later than that, so its time runs
 * at least from there on.
 */
import { Exchange } from './exchange.ts'
import type { MasterLink } from './master-link.ts'
import type { SessionTimings } from './session-timings.ts'

/** Sent and not answered: older ones count no more. */
const REMEMBERED = 64

export class Heartbeat {
  readonly #link: MasterLink
  readonly #timings: SessionTimings
  readonly #session: () => number
  readonly #exchange: Exchange
  /** Request to when it was sent. */
  readonly #sent = new Map<number, number>()
  #aliveMs: number | null = null
  #nextMs = 0

  constructor(link: MasterLink, timings: SessionTimings, session: () => number) {
    this.#link = link
    this.#timings = timings
    this.#session = session
    this.#exchange = new Exchange(timings.resendMs)
  }

  /** When the last answered keepalive was sent; null: none was. */
  get aliveMs(): number | null {
    return this.#aliveMs
  }

  get waitingSinceMs(): number | null {
    return this.#exchange.waitingSinceMs
  }

  pump(nowMs: number): void {
    if (this.#session() === 0 || !this.#link.attached) return
    if (this.#exchange.active) {
      if (this.#exchange.isDue(nowMs)) this.#exchange.renumber(this.#send(nowMs))
    } else if (nowMs >= this.#nextMs) {
      this.#exchange.begin(this.#send(nowMs), nowMs)
    }
  }

  /** False: not an answer to anything that counts. */
  heard(request: number): boolean {
    const sentMs = this.#sent.get(request)
    if (sentMs === undefined) return false
    this.#aliveMs = Math.max(this.#aliveMs ?? 0, sentMs)
    this.#nextMs = this.#aliveMs + this.#timings.keepaliveMs
    this.#sent.delete(request)
    this.#exchange.end()
    return true
  }

  refused(request: number, nowMs: number): void {
    this.#exchange.refused(request, nowMs)
  }

  reattached(nowMs: number): void {
    this.#exchange.restart(nowMs)
  }

  /** Each has a number of its own, so that an answer tells which one it answers. */
  #send(nowMs: number): number {
    const request = this.#link.nextRequest()
    this.#sent.set(request, nowMs)
    const [oldest] = this.#sent.keys()
    if (this.#sent.size > REMEMBERED) this.#sent.delete(oldest)
    this.#link.send({ type: 'alive', session: this.#session() }, request)
    return request
  }
}
