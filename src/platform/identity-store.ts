/**
 * Changes of a running node's identity.json: off the event loop, one write at a time, in the order of the calls, each durable before its callback.
 * What comes while a write is under way goes out together with the next one. A crash leaves the old identity or the new one.
 */
import { join } from 'node:path'
import type { IdentityChange, KnownNode } from '../node/node-config.ts'
import { IDENTITY_FILE } from './data-directory.ts'
import { replaceFileDurablySoon } from './durable-file.ts'
import { decodeIdentity, encodeIdentity, type NodeIdentity } from './identity.ts'

interface Waiting {
  readonly change: IdentityChange
  readonly done: (error: string | null) => void
}

export class IdentityStore {
  readonly #path: string
  #identity: NodeIdentity
  /** As many as the callers have under way: one a group, and one for the nodes. */
  #waiting: Waiting[] = []
  #writing: Promise<void> | null = null
  #ended = false

  /** `identity`: what stands in the file. The caller holds the directory's lock until `end` has resolved. */
  constructor(directory: string, identity: NodeIdentity) {
    this.#path = join(directory, IDENTITY_FILE)
    this.#identity = identity
  }

  /** As it stands on disk. */
  get identity(): NodeIdentity {
    return this.#identity
  }

  /** `done` never comes from within this call, and not at all where `end` was called by then. Null: it is on disk. */
  save(change: IdentityChange, done: (error: string | null) => void): void {
    if (this.#ended) return
    this.#waiting.push({ change, done })
    this.#writing ??= this.#writeAll()
  }

  /** Begins no further write; resolves once none is under way. */
  async end(): Promise<void> {
    this.#ended = true
    this.#waiting = []
    await this.#writing
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0)
      const error = await this.#write(batch)
      if (this.#ended) break
      for (const { done } of batch) done(error)
    }
    this.#writing = null
  }

  async #write(batch: readonly Waiting[]): Promise<string | null> {
    let { nodes, groups, masters } = this.#identity
    for (const { change } of batch) {
      nodes = change.nodes ?? nodes
      groups = change.groups ?? groups
      masters = change.masters ?? masters
    }
    const changed = { ...this.#identity, nodes: this.#withSelf(nodes), groups, masters }
    const text = encodeIdentity(changed)
    // What this node could not read again would keep it from starting.
    const readable = decodeIdentity(text, this.#path)
    if (!readable.ok) return `not written: ${readable.failure.message}`
    try {
      await replaceFileDurablySoon(this.#path, text)
    } catch (error) {
      return `${this.#path} was not written: ${error instanceof Error ? error.message : String(error)}`
    }
    this.#identity = changed
    return null
  }

  /** A node that the cluster knows no more still knows itself. */
  #withSelf(nodes: readonly KnownNode[]): readonly KnownNode[] {
    const { nodeId } = this.#identity
    const own = this.#identity.nodes.filter((node) => node.nodeId === nodeId)
    return nodes.some((node) => node.nodeId === nodeId) ? nodes : [...nodes, ...own]
  }
}
