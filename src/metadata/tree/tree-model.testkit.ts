/**
 * The metadata tree as one would write it in an afternoon: a map that is copied before each multi, and looked through from end to end
 * for everything. What the real one answers must be what this answers.
 */
import type {
  MetadataErrorCode,
  MetadataOperation,
  MetadataResult,
  NodeStat,
} from '../../protocol/metadata-operation.ts'

interface ModelNode {
  data: string
  version: number
  creationId: number
  modificationId: number
  created: number
  deleted: number
  owner: number
}

export type ModelReply =
  | { readonly results: readonly MetadataResult[] }
  | { readonly code: MetadataErrorCode; readonly operation: number }

const NAME = /^[a-z0-9-]+$/

export class TreeModel {
  nodes = new Map<string, ModelNode>([['/', blank(0, '', 0)]])
  readonly sessions = new Set<number>()

  multi(index: number, session: number, operations: readonly MetadataOperation[]): ModelReply {
    if (session !== 0 && !this.sessions.has(session)) return { code: 'session-expired', operation: -1 }
    const before = new Map([...this.nodes].map(([path, node]) => [path, { ...node }]))
    const results: MetadataResult[] = []
    for (const [i, operation] of operations.entries()) {
      const result = this.#run(index, session, operation)
      if (typeof result === 'string') {
        this.nodes = before
        return { code: result, operation: i }
      }
      results.push(result)
    }
    return { results }
  }

  end(session: number): boolean {
    if (!this.sessions.delete(session)) return false
    for (const [path, node] of [...this.nodes]) {
      if (node.owner !== session) continue
      this.nodes.delete(path)
      this.#parent(path).deleted++
    }
    return true
  }

  children(path: string): string[] {
    const prefix = path === '/' ? '/' : `${path}/`
    const below = [...this.nodes.keys()].filter((other) => other !== '/' && other.startsWith(prefix))
    return below
      .map((other) => other.slice(prefix.length))
      .filter((name) => !name.includes('/'))
      .sort()
  }

  stat(path: string): NodeStat | null {
    const node = this.nodes.get(path)
    if (node === undefined) return null
    return {
      creationId: node.creationId,
      modificationId: node.modificationId,
      version: node.version,
      childVersion: node.created + node.deleted,
      ephemeralOwner: node.owner === 0 ? null : String(node.owner),
      dataBytes: node.data.length,
      childCount: this.children(path).length,
    }
  }

  #run(index: number, session: number, operation: MetadataOperation): MetadataResult | MetadataErrorCode {
    const { kind, path } = operation
    if (kind === 'create') return this.#create(index, session, operation)
    if (!isPath(path) || (kind === 'delete' && path === '/')) return 'bad-path'
    const node = this.nodes.get(path)
    if (node === undefined) return 'no-node'
    if (operation.version !== -1 && operation.version !== node.version) return 'bad-version'
    if (kind === 'check') return { kind: 'checked' }
    if (kind === 'delete') {
      if (this.children(path).length > 0) return 'not-empty'
      this.nodes.delete(path)
      this.#parent(path).deleted++
      return { kind: 'deleted' }
    }
    node.data = textOf(operation.data)
    node.version++
    node.modificationId = index
    return { kind: 'set', stat: this.#statOf(path) }
  }

  #create(
    index: number,
    session: number,
    operation: MetadataOperation & { kind: 'create' },
  ): MetadataResult | MetadataErrorCode {
    const { ephemeral, sequential } = operation.options
    if (!isPath(operation.path + (sequential ? '0' : ''))) return 'bad-path'
    if (operation.path === '/' && !sequential) return 'node-exists'
    const parentPath = operation.path.slice(0, operation.path.lastIndexOf('/')) || '/'
    const parent = this.nodes.get(parentPath)
    if (parent === undefined) return 'no-node'
    if (parent.owner !== 0) return 'no-children-for-ephemerals'
    const path = operation.path + (sequential ? String(parent.created).padStart(10, '0') : '')
    if (this.nodes.has(path)) return 'node-exists'
    if (ephemeral && session === 0) return 'session-expired'
    this.nodes.set(path, blank(index, textOf(operation.data), ephemeral ? session : 0))
    parent.created++
    return { kind: 'created', path, stat: this.#statOf(path) }
  }

  #statOf(path: string): NodeStat {
    const stat = this.stat(path)
    if (stat === null) throw new Error(`no ${path}`)
    return stat
  }

  #parent(path: string): ModelNode {
    const parent = this.nodes.get(path.slice(0, path.lastIndexOf('/')) || '/')
    if (parent === undefined) throw new Error(`no parent of ${path}`)
    return parent
  }
}

export function isPath(path: string): boolean {
  return (
    path === '/' ||
    (path.startsWith('/') &&
      path
        .slice(1)
        .split('/')
        .every((name) => NAME.test(name)))
  )
}

function blank(index: number, data: string, owner: number): ModelNode {
  return { data, version: 0, creationId: index, modificationId: index, created: 0, deleted: 0, owner }
}

function textOf(data: Uint8Array): string {
  return String.fromCharCode(...data)
}
