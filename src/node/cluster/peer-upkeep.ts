/**
 * Which nodes this one knows, and where they are: as the tree has them registered. They are called (transport/), and remembered on disk, so that a restart without
 * any master finds them. A node that is registered no more is forgotten once no replica here has it for a member.
 */
import { asNodeId, type NodeId } from '../../base/brand.ts'
import type { ClusterSnapshot } from '../../master/cluster-snapshot.ts'
import type { Logger } from '../../ports/logger.ts'
import { LANE_CONSENSUS } from '../../ports/peer-channel.ts'
import type { PeerTransport } from '../../transport/peer-transport.ts'
import type { IdentityChange, KnownNode } from '../node-config.ts'
import type { ReplicaSet } from '../replica-set.ts'

export interface PeerUpkeepPorts {
  readonly self: NodeId
  readonly logger: Logger
  readonly transport: PeerTransport
  readonly replicas: ReplicaSet
  saveIdentity(change: IdentityChange, done: (error: string | null) => void): void
}

export class PeerUpkeep {
  readonly #ports: PeerUpkeepPorts
  readonly #addresses = new Map<NodeId, string>()
  /** As they stand on disk, or are on their way there. */
  #saved: string
  #saving = false
  /** What the tree has of nodes whose address this node knows better. */
  readonly #outdated = new Map<NodeId, string>()
  #hasRead = false
  #latest: readonly KnownNode[]

  constructor(ports: PeerUpkeepPorts, nodes: readonly KnownNode[]) {
    this.#ports = ports
    this.#saved = textOf(nodes)
    this.#latest = nodes
    for (const { nodeId, peer } of nodes) if (nodeId !== ports.self) this.#addresses.set(asNodeId(nodeId), peer)
  }

  read({ nodes }: ClusterSnapshot): void {
    const { self, transport } = this.#ports
    for (const [nodeId, { value }] of nodes) {
      if (nodeId === self || !this.#isNews(nodeId, value.peer)) continue
      this.#addresses.set(nodeId, value.peer)
      transport.setPeer(nodeId, value.peer)
    }
    this.#hasRead = true
    for (const nodeId of [...this.#addresses.keys()]) {
      if (nodes.has(nodeId) || this.#isMember(nodeId)) continue
      this.#addresses.delete(nodeId)
      transport.removePeer(nodeId)
    }
    const told = new Map(this.#latest.map((node) => [node.nodeId, node]))
    this.#latest = [...nodes].map(([nodeId, { value }]) => {
      const { peer, resp, cluster } = (this.#outdated.has(nodeId) ? told.get(nodeId) : undefined) ?? value
      return { nodeId, peer, resp, cluster, roles: value.roles }
    })
    this.#save()
  }

  /**
   * All nodes may listen elsewhere than at the last start: then what this one was told is newer than the tree, in which each node still has to register
   * itself anew. So what differs at the first reading counts only once it changes.
   */
  #isNews(nodeId: NodeId, address: string): boolean {
    const known = this.#addresses.get(nodeId)
    if (known !== undefined && known !== address) {
      if (!this.#hasRead) this.#outdated.set(nodeId, address)
      if (this.#outdated.get(nodeId) === address) return false
    }
    this.#outdated.delete(nodeId)
    return known !== address
  }

  /** Called every few seconds: where what this node was told leads to nobody, the tree may be right after all. */
  tryOutdated(): void {
    const { transport } = this.#ports
    for (const [nodeId, peer] of this.#outdated) {
      if (transport.isConnected(nodeId, LANE_CONSENSUS)) continue
      this.#outdated.delete(nodeId)
      this.#addresses.set(nodeId, peer)
      transport.setPeer(nodeId, peer)
    }
  }

  #isMember(nodeId: NodeId): boolean {
    for (const replica of this.#ports.replicas.values()) {
      if (replica.core.membership.members.some((member) => member.nodeId === nodeId)) return true
    }
    return false
  }

  #save(): void {
    const nodes = this.#latest
    const text = textOf(nodes)
    if (this.#saving || text === this.#saved) return
    this.#saving = true
    this.#ports.saveIdentity({ nodes }, (error) => {
      this.#saving = false
      // The next reading tries again.
      if (error !== null) return this.#ports.logger.warn('the known nodes were not saved', { error })
      this.#saved = text
      this.#save()
    })
  }
}

function textOf(nodes: readonly KnownNode[]): string {
  const sorted = [...nodes].sort((a, b) => a.nodeId - b.nodeId)
  return JSON.stringify(sorted.map(({ nodeId, peer, resp, cluster, roles }) => [nodeId, peer, resp, cluster, roles]))
}
