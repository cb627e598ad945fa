/**
 * A whole server: the node and its doors, wired over ports. The real process (embedding/node-host.ts) and the simulator start
 * exactly this.
 */

import { VERSION } from '../base/version.ts'
import type { NodeConfig, NodeError, NodePorts } from '../node/node-config.ts'
import { QuorateNode } from '../node/quorate-node.ts'
import type { InfoSection, NodeInfo } from './resp/node-info.ts'
import { RespServer, type RespServerSettings } from './resp/resp-server.ts'

const KEY_COUNT_LASTS_MS = 1000

export class ServerNode {
  readonly node: QuorateNode
  readonly #ports: NodePorts
  readonly #config: NodeConfig
  readonly #doors: RespServer[] = []
  #keys = 0
  #countAgainMs = 0

  constructor(ports: NodePorts, config: NodeConfig) {
    this.#ports = ports
    this.#config = config
    this.node = new QuorateNode(ports, config)
  }

  /** Calls back once peers and clients are served. */
  start(done: (error: NodeError | null) => void): void {
    this.node.start((error) => {
      if (error !== null) return done(error)
      const { limits, respAddress, clusterAddress } = this.#config
      const settings = {
        maxClients: limits.maxClients,
        maxKeyBytes: limits.maxKeyBytes,
        maxValueBytes: limits.maxValueBytes,
        nodeInfo: this.#nodeInfo(),
        view: this.node.view,
        admin: this.node.admin,
      }
      const first = this.#makeDoor({ ...settings, address: respAddress })
      const { places } = this.node
      const second = this.#makeDoor({ ...settings, address: clusterAddress, places, beside: first })
      this.#startDoors([first, second], done)
    })
  }

  #makeDoor(settings: RespServerSettings): RespServer {
    const { clock, network, random, logger } = this.#ports
    const door = new RespServer(network, clock, random, this.node.router, this.node.bus, logger, settings)
    this.#doors.push(door)
    return door
  }

  #startDoors(doors: readonly RespServer[], done: (error: NodeError | null) => void): void {
    const [first, ...others] = doors
    if (first === undefined) return done(null)
    first.start((failure) => {
      if (failure === null) return this.#startDoors(others, done)
      const taken = failure.code === 'address-in-use'
      const mend = taken ? 'stop what listens there, or choose another port' : 'check the host name and the permissions'
      // Nobody stops a server that did not start: without this its node would go on voting.
      this.stop(() => done({ code: failure.code, message: failure.message, mend }))
    })
  }

  /** Clients first, then the node. */
  stop(done: () => void): void {
    const doors = this.#doors.splice(0)
    let open = doors.length
    if (open === 0) return this.node.stop(done)
    for (const door of doors) {
      door.stop(() => {
        open--
        if (open === 0) this.node.stop(done)
      })
    }
  }

  #nodeInfo(): NodeInfo {
    return {
      usage: this.#ports.usage,
      nodeId: this.#config.nodeId,
      version: VERSION,
      status: () => this.node.status(),
      // A quorum is more than half of the members, and the leader is one of it.
      replicasHoldingWrites: () => {
        const held = this.node.status().groups.map((group) => Math.floor(group.replicas.length / 2))
        return held.length === 0 ? 0 : Math.min(...held)
      },
      infoFields: (section) => this.#infoFields(section),
      configEntries: () => [['dir', this.#config.dataDirectory]],
    }
  }

  /** Counting looks at every slot: once a second at most, however often it is asked. */
  #keyspaceFields(): readonly (readonly [string, string])[] {
    const nowMs = this.#ports.clock.monotonicMs()
    if (nowMs >= this.#countAgainMs) {
      this.#keys = this.node.keyCount()
      this.#countAgainMs = nowMs + KEY_COUNT_LASTS_MS
    }
    return this.#keys === 0 ? [] : [['db0', `keys=${this.#keys}`]]
  }

  #infoFields(section: InfoSection): readonly (readonly [string, string | number])[] {
    if (section === 'keyspace') return this.#keyspaceFields()
    if (section !== 'replication') return []
    const { groups } = this.node.status()
    // Positions in the groups' logs, together: what rises with every write.
    const offset = groups.reduce((sum, group) => sum + group.commit, 0)
    const fields: (readonly [string, string | number])[] = [
      ['master_repl_offset', offset],
      ['groups', groups.length],
    ]
    for (const group of groups) {
      fields.push([
        `group${group.id}`,
        `role=${group.role},leader=${group.leader ?? 0},term=${group.term},applied=${group.applied}`,
      ])
    }
    return fields
  }
}
