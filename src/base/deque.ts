/** A ring-buffer queue with a hard bound: `push` on a full one is refused, never silent growth without limit. */
import { assert } from './assert.ts'

export class BoundedDeque<T> {
  #items: (T | undefined)[]
  #head = 0
  #length = 0
  readonly maxLength: number

  constructor(maxLength: number) {
    assert(maxLength >= 1, 'BoundedDeque: maxLength must be positive')
    this.maxLength = maxLength
    this.#items = new Array<T | undefined>(Math.min(16, maxLength))
  }

  get length(): number {
    return this.#length
  }

  /** False, and nothing changed, where the bound is reached. */
  push(item: T): boolean {
    if (this.#length === this.maxLength) return false
    this.#growIfFull()
    this.#items[(this.#head + this.#length) % this.#items.length] = item
    this.#length++
    return true
  }

  /** Puts the item in front of the first one. */
  unshift(item: T): boolean {
    if (this.#length === this.maxLength) return false
    this.#growIfFull()
    this.#head = (this.#head + this.#items.length - 1) % this.#items.length
    this.#items[this.#head] = item
    this.#length++
    return true
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head] = undefined
    this.#head = (this.#head + 1) % this.#items.length
    this.#length--
    return item
  }

  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#items[this.#head]
  }

  at(position: number): T | undefined {
    return position < 0 || position >= this.#length
      ? undefined
      : this.#items[(this.#head + position) % this.#items.length]
  }

  clear(): void {
    this.#items = new Array<T | undefined>(Math.min(16, this.maxLength))
    this.#head = 0
    this.#length = 0
  }

  #growIfFull(): void {
    const size = this.#items.length
    if (this.#length < size) return
    const grown = new Array<T | undefined>(Math.min(size * 2, this.maxLength))
    for (let i = 0; i < size; i++) grown[i] = this.#items[(this.#head + i) % size]
    this.#items = grown
    this.#head = 0
  }
}
