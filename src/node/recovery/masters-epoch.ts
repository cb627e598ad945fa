/**
 * Which cluster epoch this node has come to, and who the masters are in it. The epoch only rises: on disk before anybody is told that this node has it. From then on
 * nothing of an older one is believed here: no tree, no session, no replica of the old masters' group.
 *
 * Whoever has an epoch above 0 tells it to each node that it is connected with, until that one has answered that it has the same; and who is told of a lower one answers
 * with its own. So old masters that come back, were it all of them, learn at their first connection that they are over. The sessions' messages pass between nodes of one
 * epoch only: a session's number is an index of the masters' log, and the new log has begun anew, so that a session of the old one would be taken for another's.
 */
import { asNodeId, type NodeId } from '../../base/brand.ts'
import { DecodeError, latin1Bytes, latin1Text } from '../../base/bytes.ts'
import { MAX_CLUSTER_EPOCH } from '../../master/cluster-epoch.ts'
import type { Clock, Timer } from '../../ports/clock.ts'
import type { Logger } from '../../ports/logger.ts'
import { CALL_METHODS, type NodeCalls } from '../../ports/node-calls.ts'
import type { IdentityChange, KnownNode, MastersPlace } from '../node-config.ts'

/** Nodes that have not answered are told again this often. */
const TELL_EVERY_MS = 1_000
const ANSWER_WITHIN_MS = 3_000
const MAX_MASTERS = 31

export interface MastersEpochPorts {
  readonly self: NodeId
  readonly clock: Clock
  readonly logger: Logger
  readonly calls: NodeCalls
  /** All nodes that this one knows, itself among them. */
  nodes(): readonly KnownNode[]
  /** Nodes that this one is connected with. */
  isConnected(node: NodeId): boolean
  /** Calls it from now on, if it did not before. */
  knowNode(node: NodeId, address: string): void
  saveIdentity(change: IdentityChange, done: (error: string | null) => void): void
  /** What this node had of the old masters is to end, now. Called within `hear` or `began`. */
  changed(): void
}

interface Told {
  readonly epoch: number
  readonly masters: readonly KnownNode[]
}

export class MastersEpoch {
  readonly #ports: MastersEpochPorts
  #place: MastersPlace
  /** They have said that they have come to this epoch; they never go back. */
  readonly #agreed = new Set<NodeId>()
  /** A question is under way. */
  readonly #asking = new Set<NodeId>()
  /** Those that this node was told of: the tree that names them is not read yet. */
  #told: readonly KnownNode[] = []
  #saved: MastersPlace
  #saving = false
  #waiting: (() => void)[] = []
  #timer: Timer | null = null
  #stopped = false

  constructor(ports: MastersEpochPorts, place: MastersPlace) {
    this.#ports = ports
    this.#place = place
    this.#saved = place
  }

  get epoch(): number {
    return this.#place.epoch
  }

  /** As far as known here. */
  get masters(): readonly NodeId[] {
    return this.#place.nodes.map(asNodeId)
  }

