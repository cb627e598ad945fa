// A router whose slot moves from one group to the other and back while requests are under way: in order, once each, and no client hears of it.
import { describe, expect, it } from 'vitest'
import { present } from '../base/assert.ts'
import { asGroupId, asNodeId, asSlotId, type NodeId } from '../base/brand.ts'
import { BytesReader, latin1Bytes, latin1Text } from '../base/bytes.ts'
import type { KvDriver } from '../kv/kv-driver.testkit.ts'
import { MoveWorld, move } from '../kv/moves/move-world.testkit.ts'
import type { PeerChannel } from '../ports/peer-channel.ts'
import { encodeCommand } from '../protocol/command.ts'
import { COMMANDS_BY_NAME } from '../protocol/command-table.ts'
import { decodeRequestMessage, OUTCOME_REPLY, REQUEST_WRITE } from '../protocol/request-message.ts'
import { Scheduler } from '../simulation/scheduler.ts'
import { SimClock } from '../simulation/sim-clock.ts'
import { Router } from './request-router.ts'
import { SlotRoutes } from './slot-routes.ts'

const [A, B] = [asGroupId(2), asGroupId(3)]

function command(...words: string[]): Uint8Array {
  const spec = present(COMMANDS_BY_NAME.get(words[0].toLowerCase()), words[0])
  return encodeCommand(spec.opcode, words.slice(1).map(latin1Bytes))
}

/** Two groups of one node each, on nodes 2 and 3; node 1 has the router. */
class DetourWorld {
  readonly scheduler: Scheduler
  readonly clock: SimClock
  readonly groups: MoveWorld
  readonly routes = new SlotRoutes([A])
  readonly router: Router
  /** A message that is lost now and then: its attempt ends in silence. */
  lossRate = 0
  #reconfigId = 0
  readonly #deadEpochs = new Set<string>()
  readonly #lastArrivalMs = new Map<number, number>()

  constructor(seed: number) {
    this.scheduler = new Scheduler(seed)
    this.clock = new SimClock(this.scheduler, { label: 'router' })
    this.groups = new MoveWorld({ slotCount: 1, ownedSlots: [[0, 0]] })
    // The peer that each side names is the other group.
    this.router = new Router(
      {
        self: asNodeId(1),
        slotCount: 1,
        incarnation: 1,
        requestDeadlineMs: 30_000,
        maxUnanswered: 1000,
        maxUnansweredBytes: 1 << 20,
        maxCommandBytes: 1 << 16,
      },
      this.clock,
      this.#channel(),
      {
        groupOf: (slot) => this.routes.groupOf(slot),
        replica: () => undefined,
        nodesOf: (group) => [asNodeId(group)],
        epochOf: (slot) => this.routes.epochOf(slot),
        learned: (slot, group, reconfigId, serves) => this.routes.learned(slot, group, reconfigId, serves),
        doubted: (slot) => this.routes.doubted(slot),
      },
      () => {},
    )
    this.router.start()
  }

  #channel(): PeerChannel {
    return {
      send: (to, _lane, bytes) => {
        this.#deliver(to, bytes.slice())
        return true
      },
      flush: () => {},
      isConnected: () => true,
      queuedBytes: () => 0,
    }
  }

  /** In order from and to one node, as over a connection. */
  #deliver(node: NodeId, bytes: Uint8Array): void {
    this.#inOrder(node, () => {
      const message = decodeRequestMessage(new BytesReader(bytes))
      if (message.type !== 'request') throw new Error('not a request')
      // What follows a lost message of an epoch is refused by its receiver; here it is lost, too.
      const epochs = this.#deadEpochs
      const name = `${message.group}/${message.epoch}`
      if (this.scheduler.random.chance(this.lossRate)) epochs.add(name)
      if (epochs.has(name)) return
      const driver = message.group === A ? this.groups.source : this.groups.destination
      const reply =
        message.kind === REQUEST_WRITE
          ? driver.applyPayload(message.body)
          : driver.queryBytes(message.body, driver.machine.logTimeMs, message.slot, message.slotEpoch)
      const { group, epoch, id } = message
      const response = { type: 'response', group, epoch, id, outcome: OUTCOME_REPLY, leader: node } as const
      this.#inOrder(-node, () => this.router.onResponse({ ...response, reply: latin1Bytes(reply) }))
    })
  }

  #inOrder(way: number, arrive: () => void): void {
    const { nowMs, random } = this.scheduler
    const atMs = Math.max(nowMs + 0.1 + random.unit(), (this.#lastArrivalMs.get(way) ?? 0) + 0.001)
    this.#lastArrivalMs.set(way, atMs)
    this.scheduler.after(atMs - nowMs, 'message', arrive)
  }

  run(milliseconds: number): void {
    this.scheduler.runUntil(this.scheduler.nowMs + milliseconds)
  }

  /** From whoever owns the slot to the other; `gapMs`: how long nobody serves it. */
  moveSlot(gapMs: number): void {
    const id = ++this.#reconfigId
    const forward = this.groups.source.machine.slots.owns(0)
    const [from, to] = forward
      ? [this.groups.source, this.groups.destination]
      : [this.groups.destination, this.groups.source]
    const run = { first: asSlotId(0), last: asSlotId(0), predecessor: from.machine.slots.lastReconfig(asSlotId(0)) }
    const begin = { reconfigId: id, fence: 1, slots: [run] }
    const peer = { group: forward ? B : A, nodes: [] }
    move(from, { kind: 'begin-source', ...begin, peer })
    move(to, { kind: 'begin-destination', ...begin, peer })
    this.#stage(from, to, id, 0)
    const { index } = move(from, { kind: 'disable', reconfigId: id })
    this.run(gapMs)
    this.#stage(from, to, id, index)
    const enable = { kind: 'enable', reconfigId: id, disableIndex: index, sourceLogTimeMs: 0 } as const
    expect(move(to, enable).outcome).toBe('done')
    this.run(gapMs)
    // The slot table comes last, and before the source forgets.
    this.routes.publish(asSlotId(0), peer.group, id)
    move(from, { kind: 'forget', reconfigId: id })
  }

  #stage(from: KvDriver, to: KvDriver, reconfigId: number, throughIndex: number): void {
    for (let round = 0; round < 1000; round++) {
      const open = present(
        to.machine.moves.find((candidate) => candidate.reconfigId === reconfigId),
        'the move has begun',
      )
      const part = from.machine.readPart(reconfigId, asSlotId(0), open.slots[0].cursor, throughIndex, 500)
      if (part === null) return
      expect(move(to, { kind: 'stage', reconfigId, parts: [part] }).outcome).toBe('done')
    }
    throw new Error('staging does not end')
  }
}

