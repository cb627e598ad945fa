/**
 * Command bytes (protocol/command.ts) straight from the words' offsets, with no object per word. Small ones are cut from shared
 * slabs: an allocation outside the V8 heap costs more than all the rest of a small SET's parsing (measured: 0.4 us against 0.1 us).
 * A slab lives until all that was cut from it is answered; requests are short-lived, so little is held back.
 */
import type { RequestWords } from '../../protocol/resp-parser.ts'

const SLAB_BYTES = 16 * 1024
const LARGEST_IN_SLAB_BYTES = 1024
/** Below this, a loop is faster than TypedArray.set with its view. */
const LOOP_BYTES = 48

export class CommandBuilder {
  #slab = new Uint8Array(SLAB_BYTES)
  #used = 0

  /** The words from `first` on are the arguments. */
  build(opcode: number, words: RequestWords, first: number): Uint8Array {
    const { args, offsets, wordCount } = words
    let total = 6
    for (let i = first; i < wordCount; i++) total += 4 + offsets[2 * i + 1] - offsets[2 * i]
    const base = this.#room(total)
    const out = this.#target
    let at = putHead(out, base, opcode, wordCount - first)
    for (let i = first; i < wordCount; i++) at = putArgument(out, at, args, offsets[2 * i], offsets[2 * i + 1])
    return out.length === total ? out : out.subarray(base, at)
  }

  /** The words whose indexes stand in `picked` are the arguments, in that order. */
  buildPicked(opcode: number, words: RequestWords, picked: readonly number[]): Uint8Array {
    const { args, offsets } = words
    let total = 6
    for (const i of picked) total += 4 + offsets[2 * i + 1] - offsets[2 * i]
    const base = this.#room(total)
    const out = this.#target
    let at = putHead(out, base, opcode, picked.length)
    for (const i of picked) at = putArgument(out, at, args, offsets[2 * i], offsets[2 * i + 1])
    return out.length === total ? out : out.subarray(base, at)
  }

  #target: Uint8Array = this.#slab

  #room(bytes: number): number {
    if (bytes > LARGEST_IN_SLAB_BYTES) {
      this.#target = new Uint8Array(bytes)
      return 0
    }
    if (this.#used + bytes > SLAB_BYTES) {
      this.#slab = new Uint8Array(SLAB_BYTES)
      this.#used = 0
    }
    this.#target = this.#slab
    const base = this.#used
    this.#used += bytes
    return base
  }
}

function putHead(out: Uint8Array, base: number, opcode: number, count: number): number {
  out[base] = opcode & 0xff
  out[base + 1] = opcode >>> 8
  return putU32(out, base + 2, count)
}

function putArgument(out: Uint8Array, at: number, from: Uint8Array, start: number, end: number): number {
  const length = end - start
  let to = putU32(out, at, length)
  if (length >= LOOP_BYTES) {
    out.set(from.subarray(start, end), to)
    return to + length
  }
  for (let i = start; i < end; i++) out[to++] = from[i]
  return to
}

function putU32(out: Uint8Array, at: number, value: number): number {
  out[at] = value & 0xff
  out[at + 1] = (value >>> 8) & 0xff
  out[at + 2] = (value >>> 16) & 0xff
  out[at + 3] = value >>> 24
  return at + 4
}
