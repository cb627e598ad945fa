/**
 * The state machine of the masters' group: the metadata tree and its sessions. Deterministic: everything that apply does hangs on the entries
 * before it and on nothing else. All of its state is small enough to live in memory and to go whole into each checkpoint:
 *
 *   state := u32 magic "MTRE" | u16 version | u64 log time ms | u64 applied index
 *            | limits (tree-limits.ts) | sessions (metadata-sessions.ts) | tree (metadata-tree.ts)
 *
 * An id of the tree (creation, modification, session) is the index of the entry that made it: ids rise, and none comes twice.
 *
 * Sessions end only through the log. The leader keeps the time (session-liveness.ts) and proposes EXPIRE under the term in which it decided
 * so. Applied in an entry of another term it does nothing: that is what a leader proposes that lost its term between deciding and
 * proposing and won another, or a proposal that was passed on to the next leader, who counts every session's time afresh. An
 * EXPIRE in an entry of its own term was appended before any later leader's first entry, so a leader that tells nobody
 * "you are alive" before it has applied an entry of its own term never has its word broken by an older one.
 *
 * Replies are in the format of protocol/metadata-reply.ts. An entry that does not decode is passed over, alike by every replica.
 */
import { assert } from '../../base/assert.ts'
import { asLogIndex, type LogIndex, type SlotId, type Term } from '../../base/brand.ts'
import { BytesReader, BytesWriter, DecodeError, EMPTY_BYTES } from '../../base/bytes.ts'
import { crc32c } from '../../base/crc32c.ts'
import { makeKeyHash48 } from '../../base/half-siphash.ts'
import type { QueryResult, StateMachine } from '../../ports/state-machine.ts'
import {
  decodePayloadHeader,
  PAYLOAD_HEADER_BYTES,
  PAYLOAD_METADATA,
  PAYLOAD_TICK,
  type PayloadHeader,
} from '../../protocol/command.ts'
import { ENTRY_COMMAND, type Entry } from '../../protocol/entry.ts'
import {
  decodeMetadataRead,
  decodeMetadataWrite,
  type ExpireReason,
  type MetadataRead,
  type MetadataWrite,
} from '../../protocol/metadata-command.ts'
import type { MetadataErrorCode, MetadataOperation } from '../../protocol/metadata-operation.ts'
import { encodeMetadataReply, type MetadataReply } from '../../protocol/metadata-reply.ts'
import { pathProblem } from './metadata-path.ts'
import { type MetadataSession, MetadataSessions } from './metadata-sessions.ts'
import { MetadataTree, statOf } from './metadata-tree.ts'
import { NO_TREE_LISTENER, type TreeChange, type TreeListener } from './tree-changes.ts'
import {
  checkTreeLimits,
  DEFAULT_TREE_LIMITS,
  decodeTreeLimits,
  encodeTreeLimits,
  type TreeLimits,
} from './tree-limits.ts'
import { removeOwned, runOperations } from './tree-write.ts'

const STATE_MAGIC = 0x45_52_54_4d
const STATE_VERSION = 1

/** What a session may ask for; another is moved to the nearest of these, and the reply says so. */
export const SESSION_TIMEOUT_MIN_MS = 100
export const SESSION_TIMEOUT_MAX_MS = 3_600_000

const DIGEST_HASH = makeKeyHash48(new Uint8Array(8))

export class TreeStateMachine implements StateMachine {
  readonly #listener: TreeListener
  readonly #initialLimits: TreeLimits
  #limits: TreeLimits
  #tree = new MetadataTree()
  #sessions: MetadataSessions
  #logTimeMs = 0
  #appliedIndex = asLogIndex(0)

