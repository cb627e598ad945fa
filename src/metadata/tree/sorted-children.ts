/**
 * A node's children in the order of their names: a list of sorted runs of at most 512. Finding one takes two binary searches, and a change
 * moves one run's children (and, when a run splits or goes, the list of runs: 400 at 100,000 children), so that a change
 * costs the largest parent no more than a few microseconds. The order hangs on the names alone, not on the way they came.
 */
import { assert } from '../../base/assert.ts'

const MAX_RUN = 512

interface Named {
  readonly name: string
}

export class SortedChildren<T extends Named> {
  readonly #runs: T[][] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  add(child: T): void {
    if (this.#runs.length === 0) this.#runs.push([])
    const at = this.#runOf(child.name)
    const run = this.#runs[at]
    const position = lowerBound(run, child.name)
    assert(position === run.length || run[position].name !== child.name, `sorted children: ${child.name} twice`)
    this.#size++
    // At the end, where sequential names come, a full run is left full and the next one begun.
    if (position === run.length && run.length === MAX_RUN && at === this.#runs.length - 1) {
      this.#runs.push([child])
      return
    }
    run.splice(position, 0, child)
    if (run.length > MAX_RUN) this.#runs.splice(at + 1, 0, run.splice(run.length >>> 1))
  }

  remove(child: T): void {
    assert(this.#size > 0, `sorted children: ${child.name} of none`)
    const at = this.#runOf(child.name)
    const run = this.#runs[at]
    const position = lowerBound(run, child.name)
    assert(run[position] === child, `sorted children: no ${child.name}`)
    run.splice(position, 1)
    this.#size--
    if (run.length === 0) this.#runs.splice(at, 1)
  }

  toArray(): T[] {
    return this.#runs.flat()
  }

  /** The run that holds the name, or where it belongs: the last one that does not begin behind it. */
  #runOf(name: string): number {
    let low = 0
    let high = this.#runs.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.#runs[middle][0].name <= name) low = middle
      else high = middle - 1
    }
    return low
  }
}

/** The first position whose name is not below `name`. */
function lowerBound(run: readonly Named[], name: string): number {
  let low = 0
  let high = run.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (run[middle].name < name) low = middle + 1
    else high = middle
  }
  return low
}
