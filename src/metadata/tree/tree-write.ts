/**
 * One write to the tree: its operations one after another, all or nothing. What each did is kept as its undoing until the last has succeeded;
 * the first that fails has everything before it taken back, in reverse. Errors come in ZooKeeper's order (PrepRequestProcessor): the path,
 * the node or its parent, the version, and only then what hangs on the node's children.
 */
import { unreachable } from '../../base/assert.ts'
import type {
  MetadataError,
  MetadataErrorCode,
  MetadataOperation,
  MetadataPath,
  MetadataResult,
} from '../../protocol/metadata-operation.ts'
import { ANY_VERSION } from '../../protocol/metadata-operation.ts'
import { utf8Length } from '../../protocol/metadata-text.ts'
import { MAX_SEQUENCE, parentOf, pathProblem, ROOT_PATH, sequentialPath } from './metadata-path.ts'
import { type MetadataTree, newNode, nodeBytes, statOf, type TreeNode } from './metadata-tree.ts'
import type { TreeChange } from './tree-changes.ts'
import type { TreeLimits } from './tree-limits.ts'

export type WriteOutcome =
  | { readonly kind: 'done'; readonly results: readonly MetadataResult[]; readonly changes: readonly TreeChange[] }
  | { readonly kind: 'refused'; readonly error: MetadataError }

interface Refusal {
  readonly kind: 'refusal'
  readonly code: MetadataErrorCode
  readonly message: string
}

/** Longer paths are cut in messages. */
const MESSAGE_PATH_UNITS = 200

/** `session` 0 writes too, but owns no ephemeral nodes. */
export function runOperations(
  tree: MetadataTree,
  limits: TreeLimits,
  operations: readonly MetadataOperation[],
  writeId: number,
  session: number,
): WriteOutcome {
  const tooLarge = multiProblem(operations, limits)
  if (tooLarge !== null) return { kind: 'refused', error: { code: 'too-large', message: tooLarge, operation: -1 } }
  const write = new TreeWrite(tree, limits, writeId, session)
  const results: MetadataResult[] = []
  for (let i = 0; i < operations.length; i++) {
    const operation = operations[i]
    const result = write.run(operation)
    if (result.kind === 'refusal') {
      write.undo()
      const path = operation.path.slice(0, MESSAGE_PATH_UNITS)
      const message = `${operation.kind} ${path}: ${result.message}`
      return { kind: 'refused', error: { code: result.code, message, operation: i } }
    }
    results.push(result)
  }
  return { kind: 'done', results, changes: write.changes }
}

/** Removes a session's ephemeral nodes. They are leaves, so the order does not matter. */
export function removeOwned(tree: MetadataTree, session: number): TreeChange[] {
  const changes: TreeChange[] = []
  for (const path of tree.ownedBy(session)) {
    const node = tree.find(path)
    if (node === undefined) continue
    tree.unlink(node)
    changes.push({ path, kind: 'deleted' }, { path: parentOf(path), kind: 'children' })
  }
  return changes
}

function multiProblem(operations: readonly MetadataOperation[], limits: TreeLimits): string | null {
  if (operations.length > limits.maxMultiOperations) {
    return `multi: ${operations.length} operations, at most ${limits.maxMultiOperations}`
  }
  let bytes = 0
  for (const operation of operations) {
    bytes += limits.operationBytes + utf8Length(operation.path)
    if (operation.kind === 'create' || operation.kind === 'set') bytes += operation.data.length
  }
  return bytes > limits.maxMultiBytes ? `multi: ${bytes} bytes, at most ${limits.maxMultiBytes}` : null
}

class TreeWrite {
  readonly changes: TreeChange[] = []
  readonly #tree: MetadataTree
  readonly #limits: TreeLimits
  readonly #writeId: number
  readonly #session: number
  readonly #undo: (() => void)[] = []

  constructor(tree: MetadataTree, limits: TreeLimits, writeId: number, session: number) {
    this.#tree = tree
    this.#limits = limits
    this.#writeId = writeId
    this.#session = session
  }

  run(operation: MetadataOperation): MetadataResult | Refusal {
    switch (operation.kind) {
      case 'create':
        return this.#create(operation)
      case 'set':
        return this.#set(operation)
      case 'delete':
        return this.#delete(operation)
      case 'check': {
        const node = this.#expect(operation.path, operation.version)
        return 'kind' in node ? node : { kind: 'checked' }
      }
      default:
        return unreachable(operation)
    }
  }

