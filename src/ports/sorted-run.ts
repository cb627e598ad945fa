/**
 * What a committer of a checkpoint does with a frozen run before it writes: fill in the checksums and find the order of the
 * keys. Pure, so that the LMDB worker runs it on its thread and the simulation in place.
 */
import { assert } from '../base/assert.ts'
import { crc32c } from '../base/crc32c.ts'
import {
  KEY_HEADER_BYTES,
  REMOVED_LENGTH,
  ROW_WORDS,
  ROWS_PER_CHUNK,
  type SortedRun,
  VALUE_CHECKSUM_BYTES,
} from './base-file.ts'

/** Reads rows and the bytes that they name. */
export class RunReader {
  readonly count: number
  readonly #slabs: Uint8Array[]
  readonly #rows: Uint32Array[]

  constructor(run: SortedRun) {
    this.count = run.count
    this.#slabs = run.slabs.map((slab) => new Uint8Array(slab))
    this.#rows = run.rows.map((chunk) => new Uint32Array(chunk))
    assert(run.rows.length * ROWS_PER_CHUNK >= run.count, 'sorted run: rows are missing')
  }

  #word(row: number, word: number): number {
    return this.#rows[Math.floor(row / ROWS_PER_CHUNK)][(row % ROWS_PER_CHUNK) * ROW_WORDS + word]
  }

  /** A view. */
  key(row: number): Uint8Array {
    const offset = this.#word(row, 1)
    return this.#slabs[this.#word(row, 0)].subarray(offset, offset + this.#word(row, 2))
  }

  /** A view; null: the key goes. */
  value(row: number): Uint8Array | null {
    const length = this.#word(row, 5)
    if (length === REMOVED_LENGTH) return null
    const offset = this.#word(row, 4)
    return this.#slabs[this.#word(row, 3)].subarray(offset, offset + length)
  }
}

/** Fills in all checksums and returns the row numbers in ascending order of their keys. */
export function sealRun(run: SortedRun): Uint32Array {
  const reader = new RunReader(run)
  for (let row = 0; row < run.count; row++) {
    const value = reader.value(row)
    if (value !== null) sealValue(reader.key(row), value)
  }
  return sortRows(reader)
}

/** The checksum covers the key too: a value that turns up under another key is caught. */
function sealValue(key: Uint8Array, value: Uint8Array): void {
  assert(value.length >= VALUE_CHECKSUM_BYTES, 'sorted run: a value without room for its checksum')
  const end = value.length - VALUE_CHECKSUM_BYTES
  const checksum = crc32c(value, 0, end, crc32c(key))
  value[end] = checksum & 0xff
  value[end + 1] = (checksum >>> 8) & 0xff
  value[end + 2] = (checksum >>> 16) & 0xff
  value[end + 3] = checksum >>> 24
}

export function checksumHolds(key: Uint8Array, value: Uint8Array): boolean {
  const end = value.length - VALUE_CHECKSUM_BYTES
  if (end < 0) return false
  const stored = (value[end] | (value[end + 1] << 8) | (value[end + 2] << 16) | (value[end + 3] << 24)) >>> 0
  return stored === crc32c(value, 0, end, crc32c(key))
}

/** The 48-bit hash in a key's header. */
export function hashInKey(bytes: Uint8Array, keyOffset: number): number {
  const at = keyOffset + KEY_HEADER_BYTES - 6
  const low = ((bytes[at + 2] << 24) | (bytes[at + 3] << 16) | (bytes[at + 4] << 8) | bytes[at + 5]) >>> 0
  return (bytes[at] * 256 + bytes[at + 1]) * 0x1_0000_0000 + low
}

/** Rows of one prefix (slot and generation) are gathered first; each such part is then sorted by hash and key. */
function sortRows(reader: RunReader): Uint32Array {
  const parts = new Map<string, number>()
  const partOfRow = new Uint32Array(reader.count)
  const hashes = new Float64Array(reader.count)
  const firstRows: number[] = []
  for (let row = 0; row < reader.count; row++) {
    const key = reader.key(row)
    assert(key.length >= KEY_HEADER_BYTES && key[0] !== 0xff, 'sorted run: not a key of the store')
    const prefix = String.fromCharCode(key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7], key[8], key[9])
    let part = parts.get(prefix)
    if (part === undefined) {
      part = parts.size
      parts.set(prefix, part)
      firstRows.push(row)
    }
    partOfRow[row] = part
    hashes[row] = hashInKey(key, 0)
  }
  // Counting sort by part; code units below 256 compare as the bytes do.
  const sizes = new Uint32Array(parts.size)
  for (let row = 0; row < reader.count; row++) sizes[partOfRow[row]]++
  const starts = new Uint32Array(parts.size)
  let total = 0
  for (const prefix of [...parts.keys()].sort()) {
    const part = parts.get(prefix) as number
    starts[part] = total
    total += sizes[part]
  }
  const order = new Uint32Array(reader.count)
  const filled = starts.slice()
  for (let row = 0; row < reader.count; row++) order[filled[partOfRow[row]]++] = row
  const compare = (a: number, b: number): number => compareKeys(reader.key(a), reader.key(b))
  for (let part = 0; part < parts.size; part++) {
    sortByHash(order.subarray(starts[part], starts[part] + sizes[part]), (row) => hashes[row], compare)
  }
  return order
}

function compareKeys(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return a[i] - b[i]
  return a.length - b.length
}

/**
 * Sorts items in place by their 48-bit hash; `compare` decides between equal ones. One Float64 holds as much of the hash's top as
 * leaves room for the item's place, so that the native numeric sort does the work (a comparator costs ten times as much);
 * items that agree in that top are then put in order among themselves.
 */
export function sortByHash(
  items: Uint32Array,
  hashOf: (item: number) => number,
  compare: (a: number, b: number) => number,
): void {
  const count = items.length
  if (count < 2) return
  const placeBits = 32 - Math.clz32(count - 1)
  const place = 2 ** placeBits
  const dropped = 2 ** Math.max(0, 48 - (53 - placeBits))
  const packed = new Float64Array(count)
  for (let i = 0; i < count; i++) packed[i] = Math.floor(hashOf(items[i]) / dropped) * place + i
  packed.sort()
  const source = items.slice()
  for (let i = 0; i < count; i++) items[i] = source[packed[i] % place]
  for (let from = 0; from < count; ) {
    const top = Math.floor(packed[from] / place)
    let to = from + 1
    while (to < count && Math.floor(packed[to] / place) === top) to++
    if (to - from > 1) {
      items.subarray(from, to).sort((a, b) => {
        const byHash = hashOf(a) - hashOf(b)
        return byHash !== 0 ? byHash : compare(a, b)
      })
    }
    from = to
  }
}
