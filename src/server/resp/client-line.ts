/** A connection as CLIENT LIST and CLIENT INFO print it: Redis 7.0.15's fields in its order, then those of later versions. */
import { type ClientState, isSubscriber } from './client-state.ts'
import type { ConnectionState } from './connection-state.ts'

/** As CLIENT LIST TYPE and CLIENT KILL TYPE name them; no client is a master or a replica. */
export type ClientType = 'normal' | 'pubsub' | 'master' | 'replica'

export function clientTypeNamed(text: string): ClientType | null {
  const name = text.toLowerCase()
  if (name === 'slave') return 'replica'
  return name === 'normal' || name === 'pubsub' || name === 'master' || name === 'replica' ? name : null
}

export function typeOf(client: ClientState): ClientType {
  return isSubscriber(client) ? 'pubsub' : 'normal'
}

/** Redis's PROTO_REPLY_CHUNK_BYTES. */
const SMALL_OUTPUT_BYTES = 16 * 1024

function flagsOf(client: ClientState, state: ConnectionState): string {
  const { transaction } = client.connection
  const flags = [
    isSubscriber(client) ? 'P' : '',
    transaction.open ? 'x' : '',
    state.paused ? 'b' : '',
    transaction.watchFailed ? 'd' : '',
    state.closing ? 'c' : '',
    client.noEvict ? 'e' : '',
    client.noTouch ? 'T' : '',
  ].join('')
  return flags === '' ? 'N' : flags
}

/** `asking`: it is the connection's own request that is answered with the line. */
export function clientLine(client: ClientState, nowMs: number, asking: boolean): string {
  const { connection } = client
  const { transaction } = connection
  const state = connection.describe(asking)
  const seconds = (sinceMs: number): number => Math.floor(Math.max(0, nowMs - sinceMs) / 1000)
  const small = state.outputBytes <= SMALL_OUTPUT_BYTES
  const ownBytes = state.queryHeldBytes + state.argumentBytes + state.transactionBytes + state.outputBytes
  const fields: readonly (readonly [string, string | number])[] = [
    ['id', client.id],
    ['addr', client.address],
    ['laddr', connection.localAddress],
    ['fd', state.descriptor],
    ['name', client.name],
    ['age', seconds(connection.connectedAtMs)],
    ['idle', seconds(connection.lastInteractionMs)],
    ['flags', flagsOf(client, state)],
    ['db', 0],
    ['sub', client.channels],
    ['psub', client.patterns],
    ['ssub', client.shardChannels],
    ['multi', transaction.open ? transaction.queue.length : -1],
    ['qbuf', state.queryBytes],
    ['qbuf-free', Math.max(0, state.queryHeldBytes - state.queryBytes)],
    ['argv-mem', state.argumentBytes],
    ['multi-mem', state.transactionBytes],
    // Redis keeps a small buffer in each connection and a list beyond; here there is one list, shown as the one or the other.
    ['rbs', 0],
    ['rbp', 0],
    ['obl', small ? state.outputBytes : 0],
    ['oll', small ? 0 : state.repliesWaiting],
    ['omem', small ? 0 : state.outputBytes],
    ['tot-mem', ownBytes],
    ['events', `${state.readable ? 'r' : ''}${state.writable ? 'w' : ''}`],
    ['cmd', connection.lastCommand?.fullName ?? 'NULL'],
    ['user', 'default'],
    ['redir', -1],
    ['resp', client.protocol],
    ['lib-name', client.libraryName],
    ['lib-ver', client.libraryVersion],
    ['watch', transaction.watchedKeys],
  ]
  return `${fields.map(([name, value]) => `${name}=${value}`).join(' ')}\n`
}