  undo(): void {
    for (let step = this.#undo.pop(); step !== undefined; step = this.#undo.pop()) step()
  }

  #create(operation: MetadataOperation & { readonly kind: 'create' }): MetadataResult | Refusal {
    const { sequential, ephemeral } = operation.options
    // The digits may be the whole name, so they stand in while the path is looked at.
    const shape = sequential ? sequentialPath(operation.path, 0) : operation.path
    const problem = pathProblem(shape, this.#limits.maxPathBytes)
    if (problem !== null) return refuse('bad-path', problem)
    if (shape === ROOT_PATH) return refuse('node-exists', 'the root is always there')
    const parent = this.#tree.find(parentOf(shape))
    if (parent === undefined) return refuse('no-node', `no parent ${parentOf(shape).slice(0, MESSAGE_PATH_UNITS)}`)
    if (parent.owner !== 0) return refuse('no-children-for-ephemerals', `${parent.path} is ephemeral`)
    if (sequential && parent.childrenCreated > MAX_SEQUENCE)
      return refuse('too-large', 'the sequence has no more numbers')
    const path = sequential ? sequentialPath(operation.path, parent.childrenCreated) : operation.path
    if (this.#tree.find(path) !== undefined)
      return refuse('node-exists', `${path.slice(0, MESSAGE_PATH_UNITS)} is there`)
    if (ephemeral && this.#session === 0) return refuse('session-expired', 'an ephemeral node needs a session')
    const owner = ephemeral ? this.#session : 0
    const node = newNode(path, this.#writeId, owner, operation.data.slice())
    const noRoom = this.#roomProblem(parent, node)
    if (noRoom !== null) return refuse('too-large', noRoom)
    this.#tree.link(node)
    parent.childrenCreated++
    this.#undo.push(() => {
      this.#tree.unlink(node)
      parent.childrenCreated--
    })
    this.changes.push({ path, kind: 'created' }, { path: parent.path, kind: 'children' })
    return { kind: 'created', path, stat: statOf(node) }
  }

  #roomProblem(parent: TreeNode, node: TreeNode): string | null {
    const { maxDataBytes, maxChildren, maxNodes, maxTreeBytes } = this.#limits
    if (node.data.length > maxDataBytes) return `${node.data.length} bytes of data, at most ${maxDataBytes}`
    if ((parent.children?.size ?? 0) >= maxChildren) return `the parent has ${maxChildren} children already`
    if (this.#tree.nodeCount >= maxNodes) return `the tree has ${maxNodes} nodes already`
    if (this.#tree.bytes + nodeBytes(node) > maxTreeBytes) return `the tree would pass ${maxTreeBytes} bytes`
    return null
  }

  #set(operation: MetadataOperation & { readonly kind: 'set' }): MetadataResult | Refusal {
    const node = this.#expect(operation.path, operation.version)
    if ('kind' in node) return node
    const { maxDataBytes, maxTreeBytes } = this.#limits
    const size = operation.data.length
    if (size > maxDataBytes) return refuse('too-large', `${size} bytes of data, at most ${maxDataBytes}`)
    if (this.#tree.bytes + size - node.data.length > maxTreeBytes) {
      return refuse('too-large', `the tree would pass ${maxTreeBytes} bytes`)
    }
    const { data, version, modificationId } = node
    // A copy: what came is a view of the log's bytes.
    this.#tree.replaceData(node, operation.data.slice())
    node.version++
    node.modificationId = this.#writeId
    this.#undo.push(() => {
      this.#tree.replaceData(node, data)
      node.version = version
      node.modificationId = modificationId
    })
    this.changes.push({ path: node.path, kind: 'data' })
    return { kind: 'set', stat: statOf(node) }
  }

  #delete(operation: MetadataOperation & { readonly kind: 'delete' }): MetadataResult | Refusal {
    if (operation.path === ROOT_PATH) return refuse('bad-path', 'the root stays')
    const node = this.#expect(operation.path, operation.version)
    if ('kind' in node) return node
    if (node.children !== null) return refuse('not-empty', `has ${node.children.size} children`)
    this.#tree.unlink(node)
    this.#undo.push(() => this.#tree.link(node))
    this.changes.push({ path: node.path, kind: 'deleted' }, { path: parentOf(node.path), kind: 'children' })
    return { kind: 'deleted' }
  }

  /** The node, where it is there and has that version. */
  #expect(path: MetadataPath, version: number): TreeNode | Refusal {
    const problem = pathProblem(path, this.#limits.maxPathBytes)
    if (problem !== null) return refuse('bad-path', problem)
    const node = this.#tree.find(path)
    if (node === undefined) return refuse('no-node', 'is not there')
    if (version !== ANY_VERSION && version !== node.version) {
      return refuse('bad-version', `expected version ${version}, it has ${node.version}`)
    }
    return node
  }
}

function refuse(code: MetadataErrorCode, message: string): Refusal {
  return { kind: 'refusal', code, message }
}
