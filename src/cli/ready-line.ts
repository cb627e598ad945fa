/** What `quorate dev` prints once every group has a leader: one line of JSON for machines, a short page for people. */
import { clusterAddress, nodePort, peerAddress, respAddress } from '../embedding/cluster-shape.ts'
import type { LedCluster } from './cluster-status.ts'
import type { DevSupervisor } from './dev-supervisor.ts'

/** A door that is not built yet is null. */
export interface ReadyLine {
  readonly ready: true
  readonly pid: number
  readonly data: string
  readonly metadata: 'embedded'
  readonly replication: 'raft'
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly pid: number
    readonly resp: string
    readonly cluster: string
    readonly http: null
    readonly grpc: null
    readonly peer: string
    readonly data: string
    /** Starts the node again; the first word is the node binary's absolute path. */
    readonly command: readonly string[]
  }>
  readonly groups: ReadonlyArray<{
    readonly id: number
    readonly leader: number
    /** Node ids. */
    readonly replicas: readonly number[]
    readonly weight: number
    readonly slots: number
  }>
  /** Node ids. */
  readonly masters: readonly number[]
  readonly zookeeper: null
}

export function readyLine(supervisor: DevSupervisor, { groups, masters }: LedCluster): ReadyLine {
  const { root, shape } = supervisor.data
  return {
    ready: true,
    pid: process.pid,
    data: root,
    metadata: 'embedded',
    replication: 'raft',
    nodes: supervisor.nodes.map((node) => ({
      id: node.nodeId,
      pid: node.pid,
      resp: respAddress(shape, node.nodeId),
      cluster: clusterAddress(shape, node.nodeId),
      http: null,
      grpc: null,
      peer: peerAddress(shape, node.nodeId),
      data: node.directory,
      command: node.command,
    })),
    groups,
    masters,
    zookeeper: null,
  }
}

export function readyPage(supervisor: DevSupervisor, line: ReadyLine, elapsedMs: number): string {
  const { shape } = supervisor.data
  const lines = [
    `Quorate is ready: ${shape.nodes} node(s), ${line.groups.length} group(s) of ${shape.replicas} replica(s), ` +
      `${shape.slotCount} slots (${(elapsedMs / 1000).toFixed(1)} s)`,
    '',
    ...line.nodes.map((node) => {
      const leads = line.groups.filter((group) => group.leader === node.id).map((group) => group.id)
      const role = leads.length === 0 ? 'follows' : `leads group ${leads.join(', ')}`
      return `  node ${node.id}   ${node.resp}   pid ${node.pid}   ${role}`
    }),
    '',
    `  connect   redis-cli -h ${shape.host} -p ${nodePort(shape, 1)}      (any Redis client, any node)`,
    `  look      quorate admin status --addr ${respAddress(shape, 1)}`,
    `  data      ${line.data}      (kept over restarts; the nodes' logs are there too)`,
    `  stop      Ctrl-C, or kill ${line.pid}`,
    '',
  ]
  return `${lines.join('\n')}\n`
}
