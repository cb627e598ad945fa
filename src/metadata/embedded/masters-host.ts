/**
 * One master's part of the embedded metadata store: it serves the sessions that are attached to it from what its replica of the masters'
 * group has applied, and passes on what the leader alone can do. On the leader's node it does that, too (leader-sessions.ts).
 *
 *   attach, watch, read, ack   here, at any master         read: at an index that the session has seen, or a later one
 *   alive, sync, write         at the leader; elsewhere passed on to it, once
 *
 * Nothing here is kept over a restart: whoever was attached is told `detached`, and attaches again.
 */
import { assert } from '../../base/assert.ts'
import { asSlotId, type NodeId } from '../../base/brand.ts'
import { DecodeError, EMPTY_BYTES } from '../../base/bytes.ts'
import type { Clock, Timer } from '../../ports/clock.ts'
import type { MastersGroup, MetadataWire } from '../../ports/masters-group.ts'
import { decodePayloadHeader, PAYLOAD_METADATA } from '../../protocol/command.ts'
import {
  encodeMetadataResponse,
  type MetadataEnvelope,
  type MetadataRequest,
  type MetadataResponse,
  type MetadataResponseBody,
  passedOn,
} from '../../protocol/metadata-message.ts'
import { encodeMetadataReply } from '../../protocol/metadata-reply.ts'
import { OUTCOME_REFUSED } from '../../protocol/request-message.ts'
import type { TreeListener } from '../tree/tree-changes.ts'
import type { TreeLimits } from '../tree/tree-limits.ts'
import { TreeStateMachine } from '../tree/tree-state-machine.ts'
import { AppliedWaits } from './applied-waits.ts'
import { type Attachment, type AttachmentLimits, Attachments } from './attachments.ts'
import { LeaderSessions } from './leader-sessions.ts'
import { MastersMachine } from './masters-machine.ts'
import { type EmbeddedMutations, NO_EMBEDDED_MUTATIONS } from './mutations.ts'

const TICK_MS = 100
/** A read waits so long for this master to catch up; then its session may look for another. */
const READ_WAIT_MS = 500
const WAITS_MAX = 20_000
/** Replies of one message, about; the rest is asked for again. */
const REPLIES_BYTES = 4 * 1024 * 1024
/** One reply that is larger cannot be carried. */
const REPLY_BYTES_MAX = 8 * 1024 * 1024

const ATTACHMENT_LIMITS: AttachmentLimits = {
  attachmentsMax: 10_000,
  watchesPerAttachmentMax: 10_000,
  watchesMax: 1_000_000,
}

export interface MastersHostPorts {
  readonly clock: Clock
  readonly wire: MetadataWire
  readonly nodeId: NodeId
  /** Null: not open (yet, or any more). */
  group(): MastersGroup | null
}

type Request<Type extends MetadataRequest['type']> = MetadataRequest & { readonly type: Type }

export class MastersHost {
  readonly #clock: Clock
  readonly #wire: MetadataWire
  readonly #nodeId: NodeId
  readonly #group: () => MastersGroup | null
  readonly #mutations: EmbeddedMutations
  readonly #leader: LeaderSessions
  readonly #attachments: Attachments
  readonly #waits = new AppliedWaits(WAITS_MAX)
  #ended: number[] = []
  #pumping = false
  #timer: Timer | null = null
  #stopped = false

