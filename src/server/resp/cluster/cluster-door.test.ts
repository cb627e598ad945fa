import { describe, expect, it } from 'vitest'
import { latin1Bytes } from '../../../base/bytes.ts'
import { redisSlot } from '../../../base/slot.ts'
import { DoorWorld, type DoorWorldOptions, type TestClient } from '../door.testkit.ts'
import type { RouterCall } from '../memory-router.testkit.ts'
import { encodeRequest } from '../tcp-door.testkit.ts'
import { TestClusterView } from './cluster-view.testkit.ts'

interface ClusterWorld {
  readonly view: TestClusterView
  readonly world: DoorWorld
  readonly client: TestClient
  readonly calls: RouterCall[]
  ask(...words: string[]): string
}

/** Node 1 of three, which leads group 1 of three: Redis slots 0..5471. */
function clusterWorld(options: DoorWorldOptions = {}): ClusterWorld {
  const view = new TestClusterView(1, 3, 3)
  const calls: RouterCall[] = []
  const world = new DoorWorld({
    router: { onCall: (call) => calls.push(call) },
    ...options,
    server: { view, places: view, ...options.server },
  })
  const client = world.connect()
  return { view, world, client, calls, ask: (...words) => client.exchange(encodeRequest(words)) }
}

/** A key of the group, from the n-th on. */
function keyOf(view: TestClusterView, group: number, n = 0): string {
  for (let i = n; ; i++) {
    const key = `key:${i}`
    if (view.owners[Math.floor(redisSlot(latin1Bytes(key)) / 16)] === group) return key
  }
}

const slotOfKey = (key: string): number => redisSlot(latin1Bytes(key))

