/** The client libraries that people use, behind one small face, so that every library runs the same stories. Default retry settings throughout. */
import { Batch, Decoder, GlideClient, type GlideReturnType } from '@valkey/valkey-glide'
import { Redis as IoRedis } from 'ioredis'
import { Redis as IoValkey } from 'iovalkey'
import { createClient } from 'redis'

export interface Library {
  readonly name: string
  /** It gives up on a request after a time that is shorter than an election, unless told otherwise. */
  readonly impatient: boolean
  connect(port: number): Promise<Client>
}

export interface Client {
  set(key: string, value: string): Promise<unknown>
  get(key: string): Promise<string | null>
  incr(key: string): Promise<number>
  /** Raw bytes there and back. */
  echoBytes(key: string, value: Buffer): Promise<Buffer | null>
  /** SET of all, then GET of all, as one pipeline. */
  pipeline(pairs: readonly (readonly [string, string])[]): Promise<(string | null)[]>
  /** MULTI SET INCR GET EXEC. */
  transaction(key: string): Promise<unknown[]>
  /** WATCH, `meanwhile`, then MULTI SET EXEC: whether it ran. */
  guardedSet(key: string, value: string, meanwhile: () => Promise<unknown>): Promise<boolean>
  /** All keys that match, by the library's own way to scan. */
  scan(pattern: string): Promise<string[]>
  publish(channel: string, message: string): Promise<number>
  /** Resolves when the server has confirmed; uses a connection of its own where the library wants one. */
  subscribe(
    channel: string,
    pattern: string,
    onMessage: (channel: string, message: string) => void,
  ): Promise<() => Promise<void>>
  info(): Promise<string>
  close(): Promise<void>
}

type IoClient = Pick<
  IoRedis,
  | 'set'
  | 'get'
  | 'getBuffer'
  | 'incr'
  | 'pipeline'
  | 'multi'
  | 'watch'
  | 'scanStream'
  | 'publish'
  | 'subscribe'
  | 'psubscribe'
  | 'info'
  | 'quit'
  | 'disconnect'
  | 'on'
>

/** ioredis, and its fork. */
function ioFace(connect: () => IoClient): Client {
  const client = connect()
  return {
    set: (key, value) => client.set(key, value),
    get: (key) => client.get(key),
    incr: (key) => client.incr(key),
    async echoBytes(key, value) {
      await client.set(key, value)
      return client.getBuffer(key)
    },
    async pipeline(pairs) {
      const pipeline = client.pipeline()
      for (const [key, value] of pairs) pipeline.set(key, value)
      for (const [key] of pairs) pipeline.get(key)
      const replies = (await pipeline.exec()) ?? []
      return replies.slice(pairs.length).map(([error, reply]) => {
        if (error !== null) throw error
        return reply as string | null
      })
    },
    async transaction(key) {
      const replies = (await client.multi().set(key, '5').incr(key).get(key).exec()) ?? []
      return replies.map(([, reply]) => reply)
    },
    async guardedSet(key, value, meanwhile) {
      await client.watch(key)
      await meanwhile()
      return (await client.multi().set(key, value).exec()) !== null
    },
    async scan(pattern) {
      const found: string[] = []
      for await (const keys of client.scanStream({ match: pattern, count: 50 })) found.push(...(keys as string[]))
      return found
    },
    publish: (channel, message) => client.publish(channel, message),
    async subscribe(channel, pattern, onMessage) {
      const own = connect()
      own.on('message', onMessage)
      own.on('pmessage', (_pattern: string, from: string, message: string) => onMessage(from, message))
      await own.subscribe(channel)
      await own.psubscribe(pattern)
      return async () => own.disconnect()
    },
    info: () => client.info(),
    async close() {
      client.disconnect()
    },
  }
}

/** Errors of the connection are events too; the calls' own rejections are what the tests look at. */
function quiet<T extends { on(event: 'error', listener: () => void): unknown }>(client: T): T {
  client.on('error', () => {})
  return client
}

