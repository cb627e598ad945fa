/** How long to wait before the next try: each time twice as long, up to a bound; as short as at first after a success. */
export class BackOff {
  readonly #firstMs: number
  readonly #mostMs: number
  #nextMs: number

  constructor(firstMs: number, mostMs: number) {
    this.#firstMs = firstMs
    this.#mostMs = mostMs
    this.#nextMs = firstMs
  }

  reset(): void {
    this.#nextMs = this.#firstMs
  }

  next(): number {
    const ms = this.#nextMs
    this.#nextMs = Math.min(this.#mostMs, ms * 2)
    return ms
  }
}