describe('commands with keys', () => {
  it('run where their slot is led, and are sent elsewhere else', () => {
    const { view, ask } = clusterWorld()
    const here = keyOf(view, 1)
    const there = keyOf(view, 2)
    expect(ask('SET', here, 'v')).toBe('+OK\r\n')
    expect(ask('GET', here)).toBe('$1\r\nv\r\n')
    expect(ask('SET', there, 'v')).toBe(`-MOVED ${slotOfKey(there)} host-2:8379\r\n`)
    expect(ask('OBJECT', 'ENCODING', there)).toBe(`-MOVED ${slotOfKey(there)} host-2:8379\r\n`)
    view.leaders.set(1, 3)
    expect(ask('GET', here)).toBe(`-MOVED ${slotOfKey(here)} host-3:8379\r\n`)
    view.leaders.set(2, 1)
    expect(ask('GET', there)).toBe('$-1\r\n')
  })

  it('must have their keys in one Redis slot, not only in one of the cluster', () => {
    const { view, ask } = clusterWorld()
    const first = keyOf(view, 1)
    let second = ''
    for (let i = 0; second === ''; i++) {
      const slot = slotOfKey(`other:${i}`)
      if (slot !== slotOfKey(first) && slot >> 4 === slotOfKey(first) >> 4) second = `other:${i}`
    }
    const crossed = "-CROSSSLOT Keys in request don't hash to the same slot\r\n"
    expect(ask('MGET', first, second)).toBe(crossed)
    expect(ask('DEL', first, keyOf(view, 2))).toBe(crossed)
    expect(ask('MSET', `{${first}}1`, 'a', `{${first}}2`, 'b')).toBe('+OK\r\n')
    expect(ask('MGET', `{${first}}1`, `{${first}}2`)).toBe('*2\r\n$1\r\na\r\n$1\r\nb\r\n')
    // In one transaction they are let in one by one, as in Redis.
    expect(ask('MULTI') + ask('SET', first, '1') + ask('SET', second, '2') + ask('EXEC')).toBe(
      `+OK\r\n+QUEUED\r\n+QUEUED\r\n${crossed}`,
    )
    expect(ask('EXEC')).toBe('-ERR EXEC without MULTI\r\n')
  })

  it('abort their transaction where one is sent elsewhere, and EXEC is sent elsewhere itself', () => {
    const { view, ask } = clusterWorld()
    const here = keyOf(view, 1)
    const there = keyOf(view, 2)
    ask('MULTI')
    expect(ask('GET', there)).toMatch(/^-MOVED/)
    expect(ask('EXEC')).toMatch(/^-EXECABORT/)
    ask('MULTI')
    expect(ask('INCR', here) + ask('PING')).toBe('+QUEUED\r\n+QUEUED\r\n')
    expect(ask('EXEC')).toBe('*2\r\n:1\r\n+PONG\r\n')
    ask('MULTI')
    ask('INCR', here)
    view.leaders.set(1, 2)
    expect(ask('EXEC')).toBe(`-MOVED ${slotOfKey(here)} host-2:8379\r\n`)
    expect(ask('EXEC')).toBe('-ERR EXEC without MULTI\r\n')
    view.leaders.set(1, 1)
    expect(ask('GET', here)).toBe('$1\r\n1\r\n')
  })

  it('wait for a hand-over, and for an election, and then give up in Redis words', () => {
    const { view, world, client } = clusterWorld({ router: { delayMs: () => 100_000 } })
    const key = keyOf(view, 1)
    const slot = slotOfKey(key) >> 4
    view.underWay.add(slot)
    client.send(encodeRequest(['GET', key]))
    world.run(450)
    expect(client.take()).toBe('')
    view.underWay.delete(slot)
    view.owners[slot] = 2
    world.run(100)
    expect(client.take()).toBe(`-MOVED ${slotOfKey(key)} host-2:8379\r\n`)

    view.owners[slot] = 1
    view.underWay.add(slot)
    // What is asked before it is answered, what is asked behind it waits.
    client.send(encodeRequest(['PING']) + encodeRequest(['GET', key]) + encodeRequest(['ECHO', 'x']))
    world.run(1_900)
    expect(client.take()).toBe('+PONG\r\n')
    world.run(200)
    expect(client.take()).toMatch(/^-TRYAGAIN [^\r]*\r\n\$1\r\nx\r\n$/)

    view.underWay.delete(slot)
    view.leaders.set(1, null)
    client.send(encodeRequest(['GET', key]))
    world.run(1_900)
    expect(client.take()).toBe('')
    world.run(200)
    expect(client.take()).toMatch(/^-CLUSTERDOWN /)
  })

  it('wait for another leader where the one that is known is away', () => {
    const { view, world, client } = clusterWorld()
    const key = keyOf(view, 2)
    view.away.add(2)
    client.send(encodeRequest(['GET', key]))
    world.run(1_000)
    expect(client.take()).toBe('')
    view.leaders.set(2, 3)
    world.run(100)
    expect(client.take()).toBe(`-MOVED ${slotOfKey(key)} host-3:8379\r\n`)
    view.leaders.set(2, 2)
    client.send(encodeRequest(['GET', key]))
    world.run(1_900)
    expect(client.take()).toBe('')
    world.run(200)
    expect(client.take()).toBe(`-MOVED ${slotOfKey(key)} host-2:8379\r\n`)
  })

  it('go on at once when the slot is found to be served, and a closed connection is forgotten', () => {
    const { view, world, client } = clusterWorld({
      router: { delayMs: () => 5, onAnswer: () => view.ownedHere.delete(slot) },
    })
    const key = keyOf(view, 1)
    const slot = slotOfKey(key) >> 4
    // It leads the group, which does not own the slot yet.
    view.ownedHere.set(slot, false)
    client.send(encodeRequest(['SET', key, 'v']))
    world.run(60)
    expect(client.take()).toBe('+OK\r\n')
    view.leaders.set(1, null)
    client.send(encodeRequest(['GET', key]))
    world.run(50)
    client.connection.destroy()
    world.run(3_000)
    expect(world.server.connectionCount).toBe(0)
  })

  it('that only read are answered by a replica after READONLY, and by it alone', () => {
    const { view, ask, calls } = clusterWorld()
    const there = keyOf(view, 2)
    expect(ask('READONLY')).toBe('+OK\r\n')
    expect(ask('GET', there)).toBe('$-1\r\n')
    expect(calls.at(-1)?.level).toBe('nearest')
    expect(ask('MGET', there, there)).toBe('*2\r\n$-1\r\n$-1\r\n')
    expect(ask('SET', there, 'v')).toMatch(/^-MOVED/)
    ask('MULTI')
    expect(ask('GET', there)).toMatch(/^-MOVED/)
    ask('DISCARD')
    view.members.set(2, [2, 3])
    expect(ask('GET', there)).toMatch(/^-MOVED/)
    view.members.set(2, [1, 2])
    expect(ask('READWRITE')).toBe('+OK\r\n')
    expect(ask('GET', there)).toMatch(/^-MOVED/)
    ask('READONLY')
    expect(ask('RESET') + ask('GET', there)).toMatch(/^\+RESET\r\n-MOVED/)
  })
})

