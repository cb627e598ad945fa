import { afterEach, describe, expect, test } from 'vitest'
import { asNodeId } from '../base/brand.ts'
import { latin1Bytes, latin1Text } from '../base/bytes.ts'
import { LANE_CONSENSUS, LANE_IMAGES, LANE_REQUESTS } from '../ports/peer-channel.ts'
import {
  decodeRefusal,
  encodeHelloFrame,
  encodePingFrame,
  FRAME_HELLO,
  FRAME_PONG,
  FRAME_REFUSAL,
  type Hello,
  MAX_MESSAGE_BYTES,
  MESSAGE_OVERHEAD_BYTES,
  PROTOCOL_VERSION,
} from '../protocol/frame.ts'
import {
  ALL_LANES,
  addressOf,
  introduce,
  RawConnection,
  RealWorld,
  rawListen,
  SimWorld,
  startNode,
  stopNode,
  TEST_CLUSTER_ID,
  TEST_TOKEN,
  type TestNode,
  type World,
} from './world.testkit.ts'

const ONE = asNodeId(1)
const TWO = asNodeId(2)
/** A host without a transport, for bare connections. */
const STRANGER = 9
const MIB = 1024 * 1024

const GOOD_HELLO: Hello = {
  protocolVersion: PROTOCOL_VERSION,
  lane: LANE_CONSENSUS,
  from: TWO,
  to: ONE,
  clusterId: TEST_CLUSTER_ID,
  incarnation: 7,
  authentication: TEST_TOKEN,
}

const worlds: [string, () => World][] = [
  ['TCP', () => new RealWorld()],
  ['simulation', () => new SimWorld()],
]

