import { describe, expect, test } from 'vitest'
import { concatBytes, latin1Bytes, latin1Text } from '../base/bytes.ts'
import { type Connection, HIGH_WATER_BYTES, type Network } from '../ports/network.ts'
import { Scheduler } from './scheduler.ts'
import { SimClock } from './sim-clock.ts'
import { SimNetwork, type SimNetworkConditions } from './sim-network.ts'

class End {
  readonly connection: Connection
  readonly received: Uint8Array[] = []
  readonly closes: string[] = []
  drains = 0

  constructor(connection: Connection) {
    this.connection = connection
    connection.setHandlers({
      onData: (bytes) => {
        expect(this.closes).toEqual([])
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

  get bytes(): Uint8Array {
    return concatBytes(this.received)
  }

  get text(): string {
    return latin1Text(this.bytes)
  }
}

class Scene {
  readonly scheduler: Scheduler
  readonly network: SimNetwork
  readonly clocks: SimClock[] = []
  readonly hosts: Network[] = []
  readonly accepted: End[] = []

  /** Hosts 0, 1 and 2; 1 listens on "b:1". */
  constructor(seed = 1, conditions: Partial<SimNetworkConditions> = {}) {
    this.scheduler = new Scheduler(seed)
    this.network = new SimNetwork(this.scheduler, { partitionBreakProbability: 0, ...conditions })
    for (let host = 0; host < 3; host++) {
      this.clocks.push(new SimClock(this.scheduler, { label: `n${host}` }))
      this.hosts.push(this.network.forNode(host, this.clocks[host]))
    }
    this.hosts[1].listen(
      'b:1',
      (connection) => this.accepted.push(new End(connection)),
      (error) => expect(error).toBeNull(),
    )
    this.run(1)
  }

  run(ms: number): void {
    this.scheduler.runUntil(this.scheduler.nowMs + ms)
  }

  dial(from = 0, timeoutMs = 2000): { error: string | null; end: End | null; settledAtMs: number } {
    const result: { error: string | null; end: End | null; settledAtMs: number } = {
      error: null,
      end: null,
      settledAtMs: 0,
    }
    this.hosts[from].connect('b:1', timeoutMs, (error, connection) => {
      result.error = error
      result.end = connection === null ? null : new End(connection)
      result.settledAtMs = this.scheduler.nowMs
    })
    return result
  }

  pair(): [End, End] {
    const dialled = this.dial()
    this.run(100)
    const accepted = this.accepted.at(-1)
    if (dialled.end === null || accepted === undefined) throw new Error('not connected')
    return [dialled.end, accepted]
  }
}

/** As toEqual, in native code. */
function expectSame(bytes: Uint8Array, expected: Uint8Array): void {
  expect(bytes.length).toBe(expected.length)
  expect(Buffer.compare(bytes, expected)).toBe(0)
}

function numbers(count: number, from = 0): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => (from + i) * 7)
}

describe('SimNetwork', () => {
  test('bytes arrive whole and in order, cut elsewhere than written, both ways at once', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const scene = new Scene(seed, { splitProbability: 0.5, spikeProbability: 0.1, spikeMaxMs: 20 })
      const [a, b] = scene.pair()
      for (let i = 0; i < 50; i++) {
        a.connection.write(numbers(100, i * 100))
        b.connection.writeMany([numbers(30, i * 50), numbers(20, i * 50 + 30)])
        if (i % 7 === 0) scene.run(1)
      }
      scene.run(500)
      expectSame(b.bytes, numbers(5000))
      expectSame(a.bytes, numbers(2500))
      expect(b.received.some((bytes) => bytes.length % 100 !== 0)).toBe(true)
    }
  })

  test('the bytes of a read are gone after the handler', () => {
    const scene = new Scene()
    let kept: Uint8Array = new Uint8Array(0)
    scene.hosts[2].listen(
      'c:1',
      (connection) =>
        connection.setHandlers({
          onData: (bytes) => {
            kept = bytes
            expect(latin1Text(bytes)).toBe('abc')
          },
          onClose() {},
        }),
      () => {},
    )
    scene.run(1)
    scene.hosts[0].connect('c:1', 100, (_error, connection) => connection?.write(latin1Bytes('abc')))
    scene.network.configure({ splitProbability: 0 })
    scene.run(20)
    expect([...kept]).toEqual([0xdd, 0xdd, 0xdd])
  })

  test('the same seed gives the same trace, another seed another', () => {
    const play = (seed: number): string => {
      const scene = new Scene(seed, {
        splitProbability: 0.3,
        spikeProbability: 0.05,
        spikeMaxMs: 30,
        partitionBreakProbability: 0.5,
      })
      for (let i = 0; i < 5; i++) scene.dial(i % 2 === 0 ? 0 : 2)
      scene.run(10)
      for (let round = 0; round < 200; round++) {
        for (const end of scene.accepted) end.connection.write(numbers(50, round))
        if (round === 50) scene.network.partition(0, 1)
        if (round === 100) scene.network.heal()
        if (round === 120) scene.network.resetRandomConnection()
        if (round === 150) scene.network.killNode(2)
        scene.run(7)
      }
      return `${scene.scheduler.traceHash} ${scene.scheduler.executed} ${JSON.stringify(scene.network.faults)}`
    }
    expect(play(7)).toBe(play(7))
    expect(play(7)).not.toBe(play(8))
  })

  test('behind a partition bytes stall and come, complete, after it', () => {
    const scene = new Scene()
    const [a, b] = scene.pair()
    scene.network.partition(0, 1)
    a.connection.write(latin1Bytes('held'))
    b.connection.write(latin1Bytes('back'))
    scene.run(5000)
    expect([a.text, b.text]).toEqual(['', ''])
    expect([a.closes, b.closes]).toEqual([[], []])
    scene.network.heal()
    scene.run(300)
    expect([a.text, b.text]).toEqual(['back', 'held'])
    expect(scene.network.faults).toEqual({ partitions: 1 })
  })

  test('a one-way partition lets the other way pass until the window is full of unconfirmed bytes', () => {
    const scene = new Scene(1, { windowBytes: 1000 })
    const [a, b] = scene.pair()
    scene.network.partition(0, 1, true)
    a.connection.write(latin1Bytes('held'))
    for (let i = 0; i < 30; i++) b.connection.write(numbers(100, i * 100))
    scene.run(5000)
    expect(b.text).toBe('')
    expect(a.bytes.length).toBe(1000)
    expect(b.connection.bufferedBytes).toBe(2000)
    scene.network.healPair(0, 1)
    scene.run(500)
    expect(b.text).toBe('held')
    expectSame(a.bytes, numbers(3000))
  })

  test('a partition is between two hosts; others go on', () => {
    const scene = new Scene()
    const [a] = scene.pair()
    const other = scene.dial(2)
    scene.run(10)
    scene.network.partition(0, 1)
    a.connection.write(latin1Bytes('held'))
    other.end?.connection.write(latin1Bytes('through'))
    scene.run(100)
    expect(scene.accepted.map((end) => end.text)).toEqual(['', 'through'])
  })

  test('some connections break during a partition, each end by itself', () => {
    const scene = new Scene(3, { partitionBreakProbability: 1 })
    const [a, b] = scene.pair()
    scene.network.partition(0, 1)
    scene.run(11_000)
    expect([a.closes, b.closes]).toEqual([['ETIMEDOUT'], ['ETIMEDOUT']])
    expect(scene.network.faults.partitionBreaks).toBe(2)
    expect(scene.network.openConnections).toBe(0)
  })

  test('connecting: refused by a host that is up, timed out by one that is cut off or gone, late if it comes back in time', () => {
    const scene = new Scene()
    scene.network.partition(0, 1, true)
    const cutOff = scene.dial(0, 1000)
    scene.run(2000)
    expect(cutOff.error).toBe('no connection to b:1 in 1000 ms')
    const inTime = scene.dial(0, 1000)
    scene.run(500)
    scene.network.heal()
    scene.run(1000)
    expect(inTime.end).not.toBeNull()
    scene.network.killNode(1, false)
    scene.clocks[1].kill()
    const refused = scene.dial(0, 1000)
    scene.run(100)
    expect(refused.error).toBe('ECONNREFUSED')
    scene.network.forNode(1)
    scene.network.killNode(1, true)
    const off = scene.dial(0, 1000)
    scene.run(2000)
    expect(off.error).toBe('no connection to b:1 in 1000 ms')
  })

  test('who does not read fills the window, then the sender`s buffer; onDrain tells when it is empty again', () => {
    const scene = new Scene(1, { windowBytes: 10_000 })
    const [a, b] = scene.pair()
    b.connection.pause()
    const total = 10_000 + 2 * HIGH_WATER_BYTES
    a.connection.write(numbers(total))
    scene.run(1000)
    expect(a.connection.bufferedBytes).toBe(2 * HIGH_WATER_BYTES)
    expect(b.received).toEqual([])
    expect(a.drains).toBe(0)
    b.connection.resume()
    scene.run(1000)
    expectSame(b.bytes, numbers(total))
    expect(a.connection.bufferedBytes).toBe(0)
    expect(a.drains).toBe(1)
  })

  test('end() delivers, destroy() may lose; both are heard once', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const scene = new Scene(seed)
      const [a, b] = scene.pair()
      a.connection.write(numbers(300_000))
      a.connection.end()
      a.connection.write(latin1Bytes('too late'))
      scene.run(1000)
      expectSame(b.bytes, numbers(300_000))
      expect([a.closes, b.closes]).toEqual([['ended here'], ['closed by the other side']])
      const [c, d] = scene.pair()
      c.connection.write(numbers(1000))
      c.connection.destroy()
      expect(c.closes).toEqual([])
      scene.run(1000)
      expect(c.closes).toEqual(['closed here'])
      expect(d.closes.length).toBe(1)
      expectSame(d.bytes, numbers(1000).subarray(0, d.bytes.length))
      expect(scene.network.openConnections).toBe(0)
    }
  })

  test('a reset loses what is on the way and ends both sides', () => {
    const scene = new Scene()
    const [a, b] = scene.pair()
    a.connection.write(latin1Bytes('lost'))
    expect(scene.network.resetRandomConnection()).toBe(true)
    scene.run(100)
    expect(b.text).toBe('')
    expect([a.closes, b.closes]).toEqual([['ECONNRESET'], ['ECONNRESET']])
    expect(scene.network.resetRandomConnection()).toBe(false)
  })

  test('a killed process is heard of by its peers; its own handlers never run again', () => {
    const scene = new Scene()
    const [a, b] = scene.pair()
    a.connection.write(latin1Bytes('to the dead'))
    scene.network.killNode(1, false)
    scene.clocks[1].kill()
    scene.run(1000)
    expect(a.closes.length).toBe(1)
    expect([b.text, b.closes]).toEqual(['', []])
  })

  test('a machine that goes off leaves its peers half open, until it is back and answers with a reset', () => {
    const scene = new Scene()
    const [a] = scene.pair()
    scene.network.killNode(1, true)
    scene.clocks[1].kill()
    a.connection.write(latin1Bytes('anybody?'))
    scene.run(60_000)
    expect(a.closes).toEqual([])
    scene.clocks[1] = scene.clocks[1].successor()
    scene.network.forNode(1, scene.clocks[1])
    a.connection.write(latin1Bytes('anybody now?'))
    scene.run(100)
    expect(a.closes).toEqual(['ECONNRESET'])
  })

  test('a paused process is connected to, and reads everything once it goes on', () => {
    const scene = new Scene()
    const [a, b] = scene.pair()
    scene.clocks[1].pause()
    const late = scene.dial()
    a.connection.write(latin1Bytes('one '))
    scene.run(50)
    a.connection.write(latin1Bytes('two'))
    a.connection.end()
    scene.run(1000)
    expect(late.end).not.toBeNull()
    expect([b.text, b.closes, scene.accepted.length]).toEqual(['', [], 1])
    scene.clocks[1].resume()
    scene.run(50)
    expect(b.text).toBe('one two')
    expect(b.closes).toEqual(['closed by the other side'])
    expect(scene.accepted.length).toBe(2)
  })

  test('a taken address is refused, a closed one is free, port 0 finds one', () => {
    const scene = new Scene()
    const answers: string[] = []
    const listen = (address: string): void =>
      scene.hosts[2].listen(
        address,
        () => {},
        (error, listener) => {
          answers.push(error?.code ?? listener?.address ?? '')
          if (address === 'c:1') listener?.close(() => answers.push('closed'))
        },
      )
    listen('b:1')
    listen('c:0')
    listen('c:1')
    scene.run(1)
    listen('c:1')
    scene.run(1)
    expect(answers).toEqual(['address-in-use', 'c:40000', 'c:1', 'closed', 'c:1', 'closed'])
  })

  test('the process of a host lives once', () => {
    const scene = new Scene()
    expect(() => scene.network.forNode(1)).toThrow(/still lives/)
  })
})
