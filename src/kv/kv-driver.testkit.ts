/** Drives a state machine as a group's log would, in words: `driver.write('SET', 'k', 'v')` gives the reply's text. */
import { assert, present } from '../base/assert.ts'
import { asLogIndex, asSlotId, asTerm } from '../base/brand.ts'
import { EMPTY_BYTES, latin1Bytes, latin1Text } from '../base/bytes.ts'
import { slotOf } from '../base/slot.ts'
import {
  encodeCommand,
  encodePayload,
  encodeWatches,
  PAYLOAD_HOUSEKEEPING,
  PAYLOAD_TICK,
  PAYLOAD_WRITE,
  type PayloadHeader,
  type WatchedVersion,
} from '../protocol/command.ts'
import { COMMANDS_BY_NAME, OPCODE_KEY_VERSION } from '../protocol/command-table.ts'
import { ENTRY_COMMAND, type Entry } from '../protocol/entry.ts'
import { arrayElements, integerOf } from '../protocol/resp-reply.ts'
import type { KvOptions } from './kv-options.ts'
import { KvStateMachine } from './kv-state-machine.ts'
import { MemoryKeySpace } from './memory-key-space.testkit.ts'

const SLOTS = 16

export function opcodeOf(name: string): number {
  const spec = COMMANDS_BY_NAME.get(name.toLowerCase())
  assert(spec !== undefined && spec.opcode !== 0, `no opcode for ${name}`)
  return spec.opcode
}

export function commandBytes(words: readonly string[]): Uint8Array {
  return encodeCommand(opcodeOf(words[0]), words.slice(1).map(latin1Bytes))
}

export function slotOfText(key: string, slotCount = SLOTS): number {
  return slotOf(latin1Bytes(key), slotCount)
}

interface SessionWords {
  readonly session: number
  readonly sequence: number
  readonly lowest?: number
  readonly retryUntilMs?: number
}

export class KvDriver {
  keySpace: MemoryKeySpace
  machine: KvStateMachine
  readonly options: KvOptions
  index = 0
  /** The leader's stamp on each entry; 0: it does not stamp. */
  stampMs = 0
  readonly log: Entry[] = []
  /** To each entry of the log, as text. */
  readonly replies: string[] = []

  constructor(options: Partial<KvOptions> = {}) {
    this.options = { slotCount: SLOTS, ownedSlots: [[0, SLOTS - 1]], ...options }
    this.keySpace = new MemoryKeySpace()
    this.machine = new KvStateMachine(this.keySpace, this.options)
  }

  slotOf(key: string): number {
    return slotOfText(key, this.options.slotCount)
  }

  apply(kind: PayloadHeader['kind'], slot: number, command: Uint8Array, session?: SessionWords): string {
    const payload = encodePayload(
      {
        kind,
        slot: asSlotId(slot),
        slotEpoch: this.machine.slots.lastReconfig(asSlotId(slot)),
        stampMs: this.stampMs,
        session: session?.session ?? 0,
        sequence: session?.sequence ?? 0,
        lowestUnanswered: session?.lowest ?? session?.sequence ?? 0,
        retryUntilMs: session?.retryUntilMs ?? (session === undefined ? 0 : this.stampMs + 60_000),
      },
      command,
    )
    return this.applyPayload(payload)
  }

  applyPayload(payload: Uint8Array): string {
    this.index++
    const entry = { term: asTerm(1), index: asLogIndex(this.index), kind: ENTRY_COMMAND, payload } as const
    this.log.push(entry)
    const reply = latin1Text(this.machine.apply(entry))
    this.replies.push(reply)
    return reply
  }

  /** A write without a session; the slot is that of its first key. */
  write(...words: string[]): string {
    return this.apply(PAYLOAD_WRITE, this.slotOf(words[1] ?? ''), commandBytes(words))
  }

  /** The same under a session. */
  as(session: SessionWords, ...words: string[]): string {
    return this.apply(PAYLOAD_WRITE, this.slotOf(words[1] ?? ''), commandBytes(words), session)
  }

  onSlot(slot: number, ...words: string[]): string {
    return this.apply(PAYLOAD_WRITE, slot, commandBytes(words))
  }

  /** One EXEC entry in the slot of the first key. */
  exec(watches: readonly WatchedVersion[], ...commands: string[][]): string {
    const slot = commands.length > 0 ? this.slotOf(commands[0][1]) : this.slotOf(latin1Text(watches[0].key))
    return this.apply(PAYLOAD_WRITE, slot, this.execBytes(watches, commands))
  }

  execBytes(watches: readonly WatchedVersion[], commands: readonly string[][]): Uint8Array {
    return encodeCommand(opcodeOf('exec'), [encodeWatches(watches), ...commands.map(commandBytes)])
  }

  tick(stampMs: number): void {
    this.stampMs = stampMs
    assert(this.apply(PAYLOAD_TICK, 0, EMPTY_BYTES) === '', 'a tick has no reply')
  }

  /** The reply's text, or `tick N` where the query needs a later log time. */
  query(nowMs: number, ...words: string[]): string {
    const slot = asSlotId(this.slotOf(words[1] ?? ''))
    return this.queryBytes(commandBytes(words), nowMs, slot)
  }

  queryBytes(command: Uint8Array, nowMs: number, slot: number, slotEpoch?: number): string {
    const result = this.machine.query(command, nowMs, asSlotId(slot), slotEpoch)
    return result.kind === 'reply' ? latin1Text(result.reply) : `tick ${result.atLeastMs}`
  }

  /** A read that log time alone decides. */
  read(...words: string[]): string {
    return this.query(this.machine.logTimeMs, ...words)
  }

  /** What WATCH keeps. */
  watch(key: string): WatchedVersion {
    const command = encodeCommand(OPCODE_KEY_VERSION, [latin1Bytes(key)])
    const result = this.machine.query(command, this.machine.logTimeMs, asSlotId(this.slotOf(key)))
    assert(result.kind === 'reply', 'watch: needs a tick')
    const [generation, index] = present(arrayElements(result.reply), 'a version is an array').map(integerOf)
    return {
      key: latin1Bytes(key),
      generation: present(generation, 'generation'),
      index: asLogIndex(present(index, 'index')),
    }
  }

  /** Proposes what the leader's housekeeping finds, until it finds nothing; returns how many entries that took. */
  keepHouse(maxKeys: number, nowMs = 0, rounds = 100): number {
    let entries = 0
    for (let round = 0; round < rounds; round++) {
      for (const { slot, command } of this.machine.housekeeping(maxKeys, nowMs)) {
        this.apply(PAYLOAD_HOUSEKEEPING, slot, command)
        entries++
      }
    }
    return entries
  }

  /** The replica crashes and comes back from a checkpoint taken now. */
  restart(): void {
    const state = this.machine.checkpointState()
    this.keySpace = this.keySpace.clone()
    this.machine = new KvStateMachine(this.keySpace, this.options)
    this.machine.restore(state)
  }
}