describe('commands without keys', () => {
  it('are about the slots that the node leads', () => {
    const { view, world, calls, ask } = clusterWorld()
    const first = world.connect()
    const own = new Set<string>()
    for (let i = 0; i < 60; i++) {
      const key = `key:${i}`
      view.ownedHere.clear()
      for (let slot = 0; slot < 1024; slot++) view.ownedHere.set(slot, true)
      first.exchange(encodeRequest(['SET', key, 'v']))
      if (slotOfKey(key) >> 4 <= 341) own.add(key)
    }
    view.ownedHere.clear()
    expect(own.size).toBeGreaterThan(5)
    expect(ask('DBSIZE')).toBe(`:${own.size}\r\n`)
    calls.length = 0
    // The one group behind this door owns all slots, and walks on over them; where it begins is the door's affair.
    for (const key of own) expect(ask('KEYS', '*')).toContain(`\r\n${key}\r\n`)
    for (let i = 0; i < 20; i++) expect(ask('RANDOMKEY')).toMatch(/^\$\d\r\nkey:/)
    for (const { slot } of calls) expect(slot).toBeLessThanOrEqual(341)
    expect(calls.length).toBeGreaterThan(20)
    expect(ask('FLUSHALL')).toBe('+OK\r\n')
    expect(ask('DBSIZE')).toBe(':0\r\n')
    expect(ask('SCAN', (342n * 2n ** 48n).toString())).toBe('*2\r\n$1\r\n0\r\n*0\r\n')
    for (let slot = 0; slot < 1024; slot++) view.ownedHere.set(slot, true)
    expect(ask('DBSIZE')).toBe(`:${60 - own.size}\r\n`)
    view.ownedHere.clear()
    view.leaders.set(1, 2)
    expect(ask('DBSIZE') + ask('FLUSHALL') + ask('RANDOMKEY') + ask('KEYS', '*')).toBe(':0\r\n+OK\r\n$-1\r\n*0\r\n')
    expect(ask('HELLO')).toContain('$4\r\nmode\r\n$7\r\ncluster\r\n')
    expect(ask('INFO', 'cluster')).toContain('cluster_enabled:1')
    expect(ask('INFO', 'server')).toContain('redis_mode:cluster')
  })

  it('count and list the keys of one Redis slot, wherever it is', () => {
    const { view, ask } = clusterWorld()
    const key = keyOf(view, 1)
    const slot = slotOfKey(key)
    let neighbour = ''
    for (let i = 0; neighbour === ''; i++) {
      const other = slotOfKey(`other:${i}`)
      if (other !== slot && other >> 4 === slot >> 4) neighbour = `other:${i}`
    }
    for (const name of [key, `{${key}}1`, `{${key}}2`, neighbour]) ask('SET', name, 'v')
    view.leaders.set(1, 3)
    expect(ask('CLUSTER', 'COUNTKEYSINSLOT', String(slot))).toBe(':3\r\n')
    const listed = ask('CLUSTER', 'GETKEYSINSLOT', String(slot), '10').split('\r\n')
    expect(listed.filter((line) => line.includes('key:')).sort()).toEqual([key, `{${key}}1`, `{${key}}2`].sort())
    expect(ask('CLUSTER', 'GETKEYSINSLOT', String(slot), '2')).toMatch(/^\*2\r\n/)
    expect(ask('CLUSTER', 'GETKEYSINSLOT', String(slot), '0')).toBe('*0\r\n')
    expect(ask('CLUSTER', 'COUNTKEYSINSLOT', '16384')).toBe('-ERR Invalid slot\r\n')
    expect(ask('CLUSTER', 'GETKEYSINSLOT', '1', '-1')).toBe('-ERR Invalid slot or number of keys\r\n')
    expect(ask('CLUSTER', 'GETKEYSINSLOT', '1', 'x')).toBe('-ERR value is not an integer or out of range\r\n')
  })
})

