/**
 * The log as text, in the form of NaiveKV's redo log: one line a change, `operation "argument"... "transaction" "version"`.
 *
 *   put "a" "b" "0" "1"        key, value, transaction number (0: none), version number
 *   delete "a" "0" "2"
 *   start "1"                  a transaction begins; its lines carry its number and no version
 *   put "a" "c" "1"
 *   commit "1" "3"             transaction number, then the version that all of it has
 *
 * As in NaiveKV (worker/kvstore.go writeLog; report, "persistence layer") a transaction takes the lowest number that is free, and the
 * version stands last: in `commit "2" "1"` transaction 2 becomes version 1. A version is the entry's index in its
 * group's log. Numbers are decimal (NaiveKV's were hexadecimal). Commands that NaiveKV did not have are written in the same way under
 * their own names, options and all: `set "a" "b" "NX" "0" "4"`, `incr "k" "0" "5"`; MSET and DEL of many keys are one line a key.
 * A move of slots is a transaction at its destination, from BEGIN to ENABLE, and says after each piece how far it has come:
 * `put "$migration-worker-1" "5 812" "1"` is reconfig 5 from group 1, staged through index 812 of that group's log.
 * Lines that start with `#` say what is no change of data: a group's state, no-ops, memberships, ticks.
 */
import { DecodeError, utf8Bytes } from '../base/bytes.ts'
import type { Disk } from '../ports/disk.ts'
import {
  type Command,
  decodeCommand,
  decodePayloadHeader,
  PAYLOAD_HEADER_BYTES,
  PAYLOAD_METADATA,
  PAYLOAD_MOVE,
  PAYLOAD_TICK,
} from '../protocol/command.ts'
import {
  COMMANDS_BY_NAME,
  COMMANDS_BY_OPCODE,
  OPCODE_DROP_GENERATION,
  OPCODE_PURGE_EXPIRED,
} from '../protocol/command-table.ts'
import { ENTRY_COMMAND, ENTRY_MEMBERSHIP, type Entry } from '../protocol/entry.ts'
import { decodeMembership } from '../protocol/membership.ts'
import { decodeMetadataWrite } from '../protocol/metadata-command.ts'
import { decodeMove, type StagePart } from '../protocol/move-command.ts'
import { NO_WAL_MUTATIONS } from './mutations.ts'
import { quote } from './quote.ts'
import type { GroupSummary } from './records.ts'
import { recoverLog } from './recovery.ts'
import { type Replay, ReplayError } from './replay.ts'

export type DumpResult = { readonly kind: 'done' } | { readonly kind: 'failed'; readonly message: string }

/** Beside a running node a file may be renamed, or a batch be half written, while it is read: then once more. */
const ATTEMPTS = 3

/**
 * Prints what the log in this directory holds, group by group, entries that the segments still have below the compaction point
 * included. Read-only: works beside a running node (it shows a moment's state) and on what a crash left. A damaged log is
 * printed as far as it could be read, and then fails.
 */
export function dumpLog(
  disk: Disk,
  directory: string,
  onLine: (line: string) => void,
  done: (result: DumpResult) => void,
  attempts = ATTEMPTS,
): void {
  recoverLog(disk, directory, NO_WAL_MUTATIONS, true, (result) => {
    if ((result.kind === 'corrupt' || result.kind === 'failed') && attempts > 1) {
      return dumpLog(disk, directory, onLine, done, attempts - 1)
    }
    if (result.kind === 'recovered') {
      const { files, replay, tail, used } = result.log
      if (!files.directoryExists) return done({ kind: 'failed', message: `${directory}: there is no log` })
      const failure = applyTail(replay, tail, used.at(-1)?.incarnation ?? 0)
      for (const { summary, entries } of replay.history()) dumpGroup(summary, entries, onLine)
      return done(failure === null ? { kind: 'done' } : { kind: 'failed', message: failure })
    }
    if (result.kind === 'corrupt') {
      for (const { summary, entries } of result.replay.history()) dumpGroup(summary, entries, onLine)
      onLine(`# ${result.message}`)
    }
    done({ kind: 'failed', message: result.message })
  })
}

function applyTail(replay: Replay, tail: readonly Uint8Array[], segment: number): string | null {
  try {
    for (const payload of tail) replay.apply(payload, segment)
    return null
  } catch (error) {
    if (error instanceof ReplayError) return `the log is damaged: ${error.message}`
    throw error
  }
}

export function dumpGroup(summary: GroupSummary, entries: readonly Entry[], onLine: (line: string) => void): void {
  const { group, replicaId, hardState, compaction, baseDirectory, last } = summary
  onLine(
    `# group ${group} replica ${replicaId} term ${hardState.term} vote ${hardState.votedFor} commit ${hardState.commit} compacted ${compaction.index} base ${baseDirectory} last ${last.index}`,
  )
  const writer = new EntryText(onLine)
  for (const entry of entries) writer.entry(entry)
}

