// Writes find the active master from any node, and are never sent twice where the first may have been done.
import { expect, test } from 'vitest'
import { asNodeId, type NodeId } from '../../base/brand.ts'
import { BytesReader } from '../../base/bytes.ts'
import { MasterWorld } from '../../master/master-world.testkit.ts'
import type { AdminError } from '../../ports/cluster-admin.ts'
import type { PeerChannel } from '../../ports/peer-channel.ts'
import { decodeNodeCall } from '../../protocol/node-call.ts'
import { PeerCalls } from '../calls/peer-calls.ts'
import { MasterCalls } from './master-calls.ts'

/** Nodes 1 to 3 have the world's masters, node 4 has none. */
class CallWorld {
  readonly world = new MasterWorld(1)
  readonly #calls = new Map<NodeId, PeerCalls>()
  readonly #masters = new Map<NodeId, MasterCalls>()
  /** Messages to this node do not arrive, nor its answers. */
  silent: NodeId | null = null
  cut: NodeId | null = null
  sent = 0

  constructor() {
    const { clock, metadata } = this.world
    for (const self of [1, 2, 3, 4].map(asNodeId)) {
      const store = metadata.open()
      const calls = new PeerCalls(self, clock, this.#channel(self), 1, () => {})
      const master = () => this.world.lives.find(({ isDead, nodeId }) => !isDead && nodeId === self)?.master ?? null
      this.#calls.set(self, calls)
      this.#masters.set(self, new MasterCalls({ self, clock, calls, store: () => store, master }))
    }
  }

  #channel(self: NodeId): PeerChannel {
    const send = (to: NodeId, _lane: number, bytes: Uint8Array): boolean => {
      if (to === this.cut) return false
      const message = decodeNodeCall(new BytesReader(bytes))
      if (message.type === 'call') this.sent++
      if (message.type === 'answer' && self === this.silent) return true
      this.world.clock.after(1, () => this.#calls.get(to)?.onMessage(self, message))
      return true
    }
    return { send } as unknown as PeerChannel
  }

  write(from: number, name: string, args: Record<string, unknown>): { error: AdminError | null; answer: unknown } {
    let result: { error: AdminError | null; answer: unknown } | null = null
    this.#masters.get(asNodeId(from))?.write(name, args, (error, answer) => {
      expect(result).toBeNull()
      result = { error, answer }
    })
    this.world.clock.runUntil(
      () => result !== null,
      20_000,
      () => `${name} has no answer`,
    )
    return result ?? { error: null, answer: null }
  }
}

test('from every node, with a master or without', () => {
  const nodes = new CallWorld()
  nodes.world.untilActive()
  for (const from of [1, 2, 3, 4]) {
    expect(nodes.write(from, 'group-weight', { group: 1, weight: from })).toEqual({ error: null, answer: { group: 1 } })
    expect(nodes.world.snapshot().groups.get(1 as never)?.value.weight).toBe(from)
  }
})

test("the master's refusal comes back as it is", () => {
  const nodes = new CallWorld()
  nodes.world.untilActive()
  expect(nodes.write(4, 'group-weight', { group: 9, weight: 1 }).error).toMatchObject({ code: 'unknown-group' })
})

test('a dead master is followed by the next within the deadline, or the call says that nothing was done', () => {
  const nodes = new CallWorld()
  nodes.world.untilActive()
  const { active } = nodes.world
  if (active !== null) nodes.world.kill(active)
  const { error } = nodes.write(4, 'group-weight', { group: 1, weight: 7 })
  const { weight } = nodes.world.snapshot().groups.get(1 as never)?.value ?? { weight: -1 }
  if (error === null) expect(weight).toBe(7)
  else expect([error.code, weight]).toEqual(['unavailable', 1])
})

test('an answer that is lost is uncertain, and the call was sent once', () => {
  const nodes = new CallWorld()
  nodes.world.untilActive()
  nodes.silent = nodes.world.active?.nodeId ?? null
  expect(nodes.write(4, 'group-weight', { group: 1, weight: 5 }).error).toMatchObject({ code: 'uncertain' })
  expect(nodes.sent).toBe(1)
  expect(nodes.world.snapshot().groups.get(1 as never)?.value.weight).toBe(5)
})

test('an active master that cannot be reached: nothing was done', () => {
  const nodes = new CallWorld()
  nodes.world.untilActive()
  nodes.cut = nodes.world.active?.nodeId ?? null
  const { error } = nodes.write(4, 'group-weight', { group: 1, weight: 5 })
  expect(error).toMatchObject({ code: 'unavailable' })
  expect(error?.message).toContain('cannot be reached')
  expect(nodes.world.snapshot().groups.get(1 as never)?.value.weight).toBe(1)
})