describe('CLUSTER', () => {
  it('shows groups as shards and nodes with the slots that they lead', () => {
    const { view, ask } = clusterWorld()
    view.leaders.set(3, 1)
    const id = (node: number): string => `0123456789abcdef01234567${node.toString(16).padStart(16, '0')}`
    expect(ask('CLUSTER', 'MYID')).toBe(`$40\r\n${id(1)}\r\n`)
    const nodes = ask('CLUSTER', 'NODES')
    expect(nodes).toContain(`${id(1)} host-1:8379@9000 myself,master - 0 0 7 connected 0-5471 10928-16383\n`)
    expect(nodes).toContain(`${id(2)} host-2:8379@9000 master - 0 0 7 connected 5472-10927\n`)
    expect(nodes).toContain(`${id(3)} host-3:8379@9000 slave ${id(1)} 0 0 7 connected\n`)
    expect(ask('CLUSTER', 'REPLICAS', id(1))).toContain(id(3))
    expect(ask('CLUSTER', 'SLAVES', id(3))).toBe('-ERR The specified node is not a master\r\n')
    expect(ask('CLUSTER', 'REPLICAS', 'x')).toBe('-ERR Unknown node x\r\n')
    const slots = ask('CLUSTER', 'SLOTS')
    const node = (n: number): string => `*4\r\n$6\r\nhost-${n}\r\n:8379\r\n$40\r\n${id(n)}\r\n*0\r\n`
    // Node 2 leads, so it is nobody's replica: a client knows one role of a node.
    expect(slots).toContain(`*4\r\n:0\r\n:5471\r\n${node(1)}${node(3)}`)
    expect(slots).toContain(`*4\r\n:10928\r\n:16383\r\n${node(1)}${node(3)}`)
    expect(ask('CLUSTER', 'SHARDS')).toContain('$4\r\nrole\r\n$7\r\nreplica\r\n')
    expect(ask('CLUSTER', 'INFO')).toMatch(/cluster_state:ok[\s\S]*cluster_slots_ok:16384[\s\S]*cluster_size:2\r\n/)
    expect(ask('CLUSTER', 'KEYSLOT', '{foo}bar')).toBe(`:${slotOfKey('foo')}\r\n`)
    expect(ask('CLUSTER', 'COUNT-FAILURE-REPORTS', id(2)) + ask('CLUSTER', 'LINKS')).toBe(':0\r\n*0\r\n')
    expect(ask('CLUSTER', 'FAILOVER')).toMatch(/^-ERR CLUSTER FAILOVER [^\r]*quorate admin/)
    expect(ask('CLUSTER', 'SETSLOT', '1', 'STABLE')).toMatch(/^-ERR CLUSTER SETSLOT [^\r]*quorate admin/)
  })

  it('keeps the last leader of a group that elects, and says that slots are not served', () => {
    const { view, ask } = clusterWorld()
    const before = ask('CLUSTER', 'SLOTS')
    view.leaders.set(2, null)
    expect(ask('CLUSTER', 'SLOTS')).toBe(before)
    expect(ask('CLUSTER', 'INFO')).toMatch(/cluster_state:fail[\s\S]*cluster_slots_ok:10928\r\n/)
  })

  it('is not there without a cluster', () => {
    const world = new DoorWorld()
    const client = world.connect()
    const disabled = '-ERR This instance has cluster support disabled\r\n'
    for (const words of [
      ['CLUSTER', 'SLOTS'],
      ['CLUSTER', 'COUNTKEYSINSLOT', '1'],
      ['CLUSTER', 'MEET', 'a', '1'],
      ['READONLY'],
      ['READWRITE'],
    ]) {
      expect(client.exchange(encodeRequest(words))).toBe(disabled)
    }
  })
})

describe('shard channels', () => {
  it('are heard at their slot leader, who tells when the slot has gone', () => {
    const { view, world, client, ask } = clusterWorld()
    const here = keyOf(view, 1)
    const other = keyOf(view, 1, 1_000)
    const there = keyOf(view, 2)
    expect(ask('SSUBSCRIBE', there)).toBe(`-MOVED ${slotOfKey(there)} host-2:8379\r\n`)
    expect(ask('SSUBSCRIBE', here, there)).toMatch(/^-CROSSSLOT/)
    expect(ask('SSUBSCRIBE', here)).toBe(`*3\r\n$10\r\nssubscribe\r\n$${here.length}\r\n${here}\r\n:1\r\n`)
    expect(ask('SSUBSCRIBE', other)).toMatch(/:2\r\n$/)
    const publisher = world.connect()
    const tell = (...words: string[]): string => publisher.exchange(encodeRequest(words))
    expect(tell('SPUBLISH', here, 'm')).toBe(':1\r\n')
    expect(tell('PUBLISH', here, 'm')).toBe(':0\r\n')
    expect(client.take()).toBe(`*3\r\n$8\r\nsmessage\r\n$${here.length}\r\n${here}\r\n$1\r\nm\r\n`)
    expect(tell('SPUBLISH', there, 'm')).toMatch(/^-MOVED/)
    expect(tell('PUBSUB', 'SHARDCHANNELS')).toContain(here)
    expect(tell('PUBSUB', 'SHARDNUMSUB', here, there)).toMatch(/:1\r\n[\s\S]*:0\r\n$/)
    const slot = slotOfKey(here) >> 4
    view.owners[slot] = 2
    world.run(600)
    const told = `*3\r\n$12\r\nsunsubscribe\r\n$${here.length}\r\n${here}\r\n:1\r\n`
    expect(client.take()).toBe(told)
    expect(ask('SUNSUBSCRIBE')).toBe(`*3\r\n$12\r\nsunsubscribe\r\n$${other.length}\r\n${other}\r\n:0\r\n`)
    expect(tell('PUBSUB', 'SHARDCHANNELS')).toBe('*0\r\n')
  })
})
