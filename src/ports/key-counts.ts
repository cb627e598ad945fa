/**
 * How many keys a base file holds under each prefix (slot and generation). The committer of a checkpoint learns for each change whether
 * the key was there, so the counts move in the same transaction as the keys, and nobody ever counts by reading.
 *
 *   counts := u16 version | u32 length | (10-byte prefix | u64 count)*    in the order of the prefixes, none of them 0
 */
import { assert } from '../base/assert.ts'
import { BytesReader, BytesWriter, DecodeError, latin1Bytes, latin1Text } from '../base/bytes.ts'
import { KEY_PREFIX_BYTES } from './base-file.ts'

const VERSION = 1

export class KeyCounts {
  readonly #counts: Map<string, number>

  private constructor(counts: Map<string, number>) {
    this.#counts = counts
  }

  static empty(): KeyCounts {
    return new KeyCounts(new Map())
  }

  /** Throws DecodeError. */
  static decode(bytes: Uint8Array): KeyCounts {
    const reader = new BytesReader(bytes)
    const version = reader.u16()
    if (version !== VERSION) throw new DecodeError(`key counts: unknown version ${version}`)
    const counts = new Map<string, number>()
    const length = reader.u32()
    for (let i = 0; i < length; i++) counts.set(latin1Text(reader.raw(KEY_PREFIX_BYTES)), reader.u64())
    reader.expectEnd()
    return new KeyCounts(counts)
  }

  copy(): KeyCounts {
    return new KeyCounts(new Map(this.#counts))
  }

  encode(): Uint8Array {
    const writer = new BytesWriter(6 + this.#counts.size * (KEY_PREFIX_BYTES + 8))
    writer.u16(VERSION)
    writer.u32(this.#counts.size)
    for (const prefix of [...this.#counts.keys()].sort()) {
      writer.raw(latin1Bytes(prefix))
      writer.u64(this.#counts.get(prefix) as number)
    }
    return writer.copy()
  }

  /** `key` may be longer than its prefix. */
  get(key: Uint8Array): number {
    return this.#counts.get(prefixText(key)) ?? 0
  }

  add(key: Uint8Array, difference: number): void {
    if (difference === 0) return
    const prefix = prefixText(key)
    const count = (this.#counts.get(prefix) ?? 0) + difference
    assert(count >= 0, 'key counts: more keys removed than there were')
    if (count === 0) this.#counts.delete(prefix)
    else this.#counts.set(prefix, count)
  }
}

function prefixText(k: Uint8Array): string {
  assert(k.length >= KEY_PREFIX_BYTES, 'key counts: a key shorter than its prefix')
  // One call for all ten: this runs in every read that reaches the base file.
  return String.fromCharCode(k[0], k[1], k[2], k[3], k[4], k[5], k[6], k[7], k[8], k[9])
}
