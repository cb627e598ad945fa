/** What only a simulated network can show: machines that go off, pauses, partitions, and many seeds of all of it. */
import { expect, test } from 'vitest'
import { asNodeId } from '../base/brand.ts'
import { latin1Bytes, latin1Text } from '../base/bytes.ts'
import { LANE_CONSENSUS, LANE_REQUESTS } from '../ports/peer-channel.ts'
import { ALL_LANES, addressOf, introduce, SimWorld, startNode, type TestNode } from './world.testkit.ts'

const ONE = asNodeId(1)
const TWO = asNodeId(2)

async function pair(world: SimWorld): Promise<[TestNode, TestNode]> {
  const one = await startNode(world, ONE)
  const two = await startNode(world, TWO)
  await introduce(world, one, two)
  return [one, two]
}

function run(world: SimWorld, ms: number): void {
  world.scheduler.runUntil(world.scheduler.nowMs + ms)
}

test('a machine that goes off is noticed after the silence time-out, and found again when it is back', async () => {
  const world = new SimWorld()
  const [one, two] = await pair(world)
  const address = addressOf(two)
  world.kill(TWO, true)
  run(world, 2400)
  expect(one.handlers.count('closed')).toBe(0)
  run(world, 1400)
  expect(one.handlers.count('closed')).toBe(3)
  run(world, 60_000)
  const again = await startNode(world, TWO, {
    listenAddress: address,
    incarnation: 2,
    peers: new Map([[ONE, addressOf(one)]]),
  })
  const backAtMs = world.scheduler.nowMs
  await world.until('up', () => ALL_LANES.every((lane) => one.transport.isConnected(TWO, lane)))
  // Called by the restarted node, it need not wait for the end of its own back-off.
  expect(world.scheduler.nowMs - backAtMs).toBeLessThan(50)
  expect(again.handlers.count('open')).toBe(3)
})

test('a node that was stopped for ten seconds does not blame its peers', async () => {
  const world = new SimWorld()
  const [one, two] = await pair(world)
  world.clock(ONE).pause()
  run(world, 10_000)
  // The other side has given it up, as it must.
  expect(two.handlers.count('closed 1')).toBe(3)
  world.clock(ONE).resume()
  await world.until('up again', () => ALL_LANES.every((lane) => one.transport.isConnected(TWO, lane)))
  expect(one.logger.lines.filter((line) => line.includes('silent for')).length).toBe(0)
})

test('a pause below the time-out costs no connection and no message', async () => {
  const world = new SimWorld()
  const [one, two] = await pair(world)
  world.clock(TWO).pause()
  for (let i = 0; i < 20; i++) {
    expect(one.transport.send(TWO, LANE_REQUESTS, latin1Bytes(String(i)))).toBe(true)
    one.transport.flush()
    run(world, 100)
  }
  world.clock(TWO).resume()
  run(world, 1000)
  expect(two.handlers.messages.map((message) => latin1Text(message.bytes))).toEqual(
    Array.from({ length: 20 }, (_, i) => String(i)),
  )
  expect(one.handlers.count('closed') + two.handlers.count('closed')).toBe(0)
})

test('while a peer is cut off its queue stays within the bound', async () => {
  const world = new SimWorld(1, { partitionBreakProbability: 0 })
  const [one] = await pair(world)
  world.network.partition(ONE, TWO)
  let most = 0
  let refused = 0
  for (let i = 0; i < 2000; i++) {
    if (!one.transport.send(TWO, LANE_CONSENSUS, new Uint8Array(20_000))) refused++
    one.transport.flush()
    most = Math.max(most, one.transport.queuedBytes(TWO, LANE_CONSENSUS))
    run(world, 1)
  }
  expect(most).toBeLessThanOrEqual(8 * 1024 * 1024)
  expect(most).toBeGreaterThan(7 * 1024 * 1024)
  expect(refused).toBeGreaterThan(1000)
})

