/**
 * SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE and their opposites, PUBLISH, SPUBLISH, PUBSUB. A message goes to the subscribers of all nodes (ports/message-bus.ts), unlogged
 * and at most once. Confirmations and messages leave in one order with the replies; CLIENT REPLY does not silence them.
 */
import { latin1Bytes } from '../../base/bytes.ts'
import {
  arrayReply,
  bulkReply,
  bulkText,
  errorReply,
  integerReply,
  NULL_REPLY,
  pushReply,
} from '../../protocol/resp-reply.ts'
import type { NamedReplies } from './commands.ts'
import type { RespConnection } from './connection.ts'
import type { Door, DoorReply, Handler } from './door.ts'
import { subcommandSyntax, valueTooLong } from './errors.ts'
import { MAX_SUBSCRIPTIONS_OF_CLIENT, type SubscriptionKind } from './subscriptions.ts'
import { wordCopy, wordText, wordView } from './words.ts'

const TOO_MANY = errorReply(
  `ERR too many subscriptions: one client may have ${MAX_SUBSCRIPTIONS_OF_CLIENT}; subscribe to patterns, or use more nodes`,
)

/** What a client with subscriptions may send in RESP2, where its replies and its messages look alike. */
export const ALLOWED_WHEN_SUBSCRIBED: ReadonlySet<string> = new Set([
  'subscribe',
  'unsubscribe',
  'psubscribe',
  'punsubscribe',
  'ssubscribe',
  'sunsubscribe',
  'ping',
  'quit',
  'reset',
])

export function notWhenSubscribed(fullName: string): string {
  return `Can't execute '${fullName}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`
}

const LETTERS = { channel: '', pattern: 'p', shard: 's' } as const

function confirm(connection: RespConnection, kind: SubscriptionKind, verb: string, name: Uint8Array): void {
  const { channels, patterns, shardChannels } = connection.client
  const count = kind === 'shard' ? shardChannels : channels + patterns
  connection.answerPush(pushReply([bulkText(`${LETTERS[kind]}${verb}`), name, integerReply(count)]))
}

/** The slot has gone elsewhere: whoever listened here is told, as if it had asked to stop. */
export function dropShardSubscription(door: Door, connection: RespConnection, name: string): void {
  door.subscriptions.remove('shard', connection, name)
  const { shardChannels } = connection.client
  connection.push(pushReply([bulkText('sunsubscribe'), bulkReply(latin1Bytes(name)), integerReply(shardChannels)]))
}

function subscribe(kind: SubscriptionKind): Handler {
  return (door, connection) => {
    const { words } = connection
    for (let i = 1; i < words.wordCount; i++) {
      if (door.subscriptions.add(kind, connection, wordText(words, i))) {
        confirm(connection, kind, 'subscribe', bulkReply(wordView(words, i)))
      } else connection.answer(TOO_MANY)
    }
    return true
  }
}

function unsubscribe(kind: SubscriptionKind): Handler {
  return (door, connection) => {
    const { words } = connection
    const named = Array.from({ length: words.wordCount - 1 }, (_, i) => wordText(words, i + 1))
    const names = named.length > 0 ? named : door.subscriptions.names(kind, connection)
    for (const name of names) {
      door.subscriptions.remove(kind, connection, name)
      confirm(connection, kind, 'unsubscribe', bulkReply(latin1Bytes(name)))
    }
    if (names.length === 0) confirm(connection, kind, 'unsubscribe', NULL_REPLY)
    return true
  }
}

export const runSubscribe: Handler = subscribe('channel')
export const runPSubscribe: Handler = subscribe('pattern')
export const runUnsubscribe: Handler = unsubscribe('channel')
export const runPUnsubscribe: Handler = unsubscribe('pattern')
export const runSSubscribe: Handler = subscribe('shard')
export const runSUnsubscribe: Handler = unsubscribe('shard')

function deliverHere(door: Door, sharded: boolean, channel: Uint8Array, message: Uint8Array): number {
  return sharded ? door.subscriptions.deliverSharded(channel, message) : door.subscriptions.deliver(channel, message)
}

/** Its reply, how many received the message on all nodes, waits for the others' word; the messages themselves do not wait. */
function publish(sharded: boolean): Handler {
  return (door, connection) => {
    const { words } = connection
    const channel = wordCopy(words, 1)
    const message = wordCopy(words, 2)
    const refusal = refusalOf(door, channel, message)
    if (refusal !== null) {
      connection.answer(refusal)
      return true
    }
    // What this client asked for before has happened when the message arrives; messages among themselves keep their order anyway.
    if (connection.pendingCount > connection.publishing) return false
    const receivedHere = deliverHere(door, sharded, channel, message)
    const whole = connection.openKeepingWords()
    connection.publishing++
    door.bus.publish(channel, message, sharded, (receivedElsewhere) => {
      if (connection.isClosed) return
      connection.publishing--
      connection.settle(whole, integerReply(receivedHere + receivedElsewhere))
    })
    return true
  }
}

/** Inside EXEC, which does not wait: the receivers on this node. */
function publishInside(sharded: boolean): DoorReply {
  return (door, _client, words) => {
    const channel = wordCopy(words, 1)
    const message = wordCopy(words, 2)
    const refusal = refusalOf(door, channel, message)
    if (refusal !== null) return refusal
    door.bus.publish(channel, message, sharded, () => {})
    return integerReply(deliverHere(door, sharded, channel, message))
  }
}

export const runPublish: Handler = publish(false)
export const runSPublish: Handler = publish(true)
export const publishReply: DoorReply = publishInside(false)
export const spublishReply: DoorReply = publishInside(true)

/** A message must fit into one frame between nodes, as values must. */
function refusalOf(door: Door, channel: Uint8Array, message: Uint8Array): Uint8Array | null {
  const bytes = channel.length + message.length
  return bytes > door.options.maxValueBytes ? valueTooLong(bytes, door.options.maxValueBytes) : null
}

function channelsReply(kind: 'channel' | 'shard'): DoorReply {
  return (door, _client, words) => {
    if (words.wordCount > 3) return subcommandSyntax(words)
    const names = door.subscriptions.channels(words.wordCount > 2 ? wordView(words, 2) : null, kind)
    return arrayReply(names.map((name) => bulkReply(latin1Bytes(name))))
  }
}

function subscribersReply(kind: 'channel' | 'shard'): DoorReply {
  return (door, _client, words) => {
    const parts: Uint8Array[] = []
    for (let i = 2; i < words.wordCount; i++) {
      const subscribers = door.subscriptions.subscribersOf(wordText(words, i), kind)
      parts.push(bulkReply(wordView(words, i)), integerReply(subscribers))
    }
    return arrayReply(parts)
  }
}

export const PUBSUB_REPLIES: NamedReplies = [
  ['pubsub|channels', channelsReply('channel')],
  ['pubsub|numsub', subscribersReply('channel')],
  ['pubsub|shardchannels', channelsReply('shard')],
  ['pubsub|shardnumsub', subscribersReply('shard')],
  ['pubsub|numpat', (door) => integerReply(door.subscriptions.patternCount)],
]
