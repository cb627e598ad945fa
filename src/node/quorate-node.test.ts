// A node's beginning and end on simulated ports: whatever goes wrong or comes too early, nothing of it runs on.
import { describe, expect, it } from 'vitest'
import { asGroupId, asReplicaId } from '../base/brand.ts'
import { Prng } from '../base/prng.ts'
import { SILENT_LOGGER } from '../ports/logger.ts'
import { Scheduler } from '../simulation/scheduler.ts'
import { SimBaseFileStore } from '../simulation/sim-base-file.ts'
import { SimClock } from '../simulation/sim-clock.ts'
import { SimDisk } from '../simulation/sim-disk.ts'
import { SimNetwork } from '../simulation/sim-network.ts'
import { SIM_PROCESS_USAGE } from '../simulation/sim-process-usage.ts'
import {
  DEFAULT_LIMITS,
  DEFAULT_TIMINGS,
  type GroupGenesisConfig,
  type NodeConfig,
  type NodeError,
} from './node-config.ts'
import { QuorateNode } from './quorate-node.ts'

const LIMITS = { ...DEFAULT_LIMITS, maxValueBytes: 64 * 1024, segmentBytes: 256 * 1024 }

class World {
  readonly scheduler = new Scheduler(1)
  readonly network = new SimNetwork(this.scheduler, {})
  readonly clock = new SimClock(this.scheduler, { label: 'n1' })
  readonly wires = this.network.forNode(1, this.clock)
  readonly disk = new SimDisk(this.scheduler, this.scheduler.random.fork())
  readonly files = new SimBaseFileStore(this.scheduler)
  readonly fatals: string[] = []
  groups: readonly GroupGenesisConfig[] = [
    { groupId: 1, replicas: [{ replicaId: 1, nodeId: 1 }], slots: [[0, 15]], weight: 1, made: false },
  ]

  constructor() {
    this.disk.makeDirectory('/data', () => {})
    this.runFor(10)
  }

  node(changes: Partial<NodeConfig> = {}): QuorateNode {
    const config: NodeConfig = {
      dataDirectory: '/data',
      host: '10.0.0.1',
      nodeId: 1,
      clusterId: '00112233445566778899aabbccddeeff',
      slotCount: 16,
      respAddress: '10.0.0.1:7379',
      peerAddress: '10.0.0.1:7383',
      clusterAddress: '10.0.0.1:7380',
      roles: ['worker'],
      secret: 'ffeeddccbbaa99887766554433221100',
      nodes: [{ nodeId: 1, peer: '10.0.0.1:7383', resp: '10.0.0.1:7379', cluster: '10.0.0.1:7380', roles: ['worker'] }],
      groups: this.groups,
      hashKey: '0123456789abcdef',
      incarnation: 1,
      timings: DEFAULT_TIMINGS,
      limits: LIMITS,
      ...changes,
    }
    return new QuorateNode(
      {
        clock: this.clock,
        disk: this.disk,
        network: this.wires,
        baseFiles: this.files,
        random: new Prng(1),
        usage: SIM_PROCESS_USAGE,
        logger: SILENT_LOGGER,
        saveIdentity: ({ groups }, done) => {
          this.groups = groups ?? this.groups
          this.clock.defer(() => done(null))
        },
        onFatal: (message) => this.fatals.push(message),
      },
      config,
    )
  }

  start(node: QuorateNode): (NodeError | null)[] {
    const results: (NodeError | null)[] = []
    node.start((error) => results.push(error))
    return results
  }

  runFor(ms: number): void {
    this.scheduler.runUntil(this.scheduler.nowMs + ms)
  }
}

describe('start and stop', () => {
  it('may meet at any moment: both call back, and the next start finds everything in order', () => {
    for (let atMs = 0; atMs < 12; atMs += 0.25) {
      const world = new World()
      const node = world.node()
      const started = world.start(node)
      world.runFor(atMs)
      let stopped = 0
      node.stop(() => stopped++)
      world.runFor(5_000)
      expect([stopped, started.length], `stopped after ${atMs} ms`).toEqual([1, 1])
      const again = world.node({ incarnation: 2 })
      expect(world.fatals).toEqual([])
      const results = world.start(again)
      world.runFor(3_000)
      expect(results).toEqual([null])
      expect(again.replica(asGroupId(1))?.isLeader).toBe(true)
      again.stop(() => stopped++)
      world.runFor(1_000)
      expect(stopped).toBe(2)
      expect(world.fatals).toEqual([])
    }
  })

  it("leaves nothing running where the peers' address is taken", () => {
    const world = new World()
    world.wires.listen(
      '10.0.0.1:7383',
      () => {},
      () => {},
    )
    world.runFor(10)
    const node = world.node()
    const started = world.start(node)
    world.runFor(3_000)
    expect(started.map((error) => error?.code)).toEqual(['address-in-use'])
    expect([...node.replicas()].some((replica) => replica.isLeader)).toBe(false)
  })

  it('refuses limits that do not fit before it touches the disk', () => {
    const world = new World()
    const started = world.start(world.node({ limits: { ...LIMITS, segmentBytes: 64 * 1024 } }))
    world.runFor(1_000)
    expect(started.map((error) => error?.code)).toEqual(['limits'])
    expect(world.groups[0].made).toBe(false)
  })

  it('refuses to vote again where the disk was wiped', () => {
    const world = new World()
    world.groups = world.groups.map((group) => ({ ...group, made: true }))
    const started = world.start(world.node())
    world.runFor(1_000)
    expect(started.map((error) => error?.code)).toEqual(['wiped'])
  })
})

describe('rejoinAs', () => {
  it('may meet a stop at any moment, and either replica is there afterwards, never none', () => {
    const found = new Set<number>()
    for (let atMs = 0; atMs < 3; atMs += 0.1) {
      const world = new World()
      const node = world.node()
      world.start(node)
      world.runFor(3_000)
      node.rejoinAs(asGroupId(1), asReplicaId(9), () => {})
      world.runFor(atMs)
      let stopped = 0
      node.stop(() => stopped++)
      world.runFor(1_000)
      expect(stopped, `stopped after ${atMs} ms`).toBe(1)
      const again = world.node({ incarnation: 2 })
      const results = world.start(again)
      world.runFor(1_000)
      expect(results).toEqual([null])
      const replicaId = again.replica(asGroupId(1))?.replicaId
      expect([1, 9]).toContain(replicaId)
      found.add(Number(replicaId))
      expect(world.fatals).toEqual([])
    }
    expect(found).toEqual(new Set([1, 9]))
  })
})
