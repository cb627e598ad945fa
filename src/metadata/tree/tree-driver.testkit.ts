/** Drives a TreeStateMachine as the masters' log would: `driver.multi(session, create('/a'))` gives the decoded reply. */
import { assert } from '../../base/assert.ts'
import { asLogIndex, asSlotId, asTerm } from '../../base/brand.ts'
import { encodePayload, PAYLOAD_METADATA, PAYLOAD_TICK, type PayloadHeader } from '../../protocol/command.ts'
import { ENTRY_COMMAND, type Entry } from '../../protocol/entry.ts'
import {
  type ExpireReason,
  encodeMetadataRead,
  encodeMetadataWrite,
  type MetadataRead,
  type MetadataWrite,
} from '../../protocol/metadata-command.ts'
import type { MetadataOperation } from '../../protocol/metadata-operation.ts'
import { decodeMetadataReply, type MetadataReply } from '../../protocol/metadata-reply.ts'
import { NO_TREE_LISTENER, type TreeListener } from './tree-changes.ts'
import type { TreeLimits } from './tree-limits.ts'
import { TreeStateMachine } from './tree-state-machine.ts'

export interface WriteWords {
  readonly session: number
  readonly sequence: number
  readonly lowest?: number
  readonly retryUntilMs?: number
}

export class TreeDriver {
  machine: TreeStateMachine
  readonly log: Entry[] = []
  readonly #limits: Partial<TreeLimits>
  readonly #listener: TreeListener
  #nonces = 0
  #sequence = 0
  index = 0
  term = 1
  /** The leader's stamp on each entry. */
  stampMs = 0

  constructor(limits: Partial<TreeLimits> = {}, listener: TreeListener = NO_TREE_LISTENER) {
    this.#limits = limits
    this.#listener = listener
    this.machine = new TreeStateMachine(limits, listener)
  }

  /** The reply's bytes. */
  payload(payload: Uint8Array): Uint8Array {
    const entry = { term: asTerm(this.term), index: asLogIndex(++this.index), kind: ENTRY_COMMAND, payload } as const
    this.log.push(entry)
    return this.machine.apply(entry)
  }

  writeBytes(command: MetadataWrite, words: WriteWords, kind: PayloadHeader['kind'] = PAYLOAD_METADATA): Uint8Array {
    const { session, sequence, lowest = sequence, retryUntilMs = this.stampMs + 60_000 } = words
    const header = { kind, slot: asSlotId(0), stampMs: this.stampMs, session, sequence, retryUntilMs }
    return this.payload(encodePayload({ ...header, lowestUnanswered: lowest }, encodeMetadataWrite(command)))
  }

  write(command: MetadataWrite, words: WriteWords = { session: 0, sequence: 0 }): MetadataReply {
    return decodeMetadataReply(this.writeBytes(command, words)).reply
  }

  open(timeoutMs = 10_000, nonce = ++this.#nonces): number {
    const reply = this.openReply(timeoutMs, nonce)
    assert(reply.kind === 'opened', 'open was refused')
    return reply.session
  }

  openReply(timeoutMs: number, nonce: number, retryUntilMs?: number): MetadataReply {
    const bytes = new Uint8Array(16)
    new DataView(bytes.buffer).setUint32(12, nonce)
    return this.write({ kind: 'open', timeoutMs, nonce: bytes }, { session: 0, sequence: 0, retryUntilMs })
  }

  close(session: number): MetadataReply {
    return this.write({ kind: 'close' }, { session, sequence: 0 })
  }

  /** Decided in `term`, by default that of the entry. */
  expire(session: number, term = this.term, reason: ExpireReason = 'timeout'): MetadataReply {
    return this.write({ kind: 'expire', session, term: asTerm(term), reason })
  }

  /** A write of the session that comes once. */
  multi(session: number, ...operations: MetadataOperation[]): MetadataReply {
    return this.write({ kind: 'multi', operations }, { session, sequence: ++this.#sequence })
  }

  /** One that says itself where it stands. */
  numbered(words: WriteWords, ...operations: MetadataOperation[]): MetadataReply {
    return this.write({ kind: 'multi', operations }, words)
  }

  tick(stampMs: number): void {
    this.stampMs = stampMs
    assert(this.writeBytes({ kind: 'close' }, { session: 0, sequence: 0 }, PAYLOAD_TICK).length === 0, 'no reply')
  }

  read(kind: MetadataRead['kind'], path: string, session = 0): MetadataReply {
    return this.readBytes(encodeMetadataRead({ kind, path, session }))
  }

  readBytes(command: Uint8Array): MetadataReply {
    const result = this.machine.query(command, 0, asSlotId(0))
    assert(result.kind === 'reply', 'nothing in the tree hangs on the clock')
    return decodeMetadataReply(result.reply).reply
  }

  names(path: string): readonly string[] {
    const reply = this.read('children', path)
    return reply.kind === 'children' ? reply.names : []
  }

  /** The replica comes back from a checkpoint taken now. */
  restart(): void {
    const state = this.machine.checkpointState()
    this.machine = new TreeStateMachine(this.#limits, this.#listener)
    this.machine.restore(state)
  }
}