  constructor(
    { clock, wire, nodeId, group }: MastersHostPorts,
    mutations: Partial<EmbeddedMutations> = {},
    limits: Partial<AttachmentLimits> = {},
  ) {
    this.#clock = clock
    this.#wire = wire
    this.#nodeId = nodeId
    this.#group = group
    this.#mutations = { ...NO_EMBEDDED_MUTATIONS, ...mutations }
    this.#leader = new LeaderSessions(clock, group, () => this.#tree(), this.#mutations)
    this.#attachments = new Attachments(clock, { ...ATTACHMENT_LIMITS, ...limits }, (attachment, number, ids) => {
      // What fired may be told once the replica is closed, or gives way to another: then it is told again, if ever.
      if (this.#stopped || this.#group() === null) return
      this.#respond(attachment.node, { ...envelopeOf(attachment, number), ...this.#firedBody(ids) })
    })
    this.#setTimer()
  }

  /** For the group's replica on this node; again for each image. `limits` hold for a genesis only. */
  makeMachine(limits: Partial<TreeLimits> = {}): MastersMachine {
    return new MastersMachine(new TreeStateMachine(limits, this.#listener), () => this.#pumpSoon())
  }

  /** The replica has gained or lost the lead, or follows another. */
  roleChanged(): void {
    if (!this.#stopped) this.#clock.defer(() => this.#tick())
  }

  /** An operator ends a session; the log decides. False: not the leader. */
  expire(session: number): boolean {
    return this.#leader.expire(session)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** `bytes`: the request as it came, to be passed on. */
  onRequest(from: NodeId, request: MetadataRequest, bytes: Uint8Array): void {
    if (this.#stopped) return
    if (this.#group() === null) return this.#respond(from, this.#response(request, { type: 'refused' }))
    if (request.type === 'attach') return this.#attach(from, request)
    if (request.hops === 0) {
      const attachment = this.#attachments.find(request)
      if (attachment === undefined) return this.#respond(from, this.#response(request, { type: 'detached' }))
      // Attached before its session was open.
      if (request.type === 'alive') attachment.session = request.session
      if (request.type === 'read') return this.#read(from, request)
      if (request.type === 'watch') return this.#watch(from, request, attachment)
      if (request.type === 'ack') return this.#attachments.acknowledged(attachment, request.request)
    }
    if (request.type === 'alive' || request.type === 'sync' || request.type === 'write') {
      this.#atLeader(from, request, bytes)
    }
  }

  /** A leader's answer to somebody who is attached here. */
  onPassedResponse(response: MetadataResponse): void {
    this.#respond(response.node, response)
  }

  // --- what any master does -----------------------------------------------------------------------------------

  #attach(from: NodeId, request: Request<'attach'>): void {
    if (this.#isOver(request.session)) {
      return this.#respond(from, this.#response(request, { type: 'over', session: request.session }))
    }
    const attachment = this.#attachments.attach(request, request.session, request.timeoutMs)
    const applied = this.#tree().appliedIndex
    this.#respond(
      from,
      this.#response(request, attachment === null ? { type: 'refused' } : { type: 'attached', applied }),
    )
  }

  #watch(from: NodeId, request: Request<'watch'>, attachment: Attachment): void {
    const taken = this.#attachments.watch(attachment, request.request, request.added, request.removed)
    this.#respond(from, this.#response(request, { type: taken ? 'watching' : 'refused' }))
  }

  #read(from: NodeId, request: Request<'read'>): void {
    const { minIndex } = request
    if (this.#tree().appliedIndex >= minIndex) return this.#answerReads(from, request)
    const waits = this.#waits.add(minIndex, this.#clock.monotonicMs() + READ_WAIT_MS, (reached) => {
      if (reached) this.#answerReads(from, request)
      else this.#respond(from, this.#response(request, { type: 'refused' }))
    })
    if (!waits) this.#respond(from, this.#response(request, { type: 'refused' }))
  }

  #answerReads(from: NodeId, request: Request<'read'>): void {
    const tree = this.#tree()
    const replies: Uint8Array[] = []
    let bytes = 0
    for (const read of request.reads) {
      const result = tree.query(read, 0, asSlotId(0))
      assert(result.kind === 'reply', 'metadata: a read that needs a tick')
      const reply = result.reply.length > REPLY_BYTES_MAX ? tooLarge(tree.appliedIndex) : result.reply
      bytes += reply.length
      if (bytes > REPLIES_BYTES && replies.length > 0) break
      replies.push(reply)
    }
    this.#respond(from, this.#response(request, { type: 'replies', asOf: tree.appliedIndex, replies }))
  }

  // --- what the leader does -----------------------------------------------------------------------------------

  #atLeader(from: NodeId, request: Request<'alive'> | Request<'sync'> | Request<'write'>, bytes: Uint8Array): void {
    const group = this.#group()
    if (group?.isLeader !== true) {
      if (request.type === 'sync' && this.#mutations.syncUnconfirmed) return this.#synced(from, request)
      const leader = group?.leaderNode ?? null
      const passed = request.hops === 0 && leader !== null && leader !== this.#nodeId
      if (passed && this.#wire.send(leader, passedOn(bytes))) return
      return this.#respond(from, this.#response(request, { type: 'refused' }))
    }
    if (request.type === 'write') return this.#write(from, request, group)
    if (request.type === 'alive') {
      return this.#leader.alive(request.session, (outcome) => {
        const body = outcome === 'over' ? ({ type: 'over', session: request.session } as const) : { type: outcome }
        this.#respond(from, this.#response(request, body))
      })
    }
    const asked = this.#leader.confirm((confirmed) => {
      if (confirmed) this.#synced(from, request)
      else this.#respond(from, this.#response(request, { type: 'refused' }))
    })
    if (!asked) this.#respond(from, this.#response(request, { type: 'refused' }))
  }

  #synced(from: NodeId, request: Request<'sync'>): void {
    this.#respond(from, this.#response(request, { type: 'synced', asOf: this.#tree().appliedIndex }))
  }

  /** In their order, and none behind one that was not taken. */
  #write(from: NodeId, request: Request<'write'>, group: MastersGroup): void {
    let taken = true
    for (const payload of request.payloads) {
      const sequence = sequenceOf(payload)
      if (sequence === null) return
      const answer = (outcome: Wrote['outcome'], reply: Uint8Array): void =>
        this.#respond(from, this.#response(request, { type: 'wrote', sequence, outcome, reply }))
      if (taken) taken = group.propose(payload.slice(), answer)
      if (!taken) answer(OUTCOME_REFUSED, EMPTY_BYTES)
    }
  }

  // --- what has been applied ----------------------------------------------------------------------------------

  /** Called from within apply: it notes, and the pump does. */
  readonly #listener: TreeListener = {
    changed: (change) => this.#attachments.table.changed(change),
    sessionOpened: (session, timeoutMs) => this.#leader.opened(session, timeoutMs),
    sessionEnded: (session) => {
      this.#leader.ended(session)
      this.#ended.push(session)
    },
    everythingChanged: () => {
      this.#attachments.table.everythingChanged()
      this.#leader.everythingChanged()
    },
  }

  #pumpSoon(): void {
    if (this.#pumping || this.#stopped) return
    this.#pumping = true
    this.#clock.defer(() => this.#pump())
  }

  #pump(): void {
    this.#pumping = false
    if (this.#stopped || this.#group() === null) return
    for (const session of this.#ended.splice(0)) {
      for (const attachment of this.#attachments.sessionEnded(session)) {
        const logTimeMs = this.#tree().logTimeMs
        this.#respond(attachment.node, { ...envelopeOf(attachment, 0), type: 'over', session, logTimeMs })
      }
    }
    this.#waits.serve(this.#tree().appliedIndex, this.#clock.monotonicMs())
  }

  #tick(): void {
    if (this.#stopped || this.#group() === null) return
    this.#leader.tick()
    this.#attachments.tick()
    this.#waits.serve(this.#tree().appliedIndex, this.#clock.monotonicMs())
  }

  #setTimer(): void {
    this.#timer = this.#clock.setTimer(TICK_MS, () => {
      this.#tick()
      if (!this.#stopped) this.#setTimer()
    })
  }

  // --- inside -------------------------------------------------------------------------------------------------

  #tree(): TreeStateMachine {
    const machine = this.#group()?.machine
    assert(machine instanceof MastersMachine, "the masters' group runs a machine that this host has made")
    return machine.tree
  }

  /** In applied state, for good: ids are log indexes. */
  #isOver(session: number): boolean {
    const tree = this.#tree()
    return session !== 0 && tree.appliedIndex >= session && !tree.hasSession(session)
  }

  #firedBody(ids: readonly number[]) {
    const tree = this.#tree()
    return { type: 'fired', asOf: tree.appliedIndex, ids, logTimeMs: tree.logTimeMs } as const
  }

  #response(request: MetadataRequest, body: MetadataResponseBody): MetadataResponse {
    const { hops, node, client, attachment } = request
    const logTimeMs = this.#group() === null ? 0 : this.#tree().logTimeMs
    return { hops, node, client, attachment, request: request.request, logTimeMs, ...body }
  }

  #respond(to: NodeId, response: MetadataResponse): void {
    if (!this.#stopped) this.#wire.send(to, encodeMetadataResponse(response))
  }
}

type Wrote = Extract<MetadataResponseBody, { type: 'wrote' }>

function envelopeOf({ node, client, attachment }: Attachment, request: number): MetadataEnvelope {
  return { hops: 0, node, client, attachment, request }
}

/** Null: not a write to the tree; who sends such bytes waits in vain. */
function sequenceOf(payload: Uint8Array): number | null {
  try {
    const header = decodePayloadHeader(payload)
    return header.kind === PAYLOAD_METADATA ? header.sequence : null
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}

function tooLarge(asOf: number): Uint8Array {
  const message = `the reply takes more than ${REPLY_BYTES_MAX} bytes`
  return encodeMetadataReply(asOf, { kind: 'error', error: { code: 'too-large', message, operation: -1 } })
}
