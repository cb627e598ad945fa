/** What a client has told about itself and chosen; HELLO, CLIENT and KV.READ change it. */
import type { ReadLevel } from '../../ports/request-router.ts'
import type { RespConnection } from './connection.ts'

export interface ClientState {
  /** Rises by one with each connection; never used again while the process lives. */
  readonly id: number
  readonly address: string
  readonly connection: RespConnection
  protocol: 2 | 3
  name: string
  libraryName: string
  libraryVersion: string
  readLevel: ReadLevel
  /** Subscriptions to channels, to patterns and to shard channels. */
  channels: number
  patterns: number
  shardChannels: number
  /** READONLY: a replica may answer its reads, where it would be sent to the leader. */
  readOnly: boolean
  /** CLIENT NO-EVICT and NO-TOUCH: shown, and otherwise without meaning here. */
  noEvict: boolean
  noTouch: boolean
}

export function newClient(id: number, address: string, connection: RespConnection): ClientState {
  return {
    id,
    address,
    connection,
    protocol: 2,
    name: '',
    libraryName: '',
    libraryVersion: '',
    readLevel: 'linearizable',
    channels: 0,
    patterns: 0,
    shardChannels: 0,
    readOnly: false,
    noEvict: false,
    noTouch: false,
  }
}

/** What RESET takes back; what the library told about itself stays true. */
export function resetClient(client: ClientState): void {
  client.protocol = 2
  client.name = ''
  client.readLevel = 'linearizable'
  client.readOnly = false
  client.noTouch = false
}

/** In Redis's words a client of type pubsub. */
export function isSubscriber(client: ClientState): boolean {
  return client.channels + client.patterns + client.shardChannels > 0
}

/** Redis's validateClientAttr: printable, no blank; empty takes the name away. */
export function isClientAttribute(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 33 || code > 126) return false
  }
  return true
}
