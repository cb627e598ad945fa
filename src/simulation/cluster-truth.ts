/**
 * What the metadata tree says of the cluster, read from a replica's applied state in the simulator: no session, no waiting, no part in the run. Null
 * where the tree is not written yet.
 */
import { asNodeId, asSlotId, type GroupId, type NodeId } from '../base/brand.ts'
import { decodeMigrations } from '../master/cluster-snapshot.ts'
import { decodeBucket, type Reconfig } from '../master/reconfig.ts'
import {
  decodeElectionNode,
  decodeGroup,
  decodeNode,
  decodeWorkers,
  type GroupRegistration,
  groupOfName,
  idOfName,
  type RegisteredNode,
} from '../master/registrations.ts'
import { decodeSlotTable, type SlotTable } from '../master/slot-table.ts'
import {
  bucketPath,
  groupPath,
  MASTER_PREFIX,
  MASTERS,
  MASTERS_GROUP,
  MIGRATIONS,
  NODES,
  nodePath,
  SLOTS,
  WORKERS,
} from '../master/tree-layout.ts'
import type { StateMachine } from '../ports/state-machine.ts'
import { encodeMetadataRead, type MetadataRead } from '../protocol/metadata-command.ts'
import { decodeMetadataReply, type MetadataReply } from '../protocol/metadata-reply.ts'

export class ClusterTruth {
  readonly #machine: Pick<StateMachine, 'query'>

  constructor(machine: Pick<StateMachine, 'query'>) {
    this.#machine = machine
  }

  slotTable(): SlotTable | null {
    const data = this.#get(SLOTS)
    return data === null ? null : decodeSlotTable(data)
  }

  /** Rises with each change of the table; -1: there is none. */
  tableChange(): number {
    const reply = this.#ask('exists', SLOTS)
    return reply.kind === 'stat' && reply.stat !== null ? reply.stat.version : -1
  }

  /** As desired; the masters' own group among them. */
  groups(): Map<GroupId, GroupRegistration> {
    const groups = new Map<GroupId, GroupRegistration>()
    const ids = [MASTERS_GROUP, ...this.#children(WORKERS).map(groupOfName)]
    for (const group of ids) {
      const data = group === null ? null : this.#get(groupPath(group))
      if (group !== null && data !== null) groups.set(group, decodeGroup(group, data))
    }
    return groups
  }

  nodes(): Map<NodeId, RegisteredNode> {
    const nodes = new Map<NodeId, RegisteredNode>()
    for (const id of this.#children(NODES).map(idOfName)) {
      const data = id === null ? null : this.#get(nodePath(asNodeId(id)))
      if (id !== null && data !== null) nodes.set(asNodeId(id), decodeNode(asNodeId(id), data))
    }
    return nodes
  }

  /** Those that are not over and clean, rising by id. */
  openReconfigs(): Reconfig[] {
    const data = this.#get(MIGRATIONS)
    if (data === null) return []
    const buckets = decodeMigrations(data).open
    return buckets.flatMap((bucket) => {
      const bytes = this.#get(bucketPath(bucket))
      if (bytes === null) return []
      return decodeBucket(bucket, bytes).filter(
        ({ status, isClean }) => !isClean || status === 'planned' || status === 'begun',
      )
    })
  }

  /** Slots are to be planned afresh. */
  wantsRebalance(): boolean {
    const data = this.#get(WORKERS)
    return data !== null && decodeWorkers(data)
  }

  /** The node whose election node is the lowest; null: nobody stands. */
  activeMaster(): NodeId | null {
    const names = this.#children(MASTERS)
      .filter((name) => name.startsWith(MASTER_PREFIX))
      .sort()
    const data = names.length === 0 ? null : this.#get(`${MASTERS}/${names[0]}`)
    return data === null ? null : decodeElectionNode(data)
  }

  #get(path: string): Uint8Array | null {
    const reply = this.#ask('get', path)
    return reply.kind === 'node' ? reply.node.data : null
  }

  #children(path: string): readonly string[] {
    const reply = this.#ask('children', path)
    return reply.kind === 'children' ? reply.names : []
  }

  #ask(kind: MetadataRead['kind'], path: string): MetadataReply {
    const answer = this.#machine.query(encodeMetadataRead({ kind, session: 0, path }), 0, asSlotId(0))
    return answer.kind === 'reply' ? decodeMetadataReply(answer.reply).reply : { kind: 'children', names: [] }
  }
}
