/** From a request's words to what runs it: names are found and arity is checked by their bytes, without a string. */
import { assert } from '../../base/assert.ts'
import type { RequestWords } from '../../protocol/resp-parser.ts'
import { isSubscriber } from './client-state.ts'
import type { RespConnection } from './connection.ts'
import type { Door, DoorCommand } from './door.ts'
import { OUT_OF_MEMORY, unknownCommand, unknownSubcommand, wrongArity } from './errors.ts'
import { GATE_OUT_OF_MEMORY, GATE_PAUSED } from './gates.ts'
import { ALLOWED_WHEN_SUBSCRIBED, notWhenSubscribed } from './pubsub.ts'
import { queueCommand, rejectRequest } from './transaction.ts'
import { wordLower } from './words.ts'

const TABLE_SIZE = 256

interface Row {
  readonly name: Uint8Array
  readonly command: DoorCommand
}

/** Commands by name, in any case, hashed by length, first, middle and last letter. */
export class CommandTable {
  readonly #rows: (Row[] | null)[] = new Array<Row[] | null>(TABLE_SIZE).fill(null)
  readonly commands: readonly DoorCommand[]

  constructor(commands: readonly DoorCommand[]) {
    this.commands = commands
    for (const command of commands) {
      const name = Uint8Array.from(command.spec.name, (letter) => letter.charCodeAt(0))
      const at = hash(name, 0, name.length)
      const row: Row = { name, command }
      const rows = this.#rows[at]
      if (rows === null) this.#rows[at] = [row]
      else rows.push(row)
    }
  }

  find(bytes: Uint8Array, from: number, to: number): DoorCommand | null {
    if (from === to) return null
    const rows = this.#rows[hash(bytes, from, to)]
    if (rows === null) return null
    for (let i = 0; i < rows.length; i++) if (sameName(rows[i].name, bytes, from, to)) return rows[i].command
    return null
  }
}

function hash(bytes: Uint8Array, from: number, to: number): number {
  const first = bytes[from] | 32
  const middle = bytes[(from + to) >> 1] | 32
  const last = bytes[to - 1] | 32
  return (first * 31 + middle * 7 + last * 3 + (to - from)) & (TABLE_SIZE - 1)
}

function sameName(name: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (name.length !== to - from) return false
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[from + i]
    if ((byte >= 65 && byte <= 90 ? byte + 32 : byte) !== name[i]) return false
  }
  return true
}

export class Dispatcher {
  readonly #door: Door
  readonly #table: CommandTable

  constructor(door: Door, table: CommandTable) {
    this.#door = door
    this.#table = table
  }

  /** Runs the request that the connection's parser holds. False: it must wait until it is the only one. */
  dispatch(connection: RespConnection): boolean {
    const words = connection.words
    assert(words.wordCount > 0, 'Dispatcher: a request without words')
    const found = this.#table.find(words.args, words.offsets[0], words.offsets[1])
    if (found === null) {
      this.#rejectUnknown(connection, words)
      return true
    }
    let command = found
    if (found.subcommands !== null && words.wordCount > 1) {
      const inner = found.subcommands.get(wordLower(words, 1))
      if (inner === undefined) {
        rejectRequest(connection, null, unknownSubcommand(words))
        return true
      }
      command = inner
    }
    const arity = command.arity
    if (arity > 0 ? arity !== words.wordCount : words.wordCount < -arity) {
      rejectRequest(connection, command, wrongArity(command.fullName))
      return true
    }
    if (this.#door.gates.armed) {
      const gate = this.#door.gates.check(connection, command)
      if (gate === GATE_PAUSED) {
        connection.waitForPause()
        return false
      }
      if (gate === GATE_OUT_OF_MEMORY) {
        rejectRequest(connection, command, OUT_OF_MEMORY, 'OOM')
        return true
      }
    }
    const { client } = connection
    if (client.protocol === 2 && isSubscriber(client) && !ALLOWED_WHEN_SUBSCRIBED.has(command.fullName)) {
      rejectRequest(connection, command, notWhenSubscribed(command.fullName))
      return true
    }
    connection.lastCommand = command
    const { cluster } = this.#door
    if (cluster !== null) {
      const outcome = cluster.check(connection, command)
      if (outcome !== 'run') return outcome === 'answered'
    }
    if (connection.transaction.open && command.inMulti !== 'now') {
      queueCommand(this.#door, connection, command)
      return true
    }
    connection.dispatching = command
    const run = command.handler(this.#door, connection, command)
    connection.dispatching = null
    return run
  }

  #rejectUnknown(connection: RespConnection, words: RequestWords): void {
    const name = wordLower(words, 0)
    // A web page that makes a browser talk to us: Redis closes without a word, too.
    if (name === 'post' || name === 'host:') connection.closeNow()
    else rejectRequest(connection, null, unknownCommand(words))
  }
}
