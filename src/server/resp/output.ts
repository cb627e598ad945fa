/**
 * Gathers one connection's replies of one turn into one write. Small replies are copied into a shared slab, from which each write is cut: cheaper
 * than one array a reply, and one system call instead of many (measured: one write a reply costs 3-4 times the throughput of a pipeline).
 */
import { assert } from '../../base/assert.ts'
import type { Connection } from '../../ports/network.ts'

/** A connection's first slab; each next one is twice as large, so that ten thousand quiet clients cost little. */
const SLAB_BYTES_MIN = 1024
const SLAB_BYTES_MAX = 64 * 1024
/** Larger ones are sent from where they are. */
const LARGEST_COPIED_BYTES = 8 * 1024
const LOOP_BYTES = 48

export class OutputBuffer {
  #slab = new Uint8Array(SLAB_BYTES_MIN)
  /** What is being gathered is slab[from, at). */
  #from = 0
  #at = 0
  #parts: Uint8Array[] = []

  /** `bytes` must not change any more. */
  add(bytes: Uint8Array): void {
    const length = bytes.length
    if (length > LARGEST_COPIED_BYTES) {
      this.#cut()
      this.#parts.push(bytes)
      return
    }
    if (this.#at + length > this.#slab.length) {
      this.#cut()
      this.#slab = new Uint8Array(Math.min(SLAB_BYTES_MAX, Math.max(this.#slab.length * 2, length)))
      this.#from = 0
      this.#at = 0
    }
    const slab = this.#slab
    let at = this.#at
    if (length >= LOOP_BYTES) slab.set(bytes, at)
    else for (let i = 0; i < length; i++) slab[at + i] = bytes[i]
    at += length
    this.#at = at
  }

  sendTo(connection: Connection): void {
    this.#cut()
    const parts = this.#parts
    assert(parts.length > 0, 'OutputBuffer.sendTo: nothing gathered')
    if (parts.length === 1) connection.write(parts[0])
    else connection.writeMany(parts)
    this.#parts = []
  }

  #cut(): void {
    if (this.#at === this.#from) return
    this.#parts.push(this.#slab.subarray(this.#from, this.#at))
    this.#from = this.#at
  }
}
