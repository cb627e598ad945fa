/** The node's part in cluster epochs: knows its own, tells others, answers what a recovery asks, and can begin one. What ends with an epoch ends here. */
import { asNodeId, type GroupId, type NodeId } from '../../base/brand.ts'
import { epochOfReplica } from '../../master/cluster-epoch.ts'
import type { ClusterSnapshot } from '../../master/cluster-snapshot.ts'
import { MASTERS_GROUP } from '../../master/tree-layout.ts'
import type { AdminDone } from '../../ports/cluster-admin.ts'
import { CALL_METHODS } from '../../ports/node-calls.ts'
import { LANE_REQUESTS } from '../../ports/peer-channel.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'
import type { PeerTransport } from '../../transport/peer-transport.ts'
import type { PeerCalls } from '../calls/peer-calls.ts'
import type { ClusterMirror } from '../cluster/cluster-mirror.ts'
import type { MastersPlace, NodeConfig, NodePorts } from '../node-config.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { MastersEpoch } from './masters-epoch.ts'
import { MastersRecovery, type RecoveryWish } from './masters-recovery.ts'
import { serveRecoveryQuestions } from './recovery-questions.ts'

/** Masters that can answer do so in less. */
const MASTERS_ANSWER_MS = 2_000

export interface NodeRecoveryParts {
  readonly ports: NodePorts
  readonly config: NodeConfig
  readonly transport: PeerTransport
  readonly replicas: ReplicaSet
  readonly calls: PeerCalls
  readonly view: ClusterMirror
  /** As the identity and the log have it. */
  readonly masters: MastersPlace
  opened(replica: RaftReplica): void
  /** Sessions, wishes of the old tree, the master here: they are over, now. */
  epochEnded(): void
}

export class NodeRecovery {
  readonly epoch: MastersEpoch
  readonly #parts: NodeRecoveryParts
  readonly #recovery: MastersRecovery

  constructor(parts: NodeRecoveryParts) {
    this.#parts = parts
    const { ports, config, transport, replicas, calls, view, opened } = parts
    const { clock, logger } = ports
    const common = {
      self: asNodeId(config.nodeId),
      clock,
      logger,
      calls,
      nodes: () => view.nodes(),
      knowNode: (node: NodeId, address: string) => {
        if (!transport.isPeer(node)) transport.setPeer(node, address)
      },
    }
    this.epoch = new MastersEpoch(
      {
        ...common,
        isConnected: (node) => transport.isConnected(node, LANE_REQUESTS),
        saveIdentity: (change, done) => ports.saveIdentity(change, done),
        changed: () => {
          parts.epochEnded()
          this.dropOldReplica()
        },
      },
      parts.masters,
    )
    calls.serve(CALL_METHODS.masters, (from, body, answer) => this.epoch.onQuestion(from, body, answer))
    const epoch = (): number => this.epoch.epoch
    const leaderOf = (group: GroupId): NodeId | null => view.leaderOf(group)
    serveRecoveryQuestions({ calls, replicas, epoch, leaderOf, nodes: common.nodes, snapshot: () => view.snapshot })
    this.#recovery = new MastersRecovery({
      ...common,
      config,
      replicas,
      slotCount: config.slotCount,
      epoch: this.epoch,
      mastersAnswer: (done) => this.#mastersAnswer(done),
      treeEpoch: () => view.snapshot?.config.value.clusterEpoch ?? null,
      opened,
    })
  }

  recover(wish: RecoveryWish, done: AdminDone): void {
    this.#recovery.run(wish, done)
  }

  /** The tree of this epoch was read. */
  read({ masters }: ClusterSnapshot): void {
    this.epoch.mastersAre((masters.report?.value.members ?? masters.value.members).map(({ nodeId }) => nodeId))
  }

  /** The replica of masters who are over goes, as soon as nothing else is done to it. */
  dropOldReplica(): void {
    const { replicas, ports } = this.#parts
    const old = replicas.get(MASTERS_GROUP)
    if (old === undefined || replicas.isChanging(MASTERS_GROUP)) return
    if (epochOfReplica(old.replicaId) >= this.epoch.epoch) return
    const { replicaId } = old
    replicas.remove(MASTERS_GROUP, (error) => {
      if (error === null) ports.logger.info("a replica of the old masters' group was removed", { replicaId })
      else ports.logger.warn("a replica of the old masters' group was not removed", { error: error.message })
    })
  }

  #mastersAnswer(done: (answer: boolean) => void): void {
    const { clock } = this.#parts.ports
    const { store } = this.#parts.view
    let isOpen = true
    const end = (answer: boolean): void => {
      if (!isOpen) return
      isOpen = false
      timer.cancel()
      done(answer)
    }
    const timer = clock.setTimer(MASTERS_ANSWER_MS, () => end(false))
    if (store === null) return clock.defer(() => end(false))
    store.sync((error) => end(error === null))
  }
}
