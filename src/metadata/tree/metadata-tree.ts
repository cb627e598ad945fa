/**
 * The nodes of the metadata tree and what is counted over them. Nodes are found by their whole path; each knows its children. What
 * the operations mean is in tree-write.ts, which alone changes a tree; here is only what keeps it whole: a node and its entry among its
 * parent's children come and go together, and so do the counters and the list of each session's ephemeral nodes.
 *
 *   tree := node, from the root, each followed by its children in the order of their names
 *   node := text name (the root's is empty) | u32 length, data | u64 creation id | u64 modification id | u64 version
 *           | u64 children created | u64 ephemeral owner (0: none) | u32 children
 *
 * The number of children ever created is what is kept: it names sequential nodes, so it never falls, and the child version shown
 * follows from it (each child created counts one, each deleted one more), as in ZooKeeper (its DataNode.copyStat).
 */
import { assert, present } from '../../base/assert.ts'
import { type BytesReader, type BytesWriter, DecodeError, EMPTY_BYTES } from '../../base/bytes.ts'
import type { MetadataPath, NodeStat } from '../../protocol/metadata-operation.ts'
import { readText, utf8Length, writeText } from '../../protocol/metadata-text.ts'
import { childPath, nameOf, nameProblem, parentOf, ROOT_PATH } from './metadata-path.ts'
import { SortedChildren } from './sorted-children.ts'
import type { TreeLimits } from './tree-limits.ts'

export interface TreeNode {
  readonly path: MetadataPath
  /** The end of its path; the root's is empty. */
  readonly name: string
  readonly creationId: number
  /** The session whose end removes it; 0: none. */
  readonly owner: number
  data: Uint8Array
  modificationId: number
  version: number
  childrenCreated: number
  /** Null: no children. */
  children: SortedChildren<TreeNode> | null
}

/** What a node takes beside its name's bytes at least, in the format above. */
const SMALLEST_NODE_BYTES = 52

export class MetadataTree {
  readonly #nodes = new Map<MetadataPath, TreeNode>()
  readonly #owned = new Map<number, Set<MetadataPath>>()
  readonly #root: TreeNode
  #bytes = 0

  constructor(root: TreeNode = newNode(ROOT_PATH, 0, 0, EMPTY_BYTES)) {
    assert(root.path === ROOT_PATH && root.owner === 0 && root.children === null, 'metadata tree: no root')
    this.#root = root
    this.#nodes.set(ROOT_PATH, root)
    this.#bytes = nodeBytes(root)
  }

  get nodeCount(): number {
    return this.#nodes.size
  }

  /** Paths and data. */
  get bytes(): number {
    return this.#bytes
  }

  find(path: MetadataPath): TreeNode | undefined {
    return this.#nodes.get(path)
  }

  namesBelow(node: TreeNode): string[] {
    return node.children === null ? [] : node.children.toArray().map(({ name }) => name)
  }

