/**
 * A replica that begins with its group says in the tree, once, that its record stands in its node's log: from then on an empty log means that the disk was wiped.
 * By compare-and-set, and before the replica votes.
 */
import type { GroupId, ReplicaId } from '../../base/brand.ts'
import { decodeGenesis, encodeGenesis, type GroupGenesis } from '../../master/registrations.ts'
import { genesisPath } from '../../master/tree-layout.ts'
import { TreeReads } from '../../master/tree-reads.ts'
import type { MetadataStore } from '../../ports/metadata-store.ts'
import type { MetadataOperation } from '../../protocol/metadata-operation.ts'

/**
 * `made`: by this call. `was-made`: it stood there already, by an earlier call whose answer was lost or by one of an earlier life of this disk: the caller knows
 * which from its own records. `no-replica`: the group is gone, or does not begin with this replica. `retry`: not known; call again later.
 */
export type MadeResult = 'made' | 'was-made' | 'no-replica' | 'retry'

export function markMade(
  store: MetadataStore,
  group: GroupId,
  replicaId: ReplicaId,
  done: (result: MadeResult) => void,
): void {
  const reads = new TreeReads(store)
  let found: MetadataOperation | 'was-made' | 'no-replica' = 'no-replica'
  reads.end((error) => {
    if (error !== null) return done('retry')
    if (found === 'was-made' || found === 'no-replica') return done(found)
    // Another replica of the group may have come first: it is read again.
    store.multi([found], (writeError) => done(writeError === null ? 'made' : 'retry'))
  })
  reads.sync(() => {
    reads.find(
      genesisPath(group),
      (data): GroupGenesis => decodeGenesis(group, data),
      (node) => {
        const replica = node?.value.replicas.find((other) => other.replicaId === replicaId)
        if (node === null || replica === undefined) return
        if (replica.made) {
          found = 'was-made'
          return
        }
        const replicas = node.value.replicas.map((other) => (other === replica ? { ...other, made: true } : other))
        const data = encodeGenesis({ ...node.value, replicas })
        found = { kind: 'set', path: genesisPath(group), data, version: node.version }
      },
    )
  })
}
