// SLOWLOG, LATENCY and the timings in INFO, on a door whose requests take as long as the test says.
import { describe, expect, it } from 'vitest'
import { DoorWorld } from './door.testkit.ts'

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`

describe('SLOWLOG', () => {
  it('keeps what took longer than slowlog-log-slower-than, newest first, with the words as they came', () => {
    let delayMs = 300
    const world = new DoorWorld({ router: { delayMs: () => delayMs } })
    const client = world.connect()
    client.exchange('CONFIG SET slowlog-log-slower-than 250000\r\nCLIENT SETNAME joe\r\n')
    client.exchange('SET slow 1\r\n', 2000)
    delayMs = 100
    client.exchange('SET quick 1\r\n', 1000)
    delayMs = 400
    client.exchange('GET slow\r\n', 2000)
    expect(client.exchange('SLOWLOG LEN\r\n')).toBe(':2\r\n')
    const shown = client.exchange('SLOWLOG GET\r\n')
    const entries = [...shown.matchAll(/\*6\r\n:(\d+)\r\n:\d+\r\n:(\d+)\r\n(\*\d\r\n(?:\$\d+\r\n\w+\r\n)+)/g)]
    expect(entries.map(([, id]) => id)).toEqual(['1', '0'])
    const [newest, oldest] = entries
    expect(newest[3]).toContain(`*2\r\n${bulk('get')}${bulk('slow')}`)
    expect(oldest[3]).toContain(`*3\r\n${bulk('set')}${bulk('slow')}${bulk('1')}`)
    expect(Number(newest[2])).toBeGreaterThanOrEqual(400_000)
    expect(shown).toContain(bulk('joe'))
    expect(client.exchange('SLOWLOG GET 1\r\n').startsWith('*1\r\n')).toBe(true)
    expect(client.exchange('SLOWLOG RESET\r\nSLOWLOG LEN\r\n')).toBe('+OK\r\n:0\r\n')
  })

  it('keeps slowlog-max-len of them, and cuts long words', () => {
    const world = new DoorWorld({ router: { delayMs: () => 100 } })
    const client = world.connect()
    client.exchange('CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 2\r\n')
    for (const name of ['a', 'b', 'c']) client.exchange(`SET ${name} ${'x'.repeat(200)}\r\n`, 1000)
    client.exchange('CONFIG SET slowlog-log-slower-than -1\r\n')
    expect(client.exchange('SLOWLOG LEN\r\n')).toBe(':2\r\n')
    const shown = client.exchange('SLOWLOG GET -1\r\n')
    expect(shown).toContain(`${'x'.repeat(128)}... (72 more bytes)`)
    expect(shown).not.toContain('x'.repeat(129))
  })
})

describe('LATENCY', () => {
  it('samples what took longer than latency-monitor-threshold, by second', () => {
    const world = new DoorWorld({ router: { delayMs: () => 120 } })
    const client = world.connect()
    expect(client.exchange('LATENCY DOCTOR\r\n')).toContain('CONFIG SET latency-monitor-threshold')
    client.exchange('CONFIG SET latency-monitor-threshold 200\r\n')
    expect(client.exchange('LATENCY DOCTOR\r\nLATENCY LATEST\r\n')).toContain('*0\r\n')
    client.exchange('SET a 1\r\n', 3000)
    client.exchange('INCR a\r\n', 3000)
    client.exchange('INCR a\r\n', 3000)
    const latest = client.exchange('LATENCY LATEST\r\n')
    expect(latest).toMatch(
      /^\*2\r\n\*4\r\n\$7\r\ncommand\r\n:\d+\r\n:(2[4-9]\d)\r\n:\1\r\n\*4\r\n\$12\r\nfast-command\r\n/,
    )
    expect(client.exchange('LATENCY HISTORY fast-command\r\n')).toMatch(/^\*2\r\n(\*2\r\n:\d+\r\n:2[4-9]\d\r\n){2}$/)
    expect(client.exchange('LATENCY GRAPH fast-command\r\n')).toContain('fast-command - high 2')
    expect(client.exchange('LATENCY DOCTOR\r\n')).toContain('fast-command: 2 slow seconds')
    expect(client.exchange('LATENCY RESET command nothing\r\nLATENCY RESET\r\n')).toBe(':1\r\n:1\r\n')
  })

  it('tells how long each command took, by powers of two', () => {
    const world = new DoorWorld({ router: { delayMs: () => 60 } })
    const client = world.connect()
    client.exchange('SET a 1\r\n', 1000)
    client.exchange('SET a 1\r\n', 1000)
    // Twice 60 ms and less than a turn more: below 2^17 us.
    expect(client.exchange('LATENCY HISTOGRAM set\r\n')).toBe(
      `*2\r\n${bulk('set')}*4\r\n${bulk('calls')}:2\r\n${bulk('histogram_usec')}*2\r\n:131072\r\n:2\r\n`,
    )
    expect(client.exchange('LATENCY HISTOGRAM client\r\n')).toBe('*0\r\n')
    client.exchange('CLIENT ID\r\n')
    expect(client.exchange('LATENCY HISTOGRAM client\r\n')).toContain('client|id')
  })
})

describe('INFO', () => {
  it('counts commands, rejections, failures and errors, until CONFIG RESETSTAT', () => {
    const world = new DoorWorld({ router: { delayMs: () => 20 } })
    const client = world.connect()
    client.exchange('SET a x\r\nINCR a\r\nINCR\r\nNONSENSE\r\nMULTI\r\nSET a 1\r\nINCR a\r\nEXEC\r\n', 2000)
    const info = client.exchange('INFO commandstats errorstats latencystats\r\n')
    const numbers = (name: string): string => /calls=\d+/.exec(info.split(`cmdstat_${name}:`)[1] ?? '')?.[0] ?? 'none'
    expect(info).toMatch(/cmdstat_set:calls=2,usec=\d+,usec_per_call=[\d.]+,rejected_calls=0,failed_calls=0\r\n/)
    expect(info).toMatch(/cmdstat_incr:calls=2,usec=\d+,usec_per_call=[\d.]+,rejected_calls=1,failed_calls=1\r\n/)
    expect(numbers('exec')).toBe('calls=1')
    expect(info).toContain('errorstat_ERR:count=3\r\n')
    expect(info).toMatch(/latency_percentiles_usec_set:p50=\d+\.\d{3},p99=\d+\.\d{3},p99\.9=\d+\.\d{3}\r\n/)
    client.exchange('CONFIG RESETSTAT\r\n')
    expect(client.exchange('INFO commandstats errorstats\r\n')).not.toMatch(/cmdstat_set|errorstat/)
  })

  it('shows the sections that are asked for, and what they say of clients', () => {
    const world = new DoorWorld()
    const [client, subscriber] = [world.connect(), world.connect()]
    subscriber.exchange('SUBSCRIBE news\r\n')
    const info = client.exchange('INFO clients STATS\r\n')
    expect([...info.matchAll(/# (\w+)/g)].map(([, name]) => name)).toEqual(['Clients', 'Stats'])
    expect(info).toContain('connected_clients:2\r\n')
    expect(info).toContain('pubsub_clients:1\r\n')
    expect(info).toContain('pubsub_channels:1\r\n')
    expect(client.exchange('INFO nothing\r\n')).toBe('$0\r\n\r\n')
    // The node's figures stand in the door's places.
    expect(client.exchange('INFO memory\r\n')).toContain('used_memory:1234\r\n')
  })
})

describe('MEMORY', () => {
  it('tells figures, advice and nothing more', () => {
    const client = new DoorWorld().connect()
    expect(client.exchange('HELLO 3\r\nMEMORY STATS\r\n')).toContain('peak.allocated')
    expect(client.exchange('MEMORY MALLOC-STATS\r\n')).toContain('process.resident: ')
    expect(client.exchange('MEMORY DOCTOR\r\n')).toContain('Nothing to see here')
    client.exchange('CONFIG SET maxmemory 1\r\n')
    expect(client.exchange('MEMORY DOCTOR\r\n')).toContain('more than maxmemory (1)')
    expect(client.exchange('MEMORY PURGE\r\n')).toBe('+OK\r\n')
  })
})