/** Turns one group's entries into lines. */
export class EntryText {
  readonly #onLine: (line: string) => void
  readonly #openTransactions = new Set<number>()
  /** By reconfigId: moves to this group. */
  readonly #moves = new Map<number, { readonly transaction: number; readonly from: number }>()

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine
  }

  entry(entry: Entry): void {
    try {
      if (entry.kind === ENTRY_COMMAND) this.#command(entry)
      else if (entry.kind === ENTRY_MEMBERSHIP)
        this.#onLine(`# ${entry.index} membership ${membershipText(entry.payload)}`)
      else this.#onLine(`# ${entry.index} no-op of term ${entry.term}`)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.#onLine(`# ${entry.index} cannot be decoded (${error.message}): ${quote(entry.payload)}`)
    }
  }

  #command(entry: Entry): void {
    const header = decodePayloadHeader(entry.payload)
    if (header.kind === PAYLOAD_TICK) {
      this.#onLine(`# ${entry.index} tick ${header.stampMs}`)
      return
    }
    if (header.kind === PAYLOAD_MOVE) return this.#move(entry)
    if (header.kind === PAYLOAD_METADATA) return this.#metadata(entry, header.session)
    const command = decodeCommand(entry.payload, PAYLOAD_HEADER_BYTES)
    if (nameOf(command) !== 'exec') {
      this.#lines(command, header.slot, 0, entry.index)
      return
    }
    // The first argument is what EXEC watches; each further one is a command.
    const nested = command.args.slice(1).map((bytes) => decodeCommand(bytes))
    const transaction = this.start()
    for (const inner of nested) this.#lines(inner, header.slot, transaction, null)
    this.commit(transaction, entry.index)
  }

  /** The masters' tree is no data of clients. */
  #metadata({ payload, index }: Entry, session: number): void {
    const write = decodeMetadataWrite(payload, PAYLOAD_HEADER_BYTES)
    if (write.kind !== 'multi') return this.#onLine(`# ${index} ${write.kind} of metadata session ${session}`)
    for (const operation of write.operations) {
      const data = 'data' in operation ? ` ${quote(operation.data)}` : ''
      this.#onLine(`# ${index} ${operation.kind} ${operation.path}${data}`)
    }
  }

  #move({ payload, index }: Entry): void {
    const move = decodeMove(payload, PAYLOAD_HEADER_BYTES)
    const { kind, reconfigId } = move
    const known = this.#moves.get(reconfigId)
    if (kind === 'begin-destination' && known === undefined) {
      this.#moves.set(reconfigId, { transaction: this.start(), from: move.peer.group })
    } else if (kind === 'stage' && known !== undefined) {
      for (const part of move.parts) this.#staged(part, reconfigId, known.transaction, known.from)
    } else if (kind === 'enable' && known !== undefined) {
      this.#moves.delete(reconfigId)
      this.commit(known.transaction, index)
    } else {
      if (kind === 'drop' && known !== undefined) {
        this.#moves.delete(reconfigId)
        this.#openTransactions.delete(known.transaction)
      }
      this.#onLine(`# ${index} ${kind} of reconfig ${reconfigId}`)
    }
  }

  #staged({ items, next }: StagePart, reconfigId: number, transaction: number, from: number): void {
    const number = quoteText(transaction)
    for (const { key, value } of items) {
      this.#onLine(value === null ? `delete ${quote(key)} ${number}` : `put ${quote(key)} ${quote(value)} ${number}`)
    }
    this.#onLine(`put "$migration-worker-${from}" "${reconfigId} ${next.index}" ${number}`)
  }

  /** Begins a transaction; others may be open: a full copy runs through many entries. */
  start(): number {
    let number = 1
    while (this.#openTransactions.has(number)) number++
    this.#openTransactions.add(number)
    this.#onLine(`start ${quoteText(number)}`)
    return number
  }

  commit(transaction: number, version: number): void {
    this.#openTransactions.delete(transaction)
    this.#onLine(`commit ${quoteText(transaction)} ${quoteText(version)}`)
  }

  /** Inside a transaction the version is left out: the commit has it. */
  #lines(command: Command, slot: number, transaction: number, version: number | null): void {
    const end = version === null ? quoteText(transaction) : `${quoteText(transaction)} ${quoteText(version)}`
    const line = (operation: string, args: readonly Uint8Array[]): void => {
      this.#onLine([operation, ...args.map(quote), end].join(' '))
    }
    const { args } = command
    const name = nameOf(command)
    if (name === 'set' && args.length === 2) line('put', args)
    else if (name === 'mset') for (let i = 0; i + 1 < args.length; i += 2) line('put', [args[i], args[i + 1]])
    else if (name === 'del') for (const key of args) line('delete', [key])
    else if (name === 'flushall') line('flush', [utf8Bytes(String(slot))])
    else line(name, args)
  }
}

const EXEC = COMMANDS_BY_NAME.get('exec')?.opcode

function nameOf(command: Command): string {
  if (command.opcode === EXEC) return 'exec'
  if (command.opcode === OPCODE_PURGE_EXPIRED) return 'purge'
  if (command.opcode === OPCODE_DROP_GENERATION) return 'drop-generation'
  return COMMANDS_BY_OPCODE.get(command.opcode)?.name ?? `opcode-${command.opcode}`
}

const quoteText = (value: number): string => `"${value}"`

function membershipText(payload: Uint8Array): string {
  return decodeMembership(payload)
    .members.map((member) => `${member.replicaId}@${member.nodeId} ${member.role}`)
    .join(', ')
}