describe.each(worlds)('PeerTransport over %s', (_name, makeWorld) => {
  const running: TestNode[] = []
  let world: World

  async function start(id: TestNode['id'], options: Parameters<typeof startNode>[2] = {}): Promise<TestNode> {
    if (running.length === 0) world = makeWorld()
    const node = await startNode(world, id, options)
    running.push(node)
    return node
  }

  async function pair(options: Parameters<typeof startNode>[2] = {}): Promise<[TestNode, TestNode]> {
    const one = await start(ONE, options)
    const two = await start(TWO, options)
    await introduce(world, one, two)
    return [one, two]
  }

  afterEach(async () => {
    for (const node of running.splice(0)) await stopNode(world, node)
    world.close()
  })

  test('messages arrive whole, once, in their order, on every lane and both ways', async () => {
    const [one, two] = await pair()
    for (let round = 0; round < 50; round++) {
      for (const lane of ALL_LANES) {
        for (let i = 0; i < 4; i++) {
          const text = `${lane}:${round * 4 + i}:${'x'.repeat((round * 997 * i) % 5000)}`
          expect(one.transport.send(TWO, lane, latin1Bytes(text))).toBe(true)
          expect(two.transport.send(ONE, lane, latin1Bytes(text))).toBe(true)
        }
      }
      one.transport.flush()
      two.transport.flush()
    }
    await world.until('all arrived', () => one.handlers.messages.length >= 600 && two.handlers.messages.length >= 600)
    for (const [node, from] of [
      [one, TWO],
      [two, ONE],
    ] as const) {
      for (const lane of ALL_LANES) {
        const arrived = node.handlers.messages.filter((message) => message.lane === lane)
        expect(arrived.map((message) => Number(latin1Text(message.bytes).split(':')[1]))).toEqual(
          Array.from({ length: 200 }, (_, i) => i),
        )
        expect(new Set(arrived.map((message) => message.stream)).size).toBe(1)
        expect(arrived.every((message) => message.from === from)).toBe(true)
      }
      expect(new Set(node.handlers.messages.map((message) => message.stream)).size).toBe(3)
    }
  })

  test('empty messages and the largest one pass', async () => {
    const [one, two] = await pair()
    const large = new Uint8Array(MAX_MESSAGE_BYTES).map((_, i) => i * 31)
    for (const bytes of [new Uint8Array(0), large, new Uint8Array(0)]) {
      expect(one.transport.send(TWO, LANE_REQUESTS, bytes)).toBe(true)
    }
    one.transport.flush()
    await world.until('arrived', () => two.handlers.messages.length === 3)
    expect(two.handlers.messages.map((message) => message.bytes.length)).toEqual([0, large.length, 0])
    expect(Buffer.compare(two.handlers.messages[1].bytes, large)).toBe(0)
    expect(() => one.transport.send(TWO, LANE_REQUESTS, new Uint8Array(MAX_MESSAGE_BYTES + 1))).toThrow(
      /MAX_MESSAGE_BYTES/,
    )
  })

  test('one flush is one write, whatever was sent; without messages it is none', async () => {
    const [one, two] = await pair()
    const writes = one.network.writes
    const frames = one.transport.counters.framesSent
    for (let i = 0; i < 1000; i++) one.transport.send(TWO, LANE_CONSENSUS, new Uint8Array(100))
    expect(one.network.writes).toBe(writes)
    expect(one.transport.queuedBytes(TWO, LANE_CONSENSUS)).toBe(1000 * (100 + MESSAGE_OVERHEAD_BYTES))
    one.transport.flush()
    expect(one.network.writes).toBe(writes + 1)
    expect(one.transport.counters.framesSent).toBe(frames + 1)
    one.transport.flush()
    expect(one.network.writes).toBe(writes + 1)
    // More than a frame should hold: several frames, still one write.
    for (let i = 0; i < 20; i++) one.transport.send(TWO, LANE_CONSENSUS, new Uint8Array(50_000))
    one.transport.flush()
    expect(one.network.writes).toBe(writes + 2)
    expect(one.transport.counters.framesSent).toBe(frames + 1 + 4)
    await world.until('arrived', () => two.handlers.messages.length === 1020)
  })

  test('the consensus lane brings the sender`s wall clock, the others do not', async () => {
    const [one, two] = await pair()
    two.handlers.clocks.length = 0
    one.transport.send(TWO, LANE_REQUESTS, new Uint8Array(1))
    one.transport.flush()
    await world.until('request arrived', () => two.handlers.messages.length === 1)
    const before = two.handlers.clocks.length
    const sentAtMs = one.clock.wallMs()
    one.transport.send(TWO, LANE_CONSENSUS, new Uint8Array(1))
    one.transport.flush()
    await world.until('arrived', () => two.handlers.messages.length === 2)
    const samples = two.handlers.clocks.slice(before)
    expect(samples.length).toBeGreaterThan(0)
    for (const sample of samples) {
      expect(sample.from).toBe(ONE)
      expect(Math.abs(sample.wallMs - sentAtMs)).toBeLessThan(1000)
    }
  })

  test('an idle connection stays up and keeps bringing clocks', async () => {
    const [one, two] = await pair({ limits: { pingIntervalMs: 40, silenceTimeoutMs: 300 } })
    const from = two.clock.monotonicMs()
    const samples = two.handlers.clocks.length
    await world.until('idle for a while', () => two.clock.monotonicMs() - from > 1500)
    expect(one.handlers.count('closed')).toBe(0)
    expect(two.handlers.count('closed')).toBe(0)
    expect(two.handlers.clocks.length).toBeGreaterThan(samples + 5)
  })

  test('a peer that does not read costs its bound and no more; sends are refused, then welcome again', async () => {
    const one = await start(ONE)
    const { network } = world.process(STRANGER)
    const raws: RawConnection[] = []
    const listener = await rawListen(world, network, world.listenAddress(STRANGER), (raw) => raws.push(raw))
    one.transport.setPeer(TWO, listener.address)
    await world.until('three HELLOs', () => raws.length === 3 && raws.every((raw) => raw.frames.length > 0))
    for (const raw of raws) {
      const lane = raw.frames[0].payload[10]
      raw.connection.write(encodeHelloFrame({ ...GOOD_HELLO, lane }))
      raw.connection.pause()
    }
    await world.until('streams open', () => one.handlers.count('open 2') === 3)
    const bounds = [8 * MIB, 16 * MIB, 4 * MIB]
    for (const lane of ALL_LANES) {
      let refused = false
      for (let i = 0; i < 100_000 && !refused; i++) {
        refused = !one.transport.send(TWO, lane, new Uint8Array(20_000))
        one.transport.flush()
      }
      expect(refused).toBe(true)
      expect(one.transport.queuedBytes(TWO, lane)).toBeLessThanOrEqual(bounds[lane])
      expect(one.transport.queuedBytes(TWO, lane)).toBeGreaterThan(bounds[lane] - 100_000)
    }
    expect(one.handlers.count('writable')).toBe(0)
    for (const raw of raws) raw.connection.resume()
    await world.until('room again', () => ALL_LANES.every((lane) => one.handlers.count(`writable 2/${lane}`) === 1))
    expect(ALL_LANES.every((lane) => one.transport.send(TWO, lane, new Uint8Array(20_000)))).toBe(true)
    expect(one.handlers.count('closed')).toBe(0)
    listener.close(() => {})
    for (const raw of raws) raw.connection.destroy()
  })

  test('a slow reader that still takes bytes is no dead one', async () => {
    const one = await start(ONE, { limits: { pingIntervalMs: 40, silenceTimeoutMs: 600 } })
    const { network, clock } = world.process(STRANGER)
    const raws: RawConnection[] = []
    const listener = await rawListen(world, network, world.listenAddress(STRANGER), (raw) => raws.push(raw))
    one.transport.setPeer(TWO, listener.address)
    await world.until('three HELLOs', () => raws.length === 3 && raws.every((raw) => raw.frames.length > 0))
    const requests = raws.find((raw) => raw.frames[0].payload[10] === LANE_REQUESTS)
    if (requests === undefined) throw new Error('no connection for the requests lane')
    requests.connection.write(encodeHelloFrame({ ...GOOD_HELLO, lane: LANE_REQUESTS }))
    await world.until('open', () => one.transport.isConnected(TWO, LANE_REQUESTS))
    while (one.transport.send(TWO, LANE_REQUESTS, new Uint8Array(100_000))) one.transport.flush()
    // One read every 10 ms, and no answer.
    let reading = true
    requests.afterRead = () => {
      requests.connection.pause()
      clock.setTimer(10, () => {
        if (reading) requests.connection.resume()
      })
    }
    const from = clock.monotonicMs()
    await world.until('a second of slow reading', () => clock.monotonicMs() - from > 1000)
    expect(one.transport.queuedBytes(TWO, LANE_REQUESTS)).toBeGreaterThan(0)
    expect(one.handlers.count('closed 2/1')).toBe(0)
    // And once it reads no more, it is one.
    reading = false
    await world.until('given up', () => one.handlers.count('closed 2/1') === 1)
    expect(one.logger.has('silent for 600 ms')).toBe(true)
    listener.close(() => {})
    for (const raw of raws) raw.connection.destroy()
  })

  test('sends to a peer that is away are refused at once; unknown peers too; the node itself is a bug', async () => {
    const one = await start(ONE)
    expect(one.transport.send(TWO, LANE_REQUESTS, new Uint8Array(1))).toBe(false)
    one.transport.setPeer(TWO, '127.0.0.1:1')
    expect(one.transport.send(TWO, LANE_REQUESTS, new Uint8Array(1))).toBe(false)
    expect(one.transport.queuedBytes(TWO, LANE_REQUESTS)).toBe(0)
    expect(() => one.transport.send(ONE, LANE_REQUESTS, new Uint8Array(1))).toThrow(/node itself/)
    expect(() => one.transport.setPeer(ONE, '127.0.0.1:1')).toThrow(/itself/)
  })

  test('after a restart of the peer the streams come back with new numbers, closed before opened', async () => {
    const [one, two] = await pair()
    const address = addressOf(two)
    await stopNode(world, two)
    running.pop()
    await world.until('all closed', () => one.handlers.count('closed 2') === 3)
    expect(one.transport.isConnected(TWO, LANE_CONSENSUS)).toBe(false)
    if (world instanceof SimWorld) world.kill(TWO, false)
    const again = await start(TWO, {
      listenAddress: address,
      incarnation: 2,
      peers: new Map([[ONE, addressOf(one)]]),
    })
    await world.until('open again', () => ALL_LANES.every((lane) => one.transport.isConnected(TWO, lane)))
    for (const lane of ALL_LANES) {
      const events = one.handlers.events.filter((event) => event.includes(`2/${lane} `))
      expect(events.map((event) => event.split(' ')[0])).toEqual(['open', 'closed', 'open'])
      expect(new Set(events.map((event) => event.split('#')[1])).size).toBe(2)
    }
    one.transport.send(TWO, LANE_CONSENSUS, latin1Bytes('hello again'))
    one.transport.flush()
    await world.until('arrived', () => again.handlers.messages.length === 1)
    expect(two.handlers.messages.length).toBe(0)
  })

  test('a peer that is away is called with exponential back-off and jitter, 50 ms to 2 s', async () => {
    const one = await start(ONE)
    const dials = one.network.dialledAtMs
    one.transport.setPeer(TWO, '127.0.0.1:1')
    // Back-offs of 50, 100, ... 1,600, 2,000, 2,000 ms, each between half and the whole; virtual time sees them all.
    const waits = world instanceof SimWorld ? [50, 100, 200, 400, 800, 1600, 2000, 2000] : [50, 100, 200, 400]
    const calls = 3 * (waits.length + 1)
    await world.until('the last call', () => dials.length >= calls)
    const shortestMs = waits.reduce((sum, waitMs) => sum + waitMs / 2, 0)
    expect(dials[calls - 1] - dials[0]).toBeGreaterThan(shortestMs)
    expect(dials[calls - 1] - dials[0]).toBeLessThan(2 * shortestMs + 500)
    expect(one.logger.lines.filter((line) => line.includes('peer not reachable')).length).toBe(3)
  })

  test('a peer that calls is called back at once, however long the back-off is', async () => {
    const early = await start(ONE)
    const address = addressOf(early)
    await stopNode(world, early)
    running.pop()
    if (world instanceof SimWorld) world.kill(ONE, false)
    const patient = { limits: { backoffMinMs: 600_000, backoffMaxMs: 600_000 } }
    const two = await start(TWO, { ...patient, peers: new Map([[ONE, address]]) })
    await world.until('not reachable', () => two.logger.lines.filter((line) => line.includes('not reach')).length === 3)
    const one = await start(ONE, { listenAddress: address, peers: new Map([[TWO, addressOf(two)]]) })
    const up = (): boolean =>
      ALL_LANES.every((lane) => one.transport.isConnected(TWO, lane) && two.transport.isConnected(ONE, lane))
    await world.until('both up', up)
    expect(two.network.dialledAtMs.length).toBe(6)
  })

  test.each([
    ['another cluster', { clusterId: new Uint8Array(16) }, 'is not this cluster'],
    ['another token', { authToken: Uint8Array.of(1, 2, 4) }, 'authentication token'],
    ['no token', { authToken: new Uint8Array(0) }, 'authentication token'],
  ])('a node of %s is refused, and both sides log why', async (_what, options, reason) => {
    const one = await start(ONE)
    const two = await start(TWO, options)
    one.transport.setPeer(TWO, addressOf(two))
    two.transport.setPeer(ONE, addressOf(one))
    await world.until('refused', () => one.logger.has(reason) && two.logger.has(reason))
    expect(one.logger.has('peer connection refused')).toBe(true)
    expect(one.handlers.events).toEqual([])
    expect(two.handlers.events).toEqual([])
  })

  test('who answers under another node`s address is refused', async () => {
    const one = await start(ONE)
    const three = await start(asNodeId(3))
    three.transport.setPeer(ONE, addressOf(one))
    one.transport.setPeer(TWO, addressOf(three))
    await world.until('refused', () => one.logger.has('node 2 was called, this is node 3'))
    // Three calls one, but one knows no node 3.
    await world.until('unknown', () => three.logger.has('node 3 is no peer of node 1'))
    expect(one.handlers.events).toEqual([])
    expect(three.handlers.events).toEqual([])
  })

  test('a newer protocol or frame version is refused with a reason that both can read', async () => {
    const one = await start(ONE, { peers: new Map([[TWO, '127.0.0.1:1']]) })
    const { network } = world.process(STRANGER)
    const newer = await RawConnection.dial(world, network, addressOf(one))
    newer.connection.write(encodeHelloFrame({ ...GOOD_HELLO, protocolVersion: PROTOCOL_VERSION + 1 }))
    await world.until('refused', () => newer.closed)
    expect(newer.frames.map((frame) => frame.kind)).toEqual([FRAME_REFUSAL])
    expect(decodeRefusal(newer.frames[0].payload)).toEqual({
      code: 'version',
      text: 'protocol version 2 is newer than version 1 spoken here',
    })
    expect(one.logger.has('protocol version 2 is newer')).toBe(true)
    expect(one.transport.counters.connectionsRefused).toBe(1)
  })

  test('who says nothing, or garbage, is shown out; who is known goes on', async () => {
    const [one, two] = await pair({ limits: { handshakeTimeoutMs: 200, pingIntervalMs: 50 } })
    const { network } = world.process(STRANGER)
    const silent = await RawConnection.dial(world, network, addressOf(one))
    const rude = await RawConnection.dial(world, network, addressOf(one))
    rude.connection.write(latin1Bytes('*1\r\n$4\r\nPING\r\n'))
    await world.until('both closed', () => silent.closed && rude.closed)
    expect(one.logger.has('no HELLO in 200 ms')).toBe(true)
    expect(one.logger.has('at most 4096 are taken')).toBe(true)
    expect(one.handlers.count('closed')).toBe(0)
    two.transport.send(ONE, LANE_CONSENSUS, latin1Bytes('still here'))
    two.transport.flush()
    await world.until('arrived', () => one.handlers.messages.length === 1)
  })

  test('a flipped bit on the way ends that connection only, and no wrong message is seen', async () => {
    const [one, two] = await pair()
    const { network } = world.process(STRANGER)
    const raw = await RawConnection.dial(world, network, addressOf(one))
    one.transport.setPeer(asNodeId(3), '127.0.0.1:1')
    const hello = encodeHelloFrame({ ...GOOD_HELLO, from: asNodeId(3) })
    raw.connection.write(hello)
    await world.until('HELLO', () => raw.frames.some((frame) => frame.kind === FRAME_HELLO))
    const broken = hello.slice()
    broken[20] ^= 4
    raw.connection.write(broken)
    await world.until('closed', () => raw.closed)
    expect(one.logger.has('checksum')).toBe(true)
    expect(one.handlers.messages).toEqual([])
    expect(one.handlers.count('closed')).toBe(0)
    expect(two.handlers.count('closed')).toBe(0)
  })

  test('PINGs are answered; a second HELLO, or PONG from a caller, is out of order', async () => {
    const one = await start(ONE, { peers: new Map([[TWO, '127.0.0.1:1']]) })
    const { network } = world.process(STRANGER)
    const raw = await RawConnection.dial(world, network, addressOf(one))
    raw.connection.write(encodeHelloFrame(GOOD_HELLO))
    raw.connection.write(encodeHelloFrame(GOOD_HELLO))
    await world.until('closed', () => raw.closed)
    expect(raw.frames.map((frame) => frame.kind)).toEqual([FRAME_HELLO, FRAME_REFUSAL])
    expect(one.logger.has('unexpected frame of kind 1')).toBe(true)
  })

  test('a half-open connection ends within the silence time-out', async () => {
    const one = await start(ONE, { limits: { pingIntervalMs: 50, silenceTimeoutMs: 300 } })
    const { network } = world.process(STRANGER)
    const raws: RawConnection[] = []
    // Answers HELLO, then nothing: no PONG, no end.
    const listener = await rawListen(world, network, world.listenAddress(STRANGER), (raw) => raws.push(raw))
    one.transport.setPeer(TWO, listener.address)
    await world.until('three HELLOs', () => raws.length >= 3 && raws.every((raw) => raw.frames.length > 0))
    for (const raw of raws) raw.connection.write(encodeHelloFrame({ ...GOOD_HELLO, lane: raw.frames[0].payload[10] }))
    await world.until('open', () => one.handlers.count('open') === 3)
    const openedAtMs = one.clock.monotonicMs()
    await world.until('closed', () => one.handlers.count('closed') === 3)
    expect(one.clock.monotonicMs() - openedAtMs).toBeGreaterThanOrEqual(250)
    expect(one.clock.monotonicMs() - openedAtMs).toBeLessThan(1500)
    expect(one.logger.has('silent for 300 ms')).toBe(true)
    // The other way round: a caller that falls silent.
    const caller = await RawConnection.dial(world, network, addressOf(one))
    caller.connection.write(encodeHelloFrame(GOOD_HELLO))
    await world.until('caller closed', () => caller.closed)
    expect(one.logger.lines.some((line) => /peer connection closed.*silent for 300 ms/.test(line))).toBe(true)
    listener.close(() => {})
    for (const raw of raws) raw.connection.destroy()
  })

  test('a thousand PINGs in one write do not bring a thousand PONGs', async () => {
    const one = await start(ONE, { peers: new Map([[TWO, '127.0.0.1:1']]) })
    const { network } = world.process(STRANGER)
    const raw = await RawConnection.dial(world, network, addressOf(one))
    raw.connection.write(encodeHelloFrame(GOOD_HELLO))
    raw.connection.writeMany(Array.from({ length: 1000 }, (_, i) => encodePingFrame(i)))
    await world.until('all taken', () => one.handlers.clocks.length === 1000)
    await world.until('PONG', () => raw.frames.some((frame) => frame.kind === FRAME_PONG))
    expect(raw.frames.length).toBeLessThan(100)
    raw.connection.destroy()
  })

  test('the newest connection of a peer and lane counts', async () => {
    const one = await start(ONE, { peers: new Map([[TWO, '127.0.0.1:1']]) })
    const { network } = world.process(STRANGER)
    const first = await RawConnection.dial(world, network, addressOf(one))
    first.connection.write(encodeHelloFrame(GOOD_HELLO))
    await world.until('HELLO', () => first.frames.length === 1)
    const second = await RawConnection.dial(world, network, addressOf(one))
    second.connection.write(encodeHelloFrame({ ...GOOD_HELLO, incarnation: 8 }))
    await world.until('replaced', () => first.closed && second.frames.length === 1)
    const third = await RawConnection.dial(world, network, addressOf(one))
    third.connection.write(encodeHelloFrame({ ...GOOD_HELLO, incarnation: 9, lane: LANE_IMAGES }))
    await world.until('older process', () => second.closed)
    expect(one.logger.has('the peer is a new process')).toBe(true)
    expect(third.closed).toBe(false)
    third.connection.destroy()
  })

  test('strangers are bounded', async () => {
    const one = await start(ONE, { limits: { maxStrangers: 3 } })
    const { network } = world.process(STRANGER)
    const raws: RawConnection[] = []
    for (let i = 0; i < 6; i++) raws.push(await RawConnection.dial(world, network, addressOf(one)))
    await world.until('the surplus is closed', () => raws.filter((raw) => raw.closed).length === 3)
    for (const raw of raws) raw.connection.destroy()
  })

  test('a new address is called at once, a removed peer no more', async () => {
    const [one, two] = await pair()
    const three = await start(asNodeId(3))
    three.transport.setPeer(ONE, addressOf(one))
    one.transport.setPeer(asNodeId(3), '127.0.0.1:1')
    one.transport.setPeer(asNodeId(3), addressOf(three))
    await world.until('three is up', () => one.transport.isConnected(asNodeId(3), LANE_IMAGES))
    two.transport.removePeer(ONE)
    one.transport.removePeer(TWO)
    expect(one.transport.send(TWO, LANE_CONSENSUS, new Uint8Array(1))).toBe(false)
    const dials = one.network.dialledAtMs.length
    const from = one.clock.monotonicMs()
    await world.until('some time', () => one.clock.monotonicMs() - from > 300)
    expect(one.network.dialledAtMs.length).toBe(dials)
    expect(one.transport.isConnected(asNodeId(3), LANE_CONSENSUS)).toBe(true)
  })

  test('what was flushed before stop() arrives; after it no handler runs', async () => {
    const [one, two] = await pair()
    for (let i = 0; i < 100; i++) one.transport.send(TWO, LANE_REQUESTS, new Uint8Array(10_000))
    await stopNode(world, one)
    const events = one.handlers.events.length
    await world.until('arrived', () => two.handlers.messages.length === 100)
    await world.until('noticed', () => two.handlers.count('closed') === 3)
    expect(one.handlers.events.length).toBe(events)
    expect(one.transport.isConnected(TWO, LANE_REQUESTS)).toBe(false)
    expect(() => one.transport.flush()).not.toThrow()
  })

  test('a taken port is told', async () => {
    const one = await start(ONE)
    const other = world.process(STRANGER)
    let code = ''
    other.network.listen(
      addressOf(one),
      () => {},
      (error) => {
        code = error?.code ?? 'none'
      },
    )
    await world.until('answer', () => code !== '')
    expect(code).toBe('address-in-use')
  })
})