describe('requests for a slot on the move', () => {
  it.each([0, 0.005])('keep their order and run once, with %f of the messages lost', (lossRate) => {
    for (let seed = 1; seed <= 10; seed++) {
      const world = new DetourWorld(seed)
      const { random } = world.scheduler
      world.lossRate = lossRate
      const replies: (string | null)[] = []
      let sent = 0
      for (let step = 0; step < 60; step++) {
        for (let i = random.below(8); i > 0; i--) {
          const at = sent++
          replies.push(null)
          world.router.write(asSlotId(0), command('APPEND', 'k', `${at},`), (reply) => {
            replies[at] = latin1Text(reply)
          })
        }
        world.run(random.unit() * 3)
        if (random.chance(0.2)) world.moveSlot(random.unit() * 40)
      }
      world.run(35_000)
      const expected = Array.from({ length: sent }, (_, at) => `${at},`).join('')
      let length = 0
      for (let at = 0; at < sent; at++) {
        length += `${at},`.length
        expect(replies[at], `seed ${seed}: request ${at}`).toBe(`:${length}\r\n`)
      }
      let value = ''
      world.router.read(asSlotId(0), command('GET', 'k'), 'linearizable', true, (reply) => {
        value = latin1Text(reply)
      })
      world.run(5000)
      expect(value).toBe(`$${expected.length}\r\n${expected}\r\n`)
      expect(world.router.outstandingRequests()).toBe(0)
    }
  })

  it('wait until the new owner serves, and go there without asking the old one again', () => {
    const world = new DetourWorld(1)
    let reply: string | null = null
    world.clock.setTimer(10, () => {
      world.router.write(asSlotId(0), command('SET', 'k', 'v'), (bytes) => {
        reply = latin1Text(bytes)
      })
    })
    world.moveSlot(100)
    expect(reply).toBe('+OK\r\n')
    expect(world.routes.groupOf(asSlotId(0))).toBe(B)
  })

  it('are answered when their time is over while nobody serves the slot', () => {
    const world = new DetourWorld(1)
    const replies: string[] = []
    world.clock.setTimer(10, () => {
      for (let i = 0; i < 3; i++)
        world.router.write(asSlotId(0), command('SET', 'k', 'v'), (bytes) => replies.push(latin1Text(bytes)))
    })
    world.moveSlot(31_000)
    expect(replies.map((text) => text.split(' ')[0])).toEqual(['-CLUSTERDOWN', '-CLUSTERDOWN', '-CLUSTERDOWN'])
    expect(world.router.outstandingRequests()).toBe(0)
  })
})

describe('SlotRoutes', () => {
  const slot = asSlotId(0)

  it('follows the latest of table and groups', () => {
    const routes = new SlotRoutes([A])
    expect([routes.groupOf(slot), routes.epochOf(slot)]).toEqual([A, 0])
    routes.learned(slot, B, 5, false)
    expect(routes.groupOf(slot)).toBe(B)
    expect(routes.epochOf(slot)).toBe(0xffff_ffff)
    routes.learned(slot, A, 4, true)
    routes.learned(slot, B, 5, true)
    routes.learned(slot, B, 5, false)
    expect([routes.groupOf(slot), routes.epochOf(slot)]).toEqual([B, 5])
    routes.publish(slot, A, 3)
    expect(routes.groupOf(slot)).toBe(B)
    routes.publish(slot, B, 5)
    routes.publish(slot, A, 4)
    expect([routes.groupOf(slot), routes.epochOf(slot)]).toEqual([B, 5])
    routes.learned(slot, A, 5, false)
    expect(routes.groupOf(slot)).toBe(B)
  })

  it('goes back to the table where what was said proves wrong', () => {
    const routes = new SlotRoutes([A])
    routes.learned(slot, B, 5, false)
    routes.doubted(slot)
    expect([routes.groupOf(slot), routes.epochOf(slot)]).toEqual([A, 0])
    routes.learned(slot, A, 5, true)
    expect([routes.groupOf(slot), routes.epochOf(slot)]).toEqual([A, 5])
  })
})
