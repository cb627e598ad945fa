/**
 * One register that several clients change by compare-and-set only, with values that are used once. Every success names its predecessor; so all successes are
 * one chain from the beginning to what stands there at the end. A lost update is a fork, or a success that is not in the chain.
 */

interface Link {
  readonly next: string
  readonly isCertain: boolean
}

/** Links that are out of order wait for the one before; so many wait only where that is lost. */
const MAX_WAITING = 100_000
const MAX_UNKNOWN_IN_ROW = 64

export class CasChain {
  /** The last value that is known to have stood there. */
  #head: string | null = null
  /** By predecessor. */
  readonly #links = new Map<string | null, Link[]>()
  #waiting = 0
  length = 0
  /** What is wrong; empty: nothing. */
  readonly problems: string[] = []

  succeeded(expected: string | null, next: string): void {
    this.#add(expected, { next, isCertain: true })
  }

  unknown(expected: string | null, next: string): void {
    this.#add(expected, { next, isCertain: false })
  }

  /** `last`: what stands there now, with all answers in. */
  finish(last: string | null): void {
    // Unknown ones that happened are steps too: found from what came behind them.
    while (this.#head !== last && this.#stepTowards(last));
    if (this.#head !== last) {
      this.problems.push(`the register holds ${show(last)}, but its last known value is ${show(this.#head)}`)
    }
    for (const [expected, links] of this.#links) {
      for (const { next, isCertain } of links) {
        if (isCertain)
          this.problems.push(`the update of ${show(expected)} to ${show(next)} was acknowledged and is lost`)
      }
    }
  }

  #add(expected: string | null, link: Link): void {
    if (this.#waiting >= MAX_WAITING) return
    const links = this.#links.get(expected) ?? []
    this.#links.set(expected, links)
    const other = links.find(({ isCertain }) => isCertain)
    if (link.isCertain && other !== undefined) {
      this.problems.push(`${show(expected)} was replaced twice: by ${show(other.next)} and by ${show(link.next)}`)
    }
    links.push(link)
    this.#waiting++
    while (this.#stepTowards(undefined));
  }

  /** An unknown update to `value` did happen: something known stands behind it, or behind the unknown one behind it. */
  #happened(value: string, last: string | null | undefined, depth: number): boolean {
    if (value === last) return true
    const behind = this.#links.get(value) ?? []
    return depth > 0 && behind.some(({ next, isCertain }) => isCertain || this.#happened(next, last, depth - 1))
  }

  /** Goes on to what has replaced the head. Of an unknown one that is known once something stands behind it, or it is the last. */
  #stepTowards(last: string | null | undefined): boolean {
    const links = this.#links.get(this.#head)
    const step =
      links?.find(({ isCertain }) => isCertain) ??
      links?.find(({ next }) => this.#happened(next, last, MAX_UNKNOWN_IN_ROW))
    if (links === undefined || step === undefined) return false
    const others = links.filter((link) => link !== step && link.isCertain)
    if (others.length > 0) this.#links.set(this.#head, others)
    else this.#links.delete(this.#head)
    this.#waiting -= links.length - others.length
    this.#head = step.next
    this.length++
    return true
  }
}

function show(value: string | null): string {
  return value === null ? 'nothing' : JSON.stringify(value)
}