async function nodeRedis(port: number, RESP: 2 | 3): Promise<Client> {
  const make = () => quiet(createClient({ RESP, socket: { host: '127.0.0.1', port } }))
  const client = make()
  await client.connect()
  return {
    set: (key, value) => client.set(key, value),
    get: (key) => client.get(key),
    incr: (key) => client.incr(key),
    async echoBytes(key, value) {
      await client.set(key, value)
      const reply: unknown = await client.sendCommand(['GET', key], { typeMapping: { 36: Buffer } })
      return reply as Buffer | null
    },
    pipeline: async (pairs) => {
      const sets = pairs.map(([key, value]) => client.set(key, value))
      const gets = pairs.map(([key]) => client.get(key))
      await Promise.all(sets)
      return Promise.all(gets)
    },
    transaction: (key) => client.multi().set(key, '5').incr(key).get(key).exec(),
    async guardedSet(key, value, meanwhile) {
      await client.watch(key)
      await meanwhile()
      try {
        await client.multi().set(key, value).exec()
        return true
      } catch (error) {
        if (error instanceof Error && error.constructor.name === 'WatchError') return false
        throw error
      }
    },
    async scan(pattern) {
      const found: string[] = []
      for await (const keys of client.scanIterator({ MATCH: pattern, COUNT: 50 })) found.push(...keys)
      return found
    },
    publish: (channel, message) => client.publish(channel, message),
    async subscribe(channel, pattern, onMessage) {
      const own = make()
      await own.connect()
      const listener = (message: string, from: string) => onMessage(from, message)
      await own.subscribe(channel, listener)
      await own.pSubscribe(pattern, listener)
      return async () => own.destroy()
    },
    info: () => client.info(),
    async close() {
      client.destroy()
    },
  }
}

async function glide(port: number): Promise<Client> {
  const addresses = [{ host: '127.0.0.1', port }]
  const client = await GlideClient.createClient({ addresses })
  const text = (value: GlideReturnType) => (value === null ? null : String(value))
  return {
    set: (key, value) => client.set(key, value),
    get: async (key) => text(await client.get(key)),
    incr: (key) => client.incr(key),
    async echoBytes(key, value) {
      await client.set(key, value)
      return (await client.get(key, { decoder: Decoder.Bytes })) as Buffer | null
    },
    async pipeline(pairs) {
      const batch = new Batch(false)
      for (const [key, value] of pairs) batch.set(key, value)
      for (const [key] of pairs) batch.get(key)
      const replies = (await client.exec(batch, true, { timeout: 10_000 })) ?? []
      return replies.slice(pairs.length).map(text)
    },
    async transaction(key) {
      return (await client.exec(new Batch(true).set(key, '5').incr(key).get(key), true)) ?? []
    },
    async guardedSet(key, value, meanwhile) {
      await client.watch([key])
      await meanwhile()
      return (await client.exec(new Batch(true).set(key, value), true)) !== null
    },
    async scan(pattern) {
      const found: string[] = []
      let cursor = '0'
      do {
        const [next, keys] = await client.scan(cursor, { match: pattern, count: 50 })
        found.push(...keys.map(String))
        cursor = String(next)
      } while (cursor !== '0')
      return found
    },
    publish: (channel, message) => client.publish(message, channel),
    async subscribe(channel, pattern, onMessage) {
      const own = await GlideClient.createClient({
        addresses,
        pubsubSubscriptions: {
          channelsAndPatterns: { 0: new Set([channel]), 1: new Set([pattern]) },
          callback: (message) => onMessage(String(message.channel), String(message.message)),
        },
      })
      return async () => own.close()
    },
    info: () => client.info(),
    async close() {
      client.close()
    },
  }
}

export const LIBRARIES: readonly Library[] = [
  {
    name: 'ioredis',
    impatient: false,
    connect: async (port) => ioFace(() => quiet(new IoRedis({ host: '127.0.0.1', port }))),
  },
  {
    name: 'iovalkey',
    impatient: false,
    connect: async (port) => ioFace(() => quiet(new IoValkey({ host: '127.0.0.1', port })) as unknown as IoClient),
  },
  { name: 'node-redis with RESP2', impatient: false, connect: (port) => nodeRedis(port, 2) },
  { name: 'node-redis with RESP3', impatient: false, connect: (port) => nodeRedis(port, 3) },
  { name: 'valkey-glide', impatient: true, connect: glide },
]