  /** Begins at genesis; `restore` takes over another state. `limits` hold for a genesis only. */
  constructor(limits: Partial<TreeLimits> = {}, listener: TreeListener = NO_TREE_LISTENER) {
    this.#initialLimits = { ...DEFAULT_TREE_LIMITS, ...limits }
    checkTreeLimits(this.#initialLimits)
    this.#limits = this.#initialLimits
    this.#sessions = new MetadataSessions(this.#limits)
    this.#listener = listener
  }

  get logTimeMs(): number {
    return this.#logTimeMs
  }

  /** The index of the last command entry; entries of other kinds do not come here. */
  get appliedIndex(): LogIndex {
    return this.#appliedIndex
  }

  get nodeCount(): number {
    return this.#tree.nodeCount
  }

  /** Paths and data of all nodes. */
  get treeBytes(): number {
    return this.#tree.bytes
  }

  get sessionCount(): number {
    return this.#sessions.count
  }

  /** Counted bytes of all kept results. */
  get resultBytes(): number {
    return this.#sessions.resultBytes
  }

  /** For a new leader's liveness. */
  sessions(): Iterable<{ readonly id: number; readonly timeoutMs: number }> {
    return this.#sessions.all()
  }

  hasSession(id: number): boolean {
    return this.#sessions.find(id) !== undefined
  }

  // --- apply --------------------------------------------------------------------------------------------------

  apply(entry: Entry): Uint8Array {
    assert(entry.kind === ENTRY_COMMAND, 'metadata: an entry that is no command')
    assert(entry.index > this.#appliedIndex, `metadata: entry ${entry.index} after ${this.#appliedIndex} was applied`)
    this.#appliedIndex = entry.index
    const header = orNull(() => decodePayloadHeader(entry.payload))
    if (header === null) return this.#malformed()
    if (header.stampMs > this.#logTimeMs) this.#logTimeMs = header.stampMs
    if (header.kind === PAYLOAD_TICK) return EMPTY_BYTES
    if (header.kind !== PAYLOAD_METADATA || header.lowestUnanswered > header.sequence) return this.#malformed()
    const command = orNull(() => decodeMetadataWrite(entry.payload, PAYLOAD_HEADER_BYTES))
    return command === null ? this.#malformed() : this.#run(entry.term, header, command)
  }

  #run(term: Term, header: PayloadHeader, command: MetadataWrite): Uint8Array {
    switch (command.kind) {
      case 'open':
        return this.#open(header, command.timeoutMs, command.nonce)
      case 'close':
        return this.#end(this.#sessions.find(header.session), 'closed')
      case 'expire': {
        const session = command.term === term ? this.#sessions.find(command.session) : undefined
        return this.#end(session, command.reason)
      }
      case 'multi':
        return this.#multi(header, command.operations)
    }
  }

  #open(header: PayloadHeader, timeoutMs: number, nonce: Uint8Array): Uint8Array {
    let session = this.#sessions.findByNonce(nonce)
    if (session === undefined) {
      // Without this a copy that comes after the session's end would open another, which nobody knows of.
      if (this.#logTimeMs > header.retryUntilMs) return this.#error('unavailable', 'open: came after its time')
      if (!this.#sessions.hasRoom) return this.#error('unavailable', 'open: too many sessions')
      const granted = Math.min(Math.max(timeoutMs, SESSION_TIMEOUT_MIN_MS), SESSION_TIMEOUT_MAX_MS)
      session = this.#sessions.open(this.#appliedIndex, granted, nonce)
      this.#listener.sessionOpened(session.id, session.timeoutMs)
    }
    return this.#reply({ kind: 'opened', session: session.id, timeoutMs: session.timeoutMs })
  }

  #end(session: MetadataSession | undefined, reason: ExpireReason | 'closed'): Uint8Array {
    if (session === undefined) return this.#reply({ kind: 'ended', byThisEntry: false })
    this.#sessions.end(session)
    const changes = removeOwned(this.#tree, session.id)
    this.#tell(changes)
    this.#listener.sessionEnded(session.id, reason)
    return this.#reply({ kind: 'ended', byThisEntry: true })
  }

  #multi(header: PayloadHeader, operations: readonly MetadataOperation[]): Uint8Array {
    // Session 0 is the group's own leader: no record is kept for it.
    if (header.session === 0) return this.#write(0, operations)
    const session = this.#sessions.find(header.session)
    if (session === undefined) return this.#sessionOver(header.session)
    const admission = this.#sessions.admit(session, header, this.#logTimeMs)
    if (admission.kind === 'reply') return admission.reply
    if (admission.kind === 'refused') return this.#error(admission.code, admission.message)
    const reply = this.#write(session.id, operations)
    this.#sessions.keep(session, header.sequence, reply)
    return reply
  }

  #write(session: number, operations: readonly MetadataOperation[]): Uint8Array {
    const outcome = runOperations(this.#tree, this.#limits, operations, this.#appliedIndex, session)
    if (outcome.kind === 'refused') return this.#reply({ kind: 'error', error: outcome.error })
    this.#tell(outcome.changes)
    return this.#reply({ kind: 'results', results: outcome.results })
  }

  #tell(changes: readonly TreeChange[]): void {
    for (const change of changes) this.#listener.changed(change)
  }

  // --- query --------------------------------------------------------------------------------------------------

  /** A read of protocol/metadata-command.ts. Nothing in the tree hangs on the clock, and it has no slots. */
  query(command: Uint8Array, _nowMs: number, _slot: SlotId): QueryResult {
    const read = orNull(() => decodeMetadataRead(command))
    return { kind: 'reply', reply: read === null ? this.#malformed() : this.#read(read) }
  }

  #read({ kind, session, path }: MetadataRead): Uint8Array {
    if (session !== 0 && this.#sessions.find(session) === undefined) return this.#sessionOver(session)
    const problem = pathProblem(path, this.#limits.maxPathBytes)
    if (problem !== null) return this.#error('bad-path', `${kind} ${path.slice(0, 200)}: ${problem}`)
    const node = this.#tree.find(path)
    if (kind === 'exists') return this.#reply({ kind: 'stat', stat: node === undefined ? null : statOf(node) })
    if (node === undefined) return this.#error('no-node', `${kind} ${path}: is not there`)
    if (kind === 'get') return this.#reply({ kind: 'node', node: { data: node.data, stat: statOf(node) } })
    return this.#reply({ kind: 'children', names: this.#tree.namesBelow(node) })
  }

  // --- replies ------------------------------------------------------------------------------------------------

  #reply(reply: MetadataReply): Uint8Array {
    return encodeMetadataReply(this.#appliedIndex, reply)
  }

  #error(code: MetadataErrorCode, message: string): Uint8Array {
    return this.#reply({ kind: 'error', error: { code, message, operation: -1 } })
  }

  #sessionOver(session: number): Uint8Array {
    return this.#error('session-expired', `session ${session} is over`)
  }

  /** No store makes such bytes; should they be in the log all the same, every replica passes over them alike. */
  #malformed(): Uint8Array {
    return this.#error('unavailable', 'a malformed command was passed over')
  }

