/**
 * Values of tree nodes as versioned JSON: one object, in ASCII (other characters as \u escapes), whose field `v` is the version of its layout. Reading
 * refuses what this version does not write, and says where.
 */
import { DecodeError, latin1Bytes, latin1Text } from '../base/bytes.ts'

const LAYOUT_VERSION = 1

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue }

export function encodeValue(fields: { readonly [name: string]: JsonValue }): Uint8Array {
  const text = JSON.stringify({ v: LAYOUT_VERSION, ...fields })
  return latin1Bytes(text.replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`))
}

/** Throws DecodeError. `what` names the node. */
export function decodeValue(what: string, data: Uint8Array): ValueReader {
  let value: unknown
  try {
    value = JSON.parse(latin1Text(data))
  } catch {
    throw new DecodeError(`${what}: not JSON`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new DecodeError(`${what}: no object`)
  const reader = new ValueReader(what, value as Record<string, unknown>)
  const version = reader.whole('v')
  if (version !== LAYOUT_VERSION)
    throw new DecodeError(`${what}: layout ${version}, this version reads ${LAYOUT_VERSION}`)
  return reader
}

/** Each call throws DecodeError where the field is not what it is asked for as. */
export class ValueReader {
  readonly #what: string
  readonly #fields: Readonly<Record<string, unknown>>

  constructor(what: string, fields: Readonly<Record<string, unknown>>) {
    this.#what = what
    this.#fields = fields
  }

  whole(name: string, max = Number.MAX_SAFE_INTEGER): number {
    return this.#whole(name, this.#fields[name], max)
  }

  flag(name: string): boolean {
    const value = this.#fields[name]
    if (typeof value !== 'boolean') throw this.#misfit(name, 'true or false')
    return value
  }

  text(name: string): string {
    const value = this.#fields[name]
    if (typeof value !== 'string') throw this.#misfit(name, 'a text')
    return value
  }

  oneOf<T extends string>(name: string, words: readonly T[]): T {
    const text = this.text(name)
    const word = words.find((candidate) => candidate === text)
    if (word === undefined) throw this.#misfit(name, `one of ${words.join(', ')}`)
    return word
  }

  wholes(name: string, max = Number.MAX_SAFE_INTEGER): number[] {
    return this.#list(name).map((value) => this.#whole(name, value, max))
  }

  texts(name: string): string[] {
    return this.#list(name).map((value) => {
      if (typeof value !== 'string') throw this.#misfit(name, 'texts')
      return value
    })
  }

  objects(name: string): ValueReader[] {
    return this.#list(name).map((value, i) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.#misfit(name, 'objects')
      return new ValueReader(`${this.#what}: ${name}[${i}]`, value as Record<string, unknown>)
    })
  }

  /** A value of the right kinds that cannot be. */
  refuse(why: string): never {
    throw new DecodeError(`${this.#what}: ${why}`)
  }

  #list(name: string): readonly unknown[] {
    const value = this.#fields[name]
    if (!Array.isArray(value)) throw this.#misfit(name, 'a list')
    return value
  }

  #whole(name: string, value: unknown, max: number): number {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max) {
      throw this.#misfit(name, `a whole number up to ${max}`)
    }
    return value
  }

  #misfit(name: string, wanted: string): DecodeError {
    return new DecodeError(`${this.#what}: ${name} is not ${wanted}`)
  }
}
