/**
 * Who of a door's clients listens to which channels and patterns. Channels are found by name; patterns are matched one by one, each once however
 * many clients share it. Names are kept as text of one character a byte.
 */
import { latin1Bytes, latin1Text } from '../../base/bytes.ts'
import { globMatches } from '../../base/glob.ts'
import { bulkReply, bulkText, pushReply } from '../../protocol/resp-reply.ts'
import type { RespConnection } from './connection.ts'

/** Channels and patterns of one client, and of all clients of the door. */
export const MAX_SUBSCRIPTIONS_OF_CLIENT = 100_000
const MAX_SUBSCRIPTIONS = 2_000_000

export type SubscriptionKind = 'channel' | 'pattern'

interface Pattern {
  readonly bytes: Uint8Array
  readonly clients: Set<RespConnection>
}

interface OwnNames {
  readonly channel: Set<string>
  readonly pattern: Set<string>
}

const MESSAGE = bulkText('message')
const PMESSAGE = bulkText('pmessage')

export class Subscriptions {
  readonly #channels = new Map<string, Set<RespConnection>>()
  readonly #patterns = new Map<string, Pattern>()
  readonly #own = new Map<RespConnection, OwnNames>()
  #count = 0

  /** False: there are too many already. Who listens already goes on. */
  add(kind: SubscriptionKind, connection: RespConnection, name: string): boolean {
    const own = this.#namesOf(connection)
    if (own[kind].has(name)) return true
    const { client } = connection
    if (client.channels + client.patterns >= MAX_SUBSCRIPTIONS_OF_CLIENT || this.#count >= MAX_SUBSCRIPTIONS) {
      this.#forgetIfNone(connection, own)
      return false
    }
    this.#count++
    own[kind].add(name)
    this.#clientsOf(kind, name).add(connection)
    if (kind === 'channel') client.channels++
    else client.patterns++
    return true
  }

  remove(kind: SubscriptionKind, connection: RespConnection, name: string): void {
    const own = this.#own.get(connection)
    if (own === undefined || !own[kind].delete(name)) return
    this.#count--
    if (kind === 'channel') {
      connection.client.channels--
      const clients = this.#channels.get(name)
      clients?.delete(connection)
      if (clients?.size === 0) this.#channels.delete(name)
    } else {
      connection.client.patterns--
      const clients = this.#patterns.get(name)?.clients
      clients?.delete(connection)
      if (clients?.size === 0) this.#patterns.delete(name)
    }
    this.#forgetIfNone(connection, own)
  }

  removeAll(connection: RespConnection): void {
    for (const kind of ['channel', 'pattern'] as const) {
      for (const name of this.names(kind, connection)) this.remove(kind, connection, name)
    }
  }

  names(kind: SubscriptionKind, connection: RespConnection): string[] {
    return [...(this.#own.get(connection)?.[kind] ?? [])]
  }

  /** Channels with subscribers, those that match. */
  channels(pattern: Uint8Array | null): string[] {
    const names = [...this.#channels.keys()]
    return pattern === null ? names : names.filter((name) => globMatches(pattern, latin1Bytes(name)))
  }

  subscribersOf(channel: string): number {
    return this.#channels.get(channel)?.size ?? 0
  }

  get patternCount(): number {
    return this.#patterns.size
  }

  get channelCount(): number {
    return this.#channels.size
  }

  /** Hands the message to everyone who listens, and says how often. The bytes may be views. */
  deliver(channel: Uint8Array, message: Uint8Array): number {
    if (this.#count === 0) return 0
    let receivers = 0
    const clients = this.#channels.get(latin1Text(channel))
    if (clients !== undefined) {
      receivers += pushToAll(clients, [MESSAGE, bulkReply(channel), bulkReply(message)])
    }
    for (const { bytes, clients: listening } of this.#patterns.values()) {
      if (!globMatches(bytes, channel)) continue
      receivers += pushToAll(listening, [PMESSAGE, bulkReply(bytes), bulkReply(channel), bulkReply(message)])
    }
    return receivers
  }

  #namesOf(connection: RespConnection): OwnNames {
    let own = this.#own.get(connection)
    if (own === undefined) {
      own = { channel: new Set(), pattern: new Set() }
      this.#own.set(connection, own)
    }
    return own
  }

  #forgetIfNone(connection: RespConnection, own: OwnNames): void {
    if (own.channel.size + own.pattern.size === 0) this.#own.delete(connection)
  }

  #clientsOf(kind: SubscriptionKind, name: string): Set<RespConnection> {
    if (kind === 'channel') {
      const known = this.#channels.get(name)
      if (known !== undefined) return known
      const clients = new Set<RespConnection>()
      this.#channels.set(name, clients)
      return clients
    }
    const known = this.#patterns.get(name)
    if (known !== undefined) return known.clients
    const pattern = { bytes: latin1Bytes(name), clients: new Set<RespConnection>() }
    this.#patterns.set(name, pattern)
    return pattern.clients
  }
}

function pushToAll(clients: ReadonlySet<RespConnection>, parts: readonly Uint8Array[]): number {
  const message = pushReply(parts)
  const { size } = clients
  // A client that is closed for not reading leaves the set meanwhile.
  for (const connection of clients) connection.push(message)
  return size
}
