/** Routers and passed requests over a group of real replicas; between the nodes a request lane with streams that can break. */
import { present } from '../base/assert.ts'
import { asGroupId, asSlotId, type NodeId } from '../base/brand.ts'
import { BytesReader, latin1Bytes, latin1Text } from '../base/bytes.ts'
import { LANE_REQUESTS, type PeerChannel } from '../ports/peer-channel.ts'
import type { ReadLevel } from '../ports/request-router.ts'
import type { WriteIdentity } from '../protocol/client-session.ts'
import { encodeCommand } from '../protocol/command.ts'
import { COMMANDS_BY_NAME } from '../protocol/command-table.ts'
import { MAX_MESSAGE_BYTES } from '../protocol/frame.ts'
import { decodeRequestMessage } from '../protocol/request-message.ts'
import { ReplicaWorld, type WorldNode, type WorldOptions } from '../replication/raft/replica-world.testkit.ts'
import { PassedRequests } from './passed-requests.ts'
import { Router, type RouterOptions } from './request-router.ts'

const GROUP = asGroupId(1)
const LANE_DELAY_MS = 0.2

export interface Call {
  reply: string | null
  times: number
}

export class RouterNode {
  readonly node: WorldNode
  readonly channel: Channel
  readonly passed: PassedRequests
  router: Router
  /** Its replica gave way, or it never had one. */
  withReplica = true

  constructor(world: RouterWorld, node: WorldNode, options: Partial<RouterOptions>) {
    this.node = node
    this.channel = new Channel(world, node)
    this.passed = new PassedRequests(
      this.channel,
      () => this.#replica(),
      () => {},
    )
    this.router = this.#makeRouter(world, options)
    node.onStatus = () => this.router.leaderChanged(GROUP, node.replica.leaderNode)
  }

  /** A new process on the same node: nothing of the old one's requests is known any more. */
  restartRouter(world: RouterWorld, incarnation: number): void {
    this.router.stop()
    this.router = this.#makeRouter(world, { incarnation })
  }

  #makeRouter(world: RouterWorld, options: Partial<RouterOptions>): Router {
    const groups = {
      groupOf: () => GROUP,
      replica: () => this.#replica(),
      nodesOf: () => world.nodes.map(({ node }) => node.nodeId),
      epochOf: () => 0,
      learned: () => {},
      doubted: () => {},
    }
    const all = { ...OPTIONS, self: this.node.nodeId, ...options }
    const router = new Router(all, this.node.clock, this.channel, groups, () => {})
    router.start()
    return router
  }

  #replica() {
    return this.withReplica ? this.node.replica : undefined
  }

  write(...words: string[]): Call {
    const call: Call = { reply: null, times: 0 }
    this.router.write(asSlotId(0), commandOf(words), (reply) => heard(call, reply))
    return call
  }

  writeAs(identity: WriteIdentity, ...words: string[]): Call {
    const call: Call = { reply: null, times: 0 }
    this.router.writeAs(identity, asSlotId(0), commandOf(words), (reply) => heard(call, reply))
    return call
  }

  read(level: ReadLevel, ...words: string[]): Call {
    const call: Call = { reply: null, times: 0 }
    this.router.read(asSlotId(0), commandOf(words), level, true, (reply) => heard(call, reply))
    return call
  }
}

const OPTIONS: Omit<RouterOptions, 'self'> = {
  slotCount: 1,
  incarnation: 1,
  requestDeadlineMs: 5_000,
  maxUnanswered: 1_000,
  maxUnansweredBytes: 1 << 20,
  maxCommandBytes: 32 * 1024,
}

export class RouterWorld {
  readonly replicas: ReplicaWorld
  readonly nodes: RouterNode[] = []

  constructor(options: WorldOptions, routers: Partial<RouterOptions> = {}) {
    this.replicas = new ReplicaWorld(options)
    for (const node of this.replicas.nodes) this.nodes.push(new RouterNode(this, node, routers))
  }

  leader(): RouterNode {
    const leader = this.replicas.leader()
    return present(
      this.nodes.find(({ node }) => node === leader),
      'the leader has a router',
    )
  }

  others(): RouterNode[] {
    const leader = this.leader()
    return this.nodes.filter((node) => node !== leader)
  }

  of(id: NodeId): RouterNode {
    return present(this.nodes[id - 1], `no node ${id}`)
  }

  done(call: Call): string {
    this.replicas.runUntil(() => call.reply !== null, 'the request is answered')
    return present(call.reply, 'a reply')
  }
}

/** The request lane out of one node. */
export class Channel implements PeerChannel {
  readonly #world: RouterWorld
  readonly #node: WorldNode
  /** Messages taken before the lane is full; -1: no bound. */
  room = -1
  stream = 1
  readonly #away = new Set<NodeId>()
  /** Holds what was sent back, as a stopped process at the other end does. */
  held: (() => void)[] | null = null

  constructor(world: RouterWorld, node: WorldNode) {
    this.#world = world
    this.#node = node
  }

  send(to: NodeId, _lane: number, bytes: Uint8Array): boolean {
    if (bytes.length > MAX_MESSAGE_BYTES) throw new Error('a message that no transport takes')
    if (this.#away.has(to) || this.room === 0) return false
    if (this.room > 0) this.room--
    const { stream } = this
    const copy = bytes.slice()
    this.#world.replicas.scheduler.after(LANE_DELAY_MS, 'lane', () => {
      const deliver = (): void => this.#deliver(to, stream, copy)
      if (this.held === null) deliver()
      else this.held.push(deliver)
    })
    return true
  }

  #deliver(to: NodeId, stream: number, bytes: Uint8Array): void {
    const target = this.#world.of(to)
    const message = decodeRequestMessage(new BytesReader(bytes))
    if (message.type === 'request') target.passed.onRequest(this.#node.nodeId, stream, message)
    else target.router.onResponse(message)
  }

  /** What is under way is lost or late; the next message goes by a new stream. */
  breakStream(to: NodeId): void {
    this.stream++
    const { router, passed } = this.#world.of(this.#node.nodeId)
    router.onStreamClosed(to)
    passed.onStreamClosed(to)
  }

  leave(to: NodeId): void {
    this.#away.add(to)
  }

  release(): void {
    const held = this.held ?? []
    this.held = null
    for (const deliver of held) deliver()
  }

  flush(): void {}

  isConnected(to: NodeId, lane: number): boolean {
    return lane === LANE_REQUESTS && !this.#away.has(to)
  }

  queuedBytes(): number {
    return 0
  }
}

function heard(call: Call, reply: Uint8Array): void {
  call.reply = latin1Text(reply)
  call.times++
}

export function commandOf(words: readonly string[]): Uint8Array {
  const spec = present(COMMANDS_BY_NAME.get(words[0].toLowerCase()), `no command ${words[0]}`)
  return encodeCommand(spec.opcode, words.slice(1).map(latin1Bytes))
}
