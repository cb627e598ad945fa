// One command on a connection of its own, through a Redis client that knows nothing of Quorate.
import { Redis } from 'ioredis'

export async function call(address: string, ...words: string[]): Promise<unknown> {
  const [host, port] = address.split(':')
  const client = new Redis({ host, port: Number(port), lazyConnect: true, retryStrategy: () => null })
  client.on('error', () => {})
  try {
    await client.connect()
    return await client.call(words[0], ...words.slice(1))
  } finally {
    client.disconnect()
  }
}