  /** Sorted, so that the order hangs on the state and not on the way to it. */
  ownedBy(session: number): MetadataPath[] {
    return [...(this.#owned.get(session) ?? [])].sort()
  }

  /** Puts the node where its path says. */
  link(node: TreeNode): void {
    assert(!this.#nodes.has(node.path), `metadata tree: ${node.path} twice`)
    const parent = present(this.#nodes.get(parentOf(node.path)), `metadata tree: no parent of ${node.path}`)
    assert(parent.owner === 0, `metadata tree: ${node.path} below an ephemeral node`)
    parent.children ??= new SortedChildren()
    parent.children.add(node)
    this.#nodes.set(node.path, node)
    this.#bytes += nodeBytes(node)
    if (node.owner === 0) return
    const owned = this.#owned.get(node.owner)
    if (owned === undefined) this.#owned.set(node.owner, new Set([node.path]))
    else owned.add(node.path)
  }

  unlink(node: TreeNode): void {
    assert(node.children === null, `metadata tree: ${node.path} has children`)
    assert(this.#nodes.delete(node.path), `metadata tree: no ${node.path}`)
    const parent = present(this.#nodes.get(parentOf(node.path)), `metadata tree: no parent of ${node.path}`)
    const siblings = present(parent.children, `metadata tree: ${parent.path} has no children`)
    siblings.remove(node)
    if (siblings.size === 0) parent.children = null
    this.#bytes -= nodeBytes(node)
    if (node.owner === 0) return
    const owned = present(this.#owned.get(node.owner), `metadata tree: session ${node.owner} owns nothing`)
    owned.delete(node.path)
    if (owned.size === 0) this.#owned.delete(node.owner)
  }

  replaceData(node: TreeNode, data: Uint8Array): void {
    this.#bytes += data.length - node.data.length
    node.data = data
  }

  encode(writer: BytesWriter): void {
    // The path's length bounds the depth, but it is no business of the call stack's.
    const ahead: TreeNode[] = [this.#root]
    for (let node = ahead.pop(); node !== undefined; node = ahead.pop()) {
      encodeNode(writer, node)
      if (node.children === null) continue
      const children = node.children.toArray()
      for (let i = children.length - 1; i >= 0; i--) ahead.push(children[i])
    }
  }

  /** Throws DecodeError: also for a tree that no writes within the limits make. `isSession`: who may own nodes. */
  static decode(reader: BytesReader, limits: TreeLimits, isSession: (id: number) => boolean): MetadataTree {
    const root = decodeNode(reader, null)
    if (root.node.owner !== 0) throw new DecodeError('metadata tree: the root belongs to nobody')
    const tree = new MetadataTree(root.node)
    const open: Level[] = [{ node: root.node, left: root.childCount, lastName: '' }]
    for (let level = open.at(-1); level !== undefined; level = open.at(-1)) {
      if (level.left === 0) {
        open.pop()
        continue
      }
      level.left--
      const { node, childCount } = decodeNode(reader, level)
      if (node.owner !== 0 && !isSession(node.owner)) {
        throw new DecodeError(`metadata tree: ${node.path} belongs to ${node.owner}, which is no session`)
      }
      const isLarge = utf8Length(node.path) > limits.maxPathBytes || node.data.length > limits.maxDataBytes
      if (isLarge || childCount > limits.maxChildren) throw new DecodeError('metadata tree: a node over its limits')
      tree.link(node)
      if (tree.nodeCount > limits.maxNodes || tree.bytes > limits.maxTreeBytes) {
        throw new DecodeError('metadata tree: over its limits')
      }
      open.push({ node, left: childCount, lastName: '' })
    }
    return tree
  }
}

/** A node whose children are being read. */
interface Level {
  readonly node: TreeNode
  left: number
  lastName: string
}

export function newNode(path: MetadataPath, writeId: number, owner: number, data: Uint8Array): TreeNode {
  return {
    path,
    name: nameOf(path),
    creationId: writeId,
    owner,
    data,
    modificationId: writeId,
    version: 0,
    childrenCreated: 0,
    children: null,
  }
}

/** What it counts for in the tree's limit. */
export function nodeBytes(node: TreeNode): number {
  return utf8Length(node.path) + node.data.length
}

export function statOf(node: TreeNode): NodeStat {
  const childCount = node.children?.size ?? 0
  return {
    creationId: node.creationId,
    modificationId: node.modificationId,
    version: node.version,
    childVersion: node.childrenCreated * 2 - childCount,
    ephemeralOwner: node.owner === 0 ? null : String(node.owner),
    dataBytes: node.data.length,
    childCount,
  }
}

function encodeNode(writer: BytesWriter, node: TreeNode): void {
  writeText(writer, node.name)
  writer.blob(node.data)
  writer.u64(node.creationId)
  writer.u64(node.modificationId)
  writer.u64(node.version)
  writer.u64(node.childrenCreated)
  writer.u64(node.owner)
  writer.u32(node.children?.size ?? 0)
}

/** The next child of the level's node; null: the root itself. */
function decodeNode(reader: BytesReader, level: Level | null): { node: TreeNode; childCount: number } {
  const name = readText(reader)
  if (level === null) {
    if (name !== '') throw new DecodeError('metadata tree: the root has no name')
  } else {
    const problem = nameProblem(name)
    if (problem !== null) throw new DecodeError(`metadata tree: a name: ${problem}`)
    if (name <= level.lastName) throw new DecodeError(`metadata tree: ${name} out of order`)
    level.lastName = name
  }
  const node: TreeNode = {
    path: level === null ? ROOT_PATH : childPath(level.node.path, name),
    name,
    data: reader.blob().slice(),
    creationId: reader.u64(),
    modificationId: reader.u64(),
    version: reader.u64(),
    childrenCreated: reader.u64(),
    owner: reader.u64(),
    children: null,
  }
  const childCount = reader.u32()
  const fits = childCount <= node.childrenCreated && childCount * SMALLEST_NODE_BYTES <= reader.remaining
  if (!fits || (node.owner !== 0 && childCount > 0)) {
    throw new DecodeError(`metadata tree: ${childCount} children of ${node.path}`)
  }
  return { node, childCount }
}
