/**
 * The embedded metadata store as this node has it: its part as a master where it has a replica of the masters' group, and the sessions that it holds with
 * the tree, wherever the masters are.
 */
import type { NodeId } from '../../base/brand.ts'
import { EmbeddedMetadata } from '../../metadata/embedded/embedded-metadata.ts'
import { MastersHost } from '../../metadata/embedded/masters-host.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Logger } from '../../ports/logger.ts'
import type { MastersGroup, MetadataWire } from '../../ports/masters-group.ts'
import type { MetadataStore } from '../../ports/metadata-store.ts'
import { LANE_REQUESTS, type PeerChannel } from '../../ports/peer-channel.ts'
import type { Random } from '../../ports/random.ts'
import type { StateMachine } from '../../ports/state-machine.ts'
import { OUTCOME_REPLY } from '../../protocol/request-message.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'

export interface NodeMetadataPorts {
  readonly clock: Clock
  /** Must differ between processes: sessions are named by it. */
  readonly random: Random
  readonly logger: Logger
  readonly self: NodeId
  readonly peers: PeerChannel
  flushSoon(): void
  /** This node's replica of the masters' group. */
  replica(): RaftReplica | undefined
  /** The nodes that hold one, as far as known. */
  masters(): readonly NodeId[]
  /** It has the same masters as this node. */
  agrees(node: NodeId): boolean
}

export class NodeMetadata {
  readonly #host: MastersHost
  readonly #metadata: EmbeddedMetadata
  readonly #sessionTimeoutMs: number
  readonly #agrees: (node: NodeId) => boolean
  #stopped = false

  /** `sessionTimeoutMs`: after so long without a word from its holder the log may end a session. 1 to 60 seconds. */
  constructor(ports: NodeMetadataPorts, sessionTimeoutMs: number) {
    const { clock, random, logger, self, peers } = ports
    this.#sessionTimeoutMs = sessionTimeoutMs
    this.#agrees = (node) => ports.agrees(node)
    const wire: MetadataWire = {
      send: (to, bytes) => {
        if (to === self) {
          clock.defer(() => this.onMessage(self, bytes))
          return true
        }
        const sent = peers.send(to, LANE_REQUESTS, bytes)
        if (sent) ports.flushSoon()
        return sent
      },
    }
    const group = (): MastersGroup | null => {
      const replica = ports.replica()
      return replica === undefined || this.#stopped ? null : groupOf(replica)
    }
    this.#host = new MastersHost({ clock, wire, nodeId: self, group })
    this.#metadata = new EmbeddedMetadata(
      { clock, random, wire, nodeId: self, logger, masters: () => ports.masters() },
      () => this.#host,
    )
  }

  /** For the replica of the masters' group; again for each image. */
  makeMachine(): StateMachine {
    return this.#host.makeMachine()
  }

  /** The replica has gained or lost the lead, or follows another. */
  roleChanged(): void {
    this.#host.roleChanged()
  }

  /** Another session with the tree, that is being opened. */
  openSession(): MetadataStore {
    return this.#metadata.open({ sessionTimeoutMs: this.#sessionTimeoutMs })
  }

  /** The masters are others than before: every session of this node is over. */
  endSessions(): void {
    this.#metadata.abandonAll()
  }

  onMessage(from: NodeId, bytes: Uint8Array): void {
    if (!this.#stopped && this.#agrees(from)) this.#metadata.onMessage(from, bytes)
  }

  stop(): void {
    this.#stopped = true
    this.#host.stop()
  }
}

function groupOf(replica: RaftReplica): MastersGroup {
  return {
    term: replica.core.term,
    isLeader: replica.isLeader,
    leaderNode: replica.leaderNode,
    machine: replica.machine,
    propose: (payload, settle) => replica.propose(payload, { settle }),
    confirm: (done) => replica.barrier({ settle: (outcome) => done(outcome === OUTCOME_REPLY) }),
  }
}
