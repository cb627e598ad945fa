/**
 * What a replica of the masters' group says of the cluster after a majority of the others is gone. Its log's tail is taken as committed, too: an entry that this replica
 * has and the lost majority had may have been answered to somebody, and nobody is left who could say that it was not.
 */
import { asSlotId } from '../../base/brand.ts'
import { type ClusterSnapshot, readSnapshot } from '../../master/cluster-snapshot.ts'
import type { ReadableTree } from '../../master/tree-reads.ts'
import { MastersMachine } from '../../metadata/embedded/masters-machine.ts'
import { TreeStateMachine } from '../../metadata/tree/tree-state-machine.ts'
import type { Done } from '../../ports/metadata-store.ts'
import { ENTRY_COMMAND } from '../../protocol/entry.ts'
import { encodeMetadataRead, type MetadataRead } from '../../protocol/metadata-command.ts'
import type { MetadataError, MetadataNode } from '../../protocol/metadata-operation.ts'
import { decodeMetadataReply, type MetadataReply } from '../../protocol/metadata-reply.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'

/** Null: there is no cluster in it. */
export function lastTreeOf({ core, machine }: RaftReplica): ClusterSnapshot | null {
  if (!(machine instanceof MastersMachine)) return null
  const tree = new TreeStateMachine()
  tree.restore(machine.tree.checkpointState())
  for (const entry of core.entries(core.firstIndex, core.lastIndex)) {
    if (entry.kind === ENTRY_COMMAND && entry.index > tree.appliedIndex) tree.apply(entry)
  }
  let found: ClusterSnapshot | null = null
  readSnapshot(new AppliedTree(tree), (_error, snapshot) => {
    found = snapshot
  })
  return found
}

/** Answers within the call. */
class AppliedTree implements ReadableTree {
  readonly #tree: TreeStateMachine

  constructor(tree: TreeStateMachine) {
    this.#tree = tree
  }

  get(path: string, done: Done<MetadataNode>): void {
    const reply = this.#ask('get', path)
    if (reply.kind === 'node') done(null, reply.node)
    else done(errorOf(reply), null)
  }

  children(path: string, done: Done<readonly string[]>): void {
    const reply = this.#ask('children', path)
    if (reply.kind === 'children') done(null, reply.names)
    else done(errorOf(reply), null)
  }

  sync(done: Done<true>): void {
    done(null, true)
  }

  #ask(kind: MetadataRead['kind'], path: string): MetadataReply {
    const answer = this.#tree.query(encodeMetadataRead({ kind, session: 0, path }), 0, asSlotId(0))
    const bytes = answer.kind === 'reply' ? answer.reply : new Uint8Array(0)
    return decodeMetadataReply(bytes).reply
  }
}

function errorOf(reply: MetadataReply): MetadataError {
  if (reply.kind === 'error') return reply.error
  return { code: 'unavailable', message: `the tree answered ${reply.kind}`, operation: -1 }
}
