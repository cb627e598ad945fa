/**
 * What door and node tell each other beside requests: published messages between nodes, and what happens to keys.
 *
 * Published messages: Unlogged, at most once: a message reaches the nodes that are connected when it is sent. Messages
 * of one node arrive at another in the order of the calls, as long as their connection holds.
 */
/** `kind` and `name` as in kv/key-events.ts; the key is a view, valid during the call. */
export type KeyEventListener = (kind: string, name: string, key: Uint8Array) => void

export type MessageReceiver = (channel: Uint8Array, message: Uint8Array, sharded: boolean) => number

export interface MessageBus {
  /** Sends to all other nodes. `sharded`: the channel is a shard channel. `done` once, perhaps within the call: how many clients received it there, as far as the nodes said so in time. */
  publish(channel: Uint8Array, message: Uint8Array, sharded: boolean, done: (receivers: number) => void): void
  /** Set once: hands out here what other nodes publish, and says to how many. The bytes are views, valid during the call. */
  setReceiver(receive: MessageReceiver): void
  /** Hears of key events of all groups, at most once each, until it is called with null. */
  listenToKeys(listener: KeyEventListener | null): void
}
