/**
 * The watches of one store, level-triggered: whoever watches is called after the last change of what it watches, is told nothing, and reads.
 * All changes of a turn are one call. A new watch is called soon after it was made, so that nothing lies between the first look and the
 * first call. After a gap in what it was told (another state taken over, a connection mended) everything counts as changed.
 *
 *   node      data, creation and deletion of the path itself
 *   children  its children come and go, and it itself
 *   tree      everything at and below it
 *
 * A change costs one look-up for its path and one for each of its ancestors.
 */
import { assert } from '../../base/assert.ts'
import type { StopWatching } from '../../ports/metadata-store.ts'
import type { MetadataPath } from '../../protocol/metadata-operation.ts'
import { parentOf, ROOT_PATH } from './metadata-path.ts'
import type { TreeChange } from './tree-changes.ts'

const WATCHES_MAX_DEFAULT = 10_000

type WatchKind = 'node' | 'children' | 'tree'

interface Watch {
  readonly listener: () => void
  /** In the list for the next flush already. */
  marked: boolean
  stopped: boolean
}

export class WatchTable {
  readonly #defer: (callback: () => void) => void
  readonly #watchesMax: number
  readonly #byKind: Record<WatchKind, Map<MetadataPath, Set<Watch>>> = {
    node: new Map(),
    children: new Map(),
    tree: new Map(),
  }
  #count = 0
  #marked: Watch[] = []
  #flushing = false

  /** `defer` runs its callback as an event of its own (Clock.defer). More than `watchesMax` watches are a leak: an assertion. */
  constructor(defer: (callback: () => void) => void, watchesMax = WATCHES_MAX_DEFAULT) {
    this.#defer = defer
    this.#watchesMax = watchesMax
  }

  get count(): number {
    return this.#count
  }

  watch(kind: WatchKind, path: MetadataPath, listener: () => void): StopWatching {
    assert(this.#count < this.#watchesMax, `watches: more than ${this.#watchesMax}`)
    const watch: Watch = { listener, marked: false, stopped: false }
    const byPath = this.#byKind[kind]
    const watches = byPath.get(path) ?? new Set()
    watches.add(watch)
    byPath.set(path, watches)
    this.#count++
    this.#mark(watch)
    return () => {
      if (watch.stopped) return
      watch.stopped = true
      this.#count--
      watches.delete(watch)
      if (watches.size === 0 && byPath.get(path) === watches) byPath.delete(path)
    }
  }

  changed({ path, kind }: TreeChange): void {
    const { node, children, tree } = this.#byKind
    if (kind !== 'children') this.#markAll(node.get(path))
    if (kind !== 'data') this.#markAll(children.get(path))
    // A child that comes or goes is told for itself too, and below the same paths.
    if (kind === 'children' || tree.size === 0) return
    for (let above = path; ; above = parentOf(above)) {
      this.#markAll(tree.get(above))
      if (above === ROOT_PATH) return
    }
  }

  everythingChanged(): void {
    for (const byPath of Object.values(this.#byKind)) for (const watches of byPath.values()) this.#markAll(watches)
  }

  /** Nobody is called any more: the session is over. */
  stopAll(): void {
    for (const byPath of Object.values(this.#byKind)) {
      for (const watches of byPath.values()) for (const watch of watches) watch.stopped = true
      byPath.clear()
    }
    this.#count = 0
  }

  #markAll(watches: Set<Watch> | undefined): void {
    if (watches !== undefined) for (const watch of watches) this.#mark(watch)
  }

  #mark(watch: Watch): void {
    if (watch.marked) return
    watch.marked = true
    this.#marked.push(watch)
    if (this.#flushing) return
    this.#flushing = true
    this.#defer(() => this.#flush())
  }

  #flush(): void {
    const marked = this.#marked
    this.#marked = []
    this.#flushing = false
    // What a listener changes or watches marks for the next flush.
    for (const watch of marked) watch.marked = false
    for (const watch of marked) if (!watch.stopped) watch.listener()
  }
}
