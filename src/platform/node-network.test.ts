import { createServer, connect as netConnect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { concatBytes, latin1Bytes, latin1Text } from '../base/bytes.ts'
import { type Connection, HIGH_WATER_BYTES, type ListenError, type Listener } from '../ports/network.ts'
import { formatAddress, NodeNetwork, parseAddress } from './node-network.ts'

const network = new NodeNetwork()
const cleanups: (() => void)[] = []

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

class End {
  readonly connection: Connection
  readonly received: Uint8Array[] = []
  readonly closes: string[] = []
  drains = 0

  constructor(connection: Connection) {
    this.connection = connection
    cleanups.push(() => connection.destroy())
    connection.setHandlers({
      onData: (bytes) => {
        this.received.push(bytes.slice())
      },
      onClose: (reason) => {
        this.closes.push(reason)
      },
      onDrain: () => {
        this.drains++
      },
    })
  }

  get text(): string {
    return latin1Text(concatBytes(this.received))
  }

  get receivedBytes(): number {
    return this.received.reduce((sum, bytes) => sum + bytes.length, 0)
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`gave up waiting: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

function listen(address: string, onConnection: (connection: Connection) => void): Promise<Listener> {
  return new Promise((resolve, reject) => {
    network.listen(address, onConnection, (error, listener) => {
      if (listener === null) reject(new Error(error?.code))
      else {
        cleanups.push(() => listener.close(() => {}))
        resolve(listener)
      }
    })
  })
}

function connect(address: string): Promise<Connection> {
  return new Promise((resolve, reject) => {
    network.connect(address, 5000, (error, connection) => {
      if (connection === null) reject(new Error(error ?? ''))
      else resolve(connection)
    })
  })
}

async function pair(): Promise<[End, End]> {
  const accepted: End[] = []
  const listener = await listen('127.0.0.1:0', (connection) => accepted.push(new End(connection)))
  const dialled = new End(await connect(listener.address))
  await until('accepted', () => accepted.length === 1)
  return [dialled, accepted[0]]
}

describe('NodeNetwork', () => {
  test('bytes pass both ways, in order, one write or many', async () => {
    const [dialled, accepted] = await pair()
    dialled.connection.write(latin1Bytes('one '))
    dialled.connection.writeMany([latin1Bytes('two '), latin1Bytes(''), latin1Bytes('three')])
    accepted.connection.writeMany([Buffer.from('four '), latin1Bytes('five')])
    await until('arrived', () => dialled.text === 'four five' && accepted.text === 'one two three')
    expect(dialled.connection.remoteAddress).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(accepted.connection.remoteAddress).toMatch(/^127\.0\.0\.1:\d+$/)
  })

  test('both ends read into the shared buffer: no allocation a read', async () => {
    const buffers = new Set<ArrayBufferLike>()
    const see = (connection: Connection): void => {
      cleanups.push(() => connection.destroy())
      connection.setHandlers({ onData: (bytes) => buffers.add(bytes.buffer), onClose() {} })
    }
    let accepted: Connection | null = null
    const listener = await listen('127.0.0.1:0', (connection) => {
      accepted = connection
      see(connection)
      connection.write(new Uint8Array(10))
    })
    const dialled = await connect(listener.address)
    see(dialled)
    dialled.write(new Uint8Array(10))
    let reads = 0
    await until('read', () => accepted !== null && buffers.size > 0 && ++reads > 20)
    expect(buffers.size).toBe(1)
  })

  test('many connections at once get their own bytes only', async () => {
    const ends: End[] = []
    const listener = await listen('127.0.0.1:0', (connection) => {
      connection.setHandlers({ onData: (bytes) => connection.write(bytes.slice()), onClose() {} })
      cleanups.push(() => connection.destroy())
    })
    for (let i = 0; i < 50; i++) ends.push(new End(await connect(listener.address)))
    for (let round = 0; round < 20; round++) for (let i = 0; i < 50; i++) ends[i].connection.write(latin1Bytes(`${i};`))
    await until('echoed', () => ends.every((end, i) => end.text === `${i};`.repeat(20)))
  })

  test('bufferedBytes counts what the kernel has not taken, onDrain follows, pause stops the reads', async () => {
    const [dialled, accepted] = await pair()
    accepted.connection.pause()
    const chunk = new Uint8Array(1024 * 1024)
    let written = 0
    while (dialled.connection.bufferedBytes < 4 * HIGH_WATER_BYTES && written < 200 * chunk.length) {
      dialled.connection.write(chunk)
      written += chunk.length
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(dialled.connection.bufferedBytes).toBeGreaterThanOrEqual(HIGH_WATER_BYTES)
    const stuckAt = accepted.receivedBytes
    await new Promise((resolve) => setImmediate(resolve))
    expect(accepted.receivedBytes).toBe(stuckAt)
    expect(dialled.drains).toBe(0)
    accepted.connection.resume()
    await until('all read', () => accepted.receivedBytes === written)
    await until('drained', () => dialled.drains > 0)
    expect(dialled.connection.bufferedBytes).toBe(0)
  })

  test('bufferedBytes shows progress within one large write', async () => {
    const [dialled, accepted] = await pair()
    const totalBytes = 40 * 1024 * 1024
    const seen: number[] = []
    dialled.connection.writeMany([new Uint8Array(100), new Uint8Array(totalBytes - 100)])
    await until('all read', () => {
      seen.push(dialled.connection.bufferedBytes)
      return accepted.receivedBytes === totalBytes
    })
    for (let i = 1; i < seen.length; i++) expect(seen[i]).toBeLessThanOrEqual(seen[i - 1])
    expect(seen[0]).toBeLessThanOrEqual(totalBytes)
    expect(new Set(seen).size).toBeGreaterThan(2)
    expect(dialled.connection.bufferedBytes).toBe(0)
  })

  test('end() sends what is queued, then closes both sides once', async () => {
    const [dialled, accepted] = await pair()
    dialled.connection.write(new Uint8Array(5_000_000))
    dialled.connection.end()
    dialled.connection.write(latin1Bytes('too late'))
    dialled.connection.end()
    await until('closed', () => dialled.closes.length > 0 && accepted.closes.length > 0)
    expect(accepted.receivedBytes).toBe(5_000_000)
    expect(dialled.closes).toEqual(['ended here'])
    expect(accepted.closes).toEqual(['closed by the other side'])
  })

  test('end() does not wait for ever on a peer that reads nothing', async () => {
    const [dialled, accepted] = await pair()
    accepted.connection.pause()
    dialled.connection.write(new Uint8Array(50_000_000))
    dialled.connection.end()
    await until('cut', () => dialled.closes.length === 1)
    expect(dialled.connection.bufferedBytes).toBeGreaterThanOrEqual(0)
  })

  test('destroy() is heard once on both sides, as an event of its own', async () => {
    const [dialled, accepted] = await pair()
    dialled.connection.destroy()
    expect(dialled.closes).toEqual([])
    dialled.connection.destroy()
    dialled.connection.write(latin1Bytes('ignored'))
    await until('closed', () => dialled.closes.length > 0 && accepted.closes.length > 0)
    expect(dialled.closes).toEqual(['closed here'])
    expect(accepted.closes.length).toBe(1)
    expect(accepted.received).toEqual([])
  })

  test('a client that closes its half after asking is answered as far as the answer is written', async () => {
    const listener = await listen('127.0.0.1:0', (connection) => {
      connection.setHandlers({ onData: () => connection.write(latin1Bytes('answer')), onClose() {} })
    })
    const { host, port } = parseAddress(listener.address) ?? { host: '', port: 0 }
    const answer = await new Promise<string>((resolve, reject) => {
      const socket: Socket = netConnect({ host, port, allowHalfOpen: true })
      let text = ''
      socket.on('data', (bytes) => {
        text += bytes.toString('latin1')
      })
      socket.on('end', () => resolve(text))
      socket.on('error', reject)
      socket.end('ask')
    })
    expect(answer).toBe('answer')
  })

  test('a taken port is address-in-use, a wrong address failed; a closed listener frees its port', async () => {
    const listener = await listen('127.0.0.1:0', () => {})
    const fail = (address: string): Promise<ListenError> =>
      new Promise((resolve, reject) => {
        network.listen(
          address,
          () => {},
          (error) => (error === null ? reject(new Error('listens')) : resolve(error.code)),
        )
      })
    expect(await fail(listener.address)).toBe('address-in-use')
    expect(await fail('nonsense')).toBe('failed')
    expect(await fail('127.0.0.1:99999')).toBe('failed')
    await new Promise<void>((resolve) => listener.close(resolve))
    const again = await listen(listener.address, () => {})
    expect(again.address).toBe(listener.address)
  })

  test('connecting fails with a reason: nobody listens, no such address, nobody answers in time', async () => {
    const listener = await listen('127.0.0.1:0', () => {})
    await new Promise<void>((resolve) => listener.close(resolve))
    await expect(connect(listener.address)).rejects.toThrow('ECONNREFUSED')
    await expect(connect('nonsense')).rejects.toThrow('no host:port')
    // A listener whose queue of two is full answers no further SYN.
    const full = createServer()
    await new Promise<void>((resolve) => full.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, resolve))
    const bound = full.address()
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0
    const blocker = new Int32Array(new SharedArrayBuffer(4))
    const outcomes: (string | null)[] = []
    for (let i = 0; i < 8; i++) {
      network.connect(`127.0.0.1:${port}`, 200, (error, connection) => {
        outcomes.push(error)
        connection?.destroy()
      })
    }
    // The loop stands still: nothing is accepted while the SYNs arrive and the time-outs pass.
    await new Promise((resolve) => setImmediate(resolve))
    Atomics.wait(blocker, 0, 0, 300)
    await until('all settled', () => outcomes.length === 8)
    for (const outcome of outcomes) expect([null, `no connection to 127.0.0.1:${port} in 200 ms`]).toContain(outcome)
    full.close()
  })

  test('addresses', () => {
    expect(parseAddress('localhost:80')).toEqual({ host: 'localhost', port: 80 })
    expect(parseAddress('[::1]:7379')).toEqual({ host: '::1', port: 7379 })
    for (const wrong of ['', 'host', 'host:', ':80', '::1:80', 'host:65536', 'a b:c', '[::1]']) {
      expect(parseAddress(wrong)).toBeNull()
    }
    expect(formatAddress('::1', 5)).toBe('[::1]:5')
    expect(formatAddress('::ffff:10.0.0.1', 5)).toBe('10.0.0.1:5')
  })
})
