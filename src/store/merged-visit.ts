/**
 * One walk in key order over everything that a replica holds: the memtables, newest first, and below them the base
 * file. For each key the newest layer speaks; a removal there hides the key below.
 */
import { compareBytes } from '../base/bytes.ts'
import type { BaseFile } from '../ports/base-file.ts'
import { type Chain, lowerBound, type Memtable } from './memtable.ts'

/** Returns false to end the walk. A null record: the key is removed (its own call, so that a walk can bound such work). Views valid during the call. */
export type MergedVisitor = (compositeKey: Uint8Array, record: Uint8Array | null) => boolean

interface Layer {
  readonly memtable: Memtable
  readonly order: Uint32Array
  at: number
}

const NO_LIMIT = Number.MAX_SAFE_INTEGER

/** Visits the keys in [from, to), which must lie in the chains' slot and generation. True: to the end; false: a visit ended it. */
export function mergedVisit(
  memtables: readonly { readonly memtable: Memtable; readonly chain: Chain | null }[],
  base: BaseFile,
  from: Uint8Array,
  to: Uint8Array,
  visit: MergedVisitor,
): boolean {
  const layers: Layer[] = []
  for (const { memtable, chain } of memtables) {
    if (chain === null) continue
    const order = memtable.sorted(chain)
    layers.push({ memtable, order, at: lowerBound(order, 0, (entry) => compareBytes(memtable.key(entry), from)) })
  }
  let ended = false
  base.range(from, to, NO_LIMIT, (key, record) => {
    if (!visitMemtablesBelow(layers, key, visit)) ended = true
    else {
      const layer = layerWith(layers, key)
      if (layer === null) ended = !visit(key, record)
      else ended = !visitSmallest(layers, layer, visit)
    }
    return !ended
  })
  return !ended && visitMemtablesBelow(layers, null, visit)
}

/** All memtable keys below `limit` (null: all). */
function visitMemtablesBelow(layers: Layer[], limit: Uint8Array | null, visit: MergedVisitor): boolean {
  for (;;) {
    const layer = smallest(layers)
    if (layer === null) return true
    if (limit !== null && compareBytes(currentKey(layer), limit) >= 0) return true
    if (!visitSmallest(layers, layer, visit)) return false
  }
}

function currentKey(layer: Layer): Uint8Array {
  return layer.memtable.key(layer.order[layer.at])
}

/** The layer with the least key; of equal ones the newest, as layers come newest first. */
function smallest(layers: Layer[]): Layer | null {
  let least: Layer | null = null
  for (const layer of layers) {
    if (layer.at >= layer.order.length) continue
    if (least === null || compareBytes(currentKey(layer), currentKey(least)) < 0) least = layer
  }
  return least
}

/** The newest layer that stands at this key; null: none. */
function layerWith(layers: Layer[], key: Uint8Array): Layer | null {
  for (const layer of layers) {
    if (layer.at < layer.order.length && compareBytes(currentKey(layer), key) === 0) return layer
  }
  return null
}

/** Visits the layer's current key, and moves every layer past it. */
function visitSmallest(layers: Layer[], layer: Layer, visit: MergedVisitor): boolean {
  const entry = layer.order[layer.at]
  const key = layer.memtable.key(entry)
  for (const other of layers) {
    if (other.at < other.order.length && compareBytes(currentKey(other), key) === 0) other.at++
  }
  return visit(key, layer.memtable.isPresent(entry) ? layer.memtable.record(entry) : null)
}
