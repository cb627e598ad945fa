/**
 * Who of a door's clients listens to which channels and patterns. Channels are found by name; patterns are matched one by one, each once however
 * many clients share it. Names are kept as text of one character a byte.
 */
import { latin1Bytes, latin1Text } from '../../base/bytes.ts'
import { globMatches } from '../../base/glob.ts'
import { bulkReply, bulkText, pushReply } from '../../protocol/resp-reply.ts'
import type { ClientState } from './client-state.ts'
import type { RespConnection } from './connection.ts'

/** Channels and patterns of one client, and of all clients of the door. */
export const MAX_SUBSCRIPTIONS_OF_CLIENT = 100_000
const MAX_SUBSCRIPTIONS = 2_000_000

export type SubscriptionKind = 'channel' | 'pattern' | 'shard'

interface Pattern {
  readonly bytes: Uint8Array
  readonly clients: Set<RespConnection>
}

interface OwnNames {
  readonly channel: Set<string>
  readonly pattern: Set<string>
  readonly shard: Set<string>
}

const MESSAGE = bulkText('message')
const PMESSAGE = bulkText('pmessage')
const SMESSAGE = bulkText('smessage')

export class Subscriptions {
  readonly #channels = new Map<string, Set<RespConnection>>()
  readonly #shardChannels = new Map<string, Set<RespConnection>>()
  readonly #patterns = new Map<string, Pattern>()
  readonly #own = new Map<RespConnection, OwnNames>()
  #count = 0

  /** False: there are too many already. Who listens already goes on. */
  add(kind: SubscriptionKind, connection: RespConnection, name: string): boolean {
    const own = this.#namesOf(connection)
    if (own[kind].has(name)) return true
    const { client } = connection
    if (
      client.channels + client.patterns + client.shardChannels >= MAX_SUBSCRIPTIONS_OF_CLIENT ||
      this.#count >= MAX_SUBSCRIPTIONS
    ) {
      this.#forgetIfNone(connection, own)
      return false
    }
    this.#count++
    own[kind].add(name)
    this.#clientsOf(kind, name).add(connection)
    this.#countOf(client, kind, 1)
    return true
  }

  remove(kind: SubscriptionKind, connection: RespConnection, name: string): void {
    const own = this.#own.get(connection)
    if (own === undefined || !own[kind].delete(name)) return
    this.#count--
    this.#countOf(connection.client, kind, -1)
    const clients = this.#clientsOf(kind, name)
    clients.delete(connection)
    if (clients.size === 0) {
      if (kind === 'pattern') this.#patterns.delete(name)
      else this.#channelsOf(kind).delete(name)
    }
    this.#forgetIfNone(connection, own)
  }

  removeAll(connection: RespConnection): void {
    for (const kind of ['channel', 'pattern', 'shard'] as const) {
      for (const name of this.names(kind, connection)) this.remove(kind, connection, name)
    }
  }

  names(kind: SubscriptionKind, connection: RespConnection): string[] {
    return [...(this.#own.get(connection)?.[kind] ?? [])]
  }

  /** Channels with subscribers, those that match. */
  channels(pattern: Uint8Array | null, kind: 'channel' | 'shard' = 'channel'): string[] {
    const names = [...this.#channelsOf(kind).keys()]
    return pattern === null ? names : names.filter((name) => globMatches(pattern, latin1Bytes(name)))
  }

  subscribersOf(channel: string, kind: 'channel' | 'shard' = 'channel'): number {
    return this.#channelsOf(kind).get(channel)?.size ?? 0
  }

  get shardChannelCount(): number {
    return this.#shardChannels.size
  }

  /** Who listens to which shard channels. */
  shardSubscribers(): Iterable<readonly [name: string, clients: ReadonlySet<RespConnection>]> {
    return this.#shardChannels
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

  /** The same for a shard channel. */
  deliverSharded(channel: Uint8Array, message: Uint8Array): number {
    const clients = this.#count === 0 ? undefined : this.#shardChannels.get(latin1Text(channel))
    return clients === undefined ? 0 : pushToAll(clients, [SMESSAGE, bulkReply(channel), bulkReply(message)])
  }

  #channelsOf(kind: 'channel' | 'shard'): Map<string, Set<RespConnection>> {
    return kind === 'channel' ? this.#channels : this.#shardChannels
  }

  #countOf(client: ClientState, kind: SubscriptionKind, change: 1 | -1): void {
    if (kind === 'channel') client.channels += change
    else if (kind === 'pattern') client.patterns += change
    else client.shardChannels += change
  }

  #namesOf(connection: RespConnection): OwnNames {
    let own = this.#own.get(connection)
    if (own === undefined) {
      own = { channel: new Set(), pattern: new Set(), shard: new Set() }
      this.#own.set(connection, own)
    }
    return own
  }

  #forgetIfNone(connection: RespConnection, own: OwnNames): void {
    if (own.channel.size + own.pattern.size + own.shard.size === 0) this.#own.delete(connection)
  }

  #clientsOf(kind: SubscriptionKind, name: string): Set<RespConnection> {
    if (kind !== 'pattern') {
      const channels = this.#channelsOf(kind)
      const known = channels.get(name)
      if (known !== undefined) return known
      const clients = new Set<RespConnection>()
      channels.set(name, clients)
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