/** Two nodes under every fault for two minutes; checks each stream's order, and that both are connected afterwards. */
async function storm(seed: number): Promise<string> {
  const world = new SimWorld(seed, { spikeProbability: 0.01, spikeMaxMs: 100, splitProbability: 0.3 })
  const [one, two] = await pair(world)
  const random = world.scheduler.random
  const nodes: readonly [TestNode, TestNode][] = [
    [one, two],
    [two, one],
  ]
  let sent = 0
  for (let round = 0; round < 1200; round++) {
    for (const [from, to] of nodes) {
      for (const lane of ALL_LANES) {
        const text = `${String(sent++).padStart(8, '0')}${'.'.repeat(random.below(300))}`
        if (random.chance(0.7)) from.transport.send(to.id, lane, latin1Bytes(text))
      }
      from.transport.flush()
    }
    if (random.chance(0.005)) world.network.partition(ONE, TWO, random.chance(0.5))
    if (random.chance(0.02)) world.network.heal()
    if (random.chance(0.01)) world.network.resetRandomConnection()
    if (random.chance(0.003)) world.clock(ONE).pause()
    if (random.chance(0.02)) world.clock(ONE).resume()
    run(world, 100)
  }
  world.network.heal()
  world.clock(ONE).resume()
  const connected = (): boolean =>
    ALL_LANES.every((lane) => one.transport.isConnected(TWO, lane) && two.transport.isConnected(ONE, lane))
  run(world, 5000)
  await world.until('connected after the storm', connected)
  for (const node of [one, two]) {
    const last = new Map<number, string>()
    expect(node.handlers.messages.length).toBeGreaterThan(500)
    for (const { stream, bytes } of node.handlers.messages) {
      const text = latin1Text(bytes)
      expect(text).toMatch(/^\d{8}\.*$/)
      expect(text.slice(0, 8) > (last.get(stream) ?? '')).toBe(true)
      last.set(stream, text.slice(0, 8))
    }
    expect(node.handlers.count('open') - node.handlers.count('closed')).toBe(3)
    expect(node.logger.has('bad frame')).toBe(false)
  }
  return `${world.scheduler.traceHash} ${world.scheduler.executed} ${JSON.stringify(world.network.faults)}`
}

test('under partitions, resets and pauses order holds in each stream, and the streams come back', async () => {
  for (let seed = 1; seed <= 6; seed++) await storm(seed)
})

test('the same seed is the same storm', async () => {
  expect(await storm(77)).toBe(await storm(77))
})

test('frame chaos on the consensus lane: messages are lost, doubled and reordered, but whole; other lanes are untouched', async () => {
  const world = new SimWorld(5)
  const [one, two] = await pair(world)
  world.network.configure({
    frameDropProbability: 0.1,
    frameDuplicateProbability: 0.1,
    frameReorderProbability: 0.1,
  })
  const sent: string[] = []
  for (let i = 0; i < 1000; i++) {
    sent.push(String(i))
    one.transport.send(TWO, LANE_CONSENSUS, latin1Bytes(String(i)))
    one.transport.send(TWO, LANE_REQUESTS, latin1Bytes(String(i)))
    one.transport.flush()
    run(world, 5)
  }
  run(world, 500)
  const arrived = (lane: number): string[] =>
    two.handlers.messages.filter((message) => message.lane === lane).map((message) => latin1Text(message.bytes))
  expect(arrived(LANE_REQUESTS)).toEqual(sent)
  const consensus = arrived(LANE_CONSENSUS)
  expect(new Set(consensus).size).toBeLessThan(950)
  expect(consensus.length).toBeGreaterThan(new Set(consensus).size)
  const numbers = consensus.map(Number)
  expect(numbers).not.toEqual([...numbers].sort((a, b) => a - b))
  expect(numbers.every((number) => Number.isInteger(number) && number >= 0 && number < 1000)).toBe(true)
  const { framesDropped, framesDuplicated, framesReordered } = world.network.faults
  for (const count of [framesDropped, framesDuplicated, framesReordered]) expect(count).toBeGreaterThan(50)
  expect(one.handlers.count('closed') + two.handlers.count('closed')).toBe(0)
})
