/** Several reads of the tree as one call: the first error ends it; what is decoded and malformed is an error too, never a throw. */
import { DecodeError } from '../base/bytes.ts'
import type { MetadataStore } from '../ports/metadata-store.ts'
import type { MetadataError, MetadataPath } from '../protocol/metadata-operation.ts'
import { type MasterError, masterError } from './master-error.ts'

/** A node's value, with the version that a write over it must name. */
export interface Versioned<T> {
  readonly value: T
  readonly version: number
}

/** What reading takes: a session, or a copy of the tree. */
export type ReadableTree = Pick<MetadataStore, 'get' | 'children' | 'sync'>

export class TreeReads {
  readonly #store: ReadableTree
  #pending = 0
  #done: ((error: MasterError | null) => void) | null = null
  #error: MasterError | null = null

  constructor(store: ReadableTree) {
    this.#store = store
  }

  get<T>(path: MetadataPath, decode: (data: Uint8Array) => T, found: (node: Versioned<T>) => void): void {
    this.find(path, decode, (node) => {
      if (node !== null) found(node)
      else this.#failed(masterError('malformed-tree', `${path} is not there`, 'was the cluster initialised?'))
    })
  }

  /** Null: there is none. */
  find<T>(path: MetadataPath, decode: (data: Uint8Array) => T, found: (node: Versioned<T> | null) => void): void {
    this.#pending++
    this.#store.get(path, (error, node) => {
      if (error !== null && error.code !== 'no-node') this.#failed(storeError(error))
      else this.#decoded(() => found(node === null ? null : { value: decode(node.data), version: node.stat.version }))
      this.#finished()
    })
  }

  children(path: MetadataPath, found: (names: readonly string[]) => void): void {
    this.#pending++
    this.#store.children(path, (error, names) => {
      if (error !== null) this.#failed(storeError(error))
      else if (this.#error === null) found(names ?? [])
      this.#finished()
    })
  }

  sync(found: () => void): void {
    this.#pending++
    this.#store.sync((error) => {
      if (error !== null) this.#failed(storeError(error))
      else if (this.#error === null) found()
      this.#finished()
    })
  }

  /** Once all reads have ended, those that `found` callbacks began among them. At least one is under way. */
  end(done: (error: MasterError | null) => void): void {
    this.#done = done
  }

  /** Runs what looks at the tree's bytes. */
  #decoded(run: () => void): void {
    if (this.#error !== null) return
    try {
      run()
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.#failed(masterError('malformed-tree', error.message, 'a newer version may have written it'))
    }
  }

  #failed(error: MasterError): void {
    this.#error ??= error
  }

  #finished(): void {
    this.#pending--
    if (this.#pending === 0) this.#done?.(this.#error)
  }
}

export function storeError({ code, message }: MetadataError): MasterError {
  return masterError('unavailable', `the metadata store: ${code}: ${message}`, 'try again, or ask another node')
}