  start(): void {
    if (this.epoch > 0) this.#tellAll()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** Messages of sessions may pass between it and this node. */
  agrees(node: NodeId): boolean {
    return this.epoch === 0 || node === this.#ports.self || this.#agreed.has(node)
  }

  onConnected(node: NodeId): void {
    if (this.epoch > 0) this.#tell(node)
  }

  /** The masters that the tree of this epoch names. */
  mastersAre(nodes: readonly NodeId[]): void {
    const rising = [...nodes].sort((a, b) => a - b)
    if (rising.length === 0 || rising.join() === [...this.#place.nodes].sort((a, b) => a - b).join()) return
    this.#place = { epoch: this.epoch, nodes: rising }
    this.#save(() => {})
  }

  /** This node has begun a new epoch, with itself as the only master. It is on disk. */
  began(place: MastersPlace): void {
    this.#saved = place
    this.#move(place)
    this.#tellAll()
  }

  /** The question `masters` of another node: `{epoch, masters}`. The answer has the same form. */
  onQuestion(from: NodeId, body: Uint8Array, answer: (body: Uint8Array) => void): void {
    const told = decodeTold(body)
    const reply = (): void => answer(this.#word())
    if (told === null) return reply()
    this.#hear(from, told, reply)
  }

  #hear(from: NodeId, told: Told, then: () => void): void {
    if (told.epoch > this.epoch) this.#adopt(told)
    if (told.epoch === this.epoch && !this.#agreed.has(from)) this.#agreed.add(from)
    // Only what is on disk is said.
    if (this.#saved.epoch === this.epoch) then()
    else this.#save(then)
  }

  #adopt({ epoch, masters }: Told): void {
    const { logger, self } = this.#ports
    const nodes = masters.map(({ nodeId }) => nodeId)
    logger.warn('the masters were recovered: a new cluster epoch', { epoch, masters: nodes.join() })
    for (const { nodeId, peer } of masters) if (nodeId !== self) this.#ports.knowNode(asNodeId(nodeId), peer)
    this.#told = masters
    this.#move({ epoch, nodes: nodes.sort((a, b) => a - b) })
    this.#save(() => {})
    this.#tellAll()
  }

  #move(place: MastersPlace): void {
    this.#place = place
    this.#agreed.clear()
    this.#ports.changed()
  }

  /** One at a time; a failure is tried again by the next telling. */
  #save(then: () => void): void {
    this.#waiting.push(then)
    if (this.#saving) return
    this.#saving = true
    const place = this.#place
    const known = this.#ports.nodes()
    const news = this.#told.filter(({ nodeId }) => !known.some((node) => node.nodeId === nodeId))
    const change = news.length === 0 ? { masters: place } : { masters: place, nodes: [...known, ...news] }
    this.#ports.saveIdentity(change, (error) => {
      this.#saving = false
      if (this.#stopped) return
      if (error !== null) {
        this.#waiting = []
        return this.#ports.logger.warn('the cluster epoch was not saved', { error })
      }
      this.#saved = place
      if (place !== this.#place) return this.#save(() => {})
      for (const done of this.#waiting.splice(0)) done()
    })
  }

  #tellAll(): void {
    this.#timer?.cancel()
    for (const { nodeId } of this.#ports.nodes()) {
      const node = asNodeId(nodeId)
      if (!this.agrees(node) && this.#ports.isConnected(node)) this.#tell(node)
    }
    this.#timer = this.#ports.clock.setTimer(TELL_EVERY_MS, () => {
      if (!this.#stopped) this.#tellAll()
    })
  }

  #tell(node: NodeId): void {
    if (node === this.#ports.self || this.#asking.has(node) || this.#saved.epoch !== this.epoch) return
    this.#asking.add(node)
    this.#ports.calls.call(node, CALL_METHODS.masters, this.#word(), ANSWER_WITHIN_MS, (outcome) => {
      this.#asking.delete(node)
      const told = outcome.kind === 'answered' ? decodeTold(outcome.reply) : null
      if (told !== null && !this.#stopped) this.#hear(node, told, () => {})
    })
  }

  #word(): Uint8Array {
    const { epoch, nodes } = this.#saved
    const known = new Map([...this.#told, ...this.#ports.nodes()].map((node) => [node.nodeId, node]))
    const masters = nodes.flatMap((node) => known.get(node) ?? [])
    return latin1Bytes(JSON.stringify({ epoch, masters: masters.map(plain) }))
  }
}

function plain({ nodeId, peer, resp, cluster, roles }: KnownNode): KnownNode {
  return { nodeId, peer, resp, cluster, roles }
}

/** Null: it is none. */
function decodeTold(bytes: Uint8Array): Told | null {
  let value: unknown
  try {
    value = JSON.parse(latin1Text(bytes))
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof DecodeError) return null
    throw error
  }
  const { epoch, masters } = (value ?? {}) as Partial<Told>
  const isEpoch = Number.isInteger(epoch) && Number(epoch) >= 0 && Number(epoch) <= MAX_CLUSTER_EPOCH
  if (!isEpoch || !Array.isArray(masters) || masters.length > MAX_MASTERS || !masters.every(isKnownNode)) return null
  return { epoch: Number(epoch), masters: masters.map(plain) }
}

/** Anything may come from another node. */
export function isKnownNode(value: unknown): value is KnownNode {
  if (typeof value !== 'object' || value === null) return false
  const { nodeId, peer, resp, cluster, roles } = value as Readonly<Record<string, unknown>>
  const isId = typeof nodeId === 'number' && Number.isInteger(nodeId) && nodeId > 0 && nodeId < 2 ** 32
  const areTexts = [peer, resp, cluster].every((text) => typeof text === 'string' && /^[\x21-\x7e]+:\d+$/.test(text))
  return isId && areTexts && Array.isArray(roles) && roles.every((role) => role === 'master' || role === 'worker')
}