  // --- checkpoint ---------------------------------------------------------------------------------------------

  checkpointState(): Uint8Array {
    const writer = new BytesWriter(4096)
    writer.u32(STATE_MAGIC)
    writer.u16(STATE_VERSION)
    writer.u64(this.#logTimeMs)
    writer.u64(this.#appliedIndex)
    encodeTreeLimits(writer, this.#limits)
    this.#sessions.encode(writer)
    this.#tree.encode(writer)
    return writer.copy()
  }

  /** Throws DecodeError; then nothing has changed. */
  restore(state: Uint8Array | null): void {
    if (state === null) {
      this.#logTimeMs = 0
      this.#appliedIndex = asLogIndex(0)
      this.#limits = this.#initialLimits
      this.#sessions = new MetadataSessions(this.#limits)
      this.#tree = new MetadataTree()
    } else {
      this.#takeOver(new BytesReader(state))
    }
    this.#listener.everythingChanged()
  }

  #takeOver(reader: BytesReader): void {
    if (reader.u32() !== STATE_MAGIC) throw new DecodeError('metadata state: not a checkpoint of this state machine')
    const version = reader.u16()
    if (version !== STATE_VERSION) {
      throw new DecodeError(`metadata state: version ${version}, this build reads ${STATE_VERSION}`)
    }
    const logTimeMs = reader.u64()
    const appliedIndex = asLogIndex(reader.u64())
    const limits = decodeTreeLimits(reader)
    const sessions = MetadataSessions.decode(reader, limits, appliedIndex)
    const tree = MetadataTree.decode(reader, limits, (id) => sessions.find(id) !== undefined)
    reader.expectEnd()
    this.#logTimeMs = logTimeMs
    this.#appliedIndex = appliedIndex
    this.#limits = limits
    this.#sessions = sessions
    this.#tree = tree
  }

  /** Of the whole state: equal on two replicas that have applied the same log. Two hashes that fail differently. */
  digest(): string {
    const state = this.checkpointState()
    const hex = (part: number, digits: number): string => part.toString(16).padStart(digits, '0')
    return hex(crc32c(state), 8) + hex(DIGEST_HASH(state, 0, state.length), 12)
  }
}

/** Null where the bytes are malformed. */
function orNull<T>(decode: () => T): T | null {
  try {
    return decode()
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}
