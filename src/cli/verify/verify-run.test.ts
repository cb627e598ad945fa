// A run against one door that is honest, and against some that are not: every kind of lie must be found.
import { afterEach, describe, expect, it } from 'vitest'
import { asGroupId, asNodeId } from '../../base/brand.ts'
import { latin1Bytes } from '../../base/bytes.ts'
import type { ClusterView } from '../../ports/cluster-view.ts'
import { decodeCommand } from '../../protocol/command.ts'
import { COMMANDS_BY_OPCODE } from '../../protocol/command-table.ts'
import { integerReply, NULL_REPLY, OK_REPLY } from '../../protocol/resp-reply.ts'
import type { MemoryRouterOptions, RouterCall } from '../../server/resp/memory-router.testkit.ts'
import { startTcpDoor, type TcpDoor } from '../../server/resp/tcp-door.testkit.ts'
import { runVerify, type VerifyReport } from './verify-run.ts'

const CALLS = 6_000
const doors: TcpDoor[] = []
const signals = new WeakMap<TcpDoor, AbortSignal>()

afterEach(async () => {
  for (const door of doors.splice(0)) await door.stop()
})

async function open(options: MemoryRouterOptions): Promise<TcpDoor> {
  let port = 0
  const self = asNodeId(1)
  const node = () => ({
    nodeId: self,
    peer: '127.0.0.1:1',
    resp: `127.0.0.1:${port}`,
    cluster: '127.0.0.1:1',
    roles: ['worker'] as const,
  })
  const group = { group: asGroupId(1), weight: 10, draining: false, members: [self] }
  const view: ClusterView = {
    self,
    clusterId: '00'.repeat(16),
    slotCount: 1024,
    tableVersion: 1,
    groupOf: () => asGroupId(1),
    changedAt: () => 1,
    leaderOf: () => self,
    groups: () => [group],
    group: () => group,
    nodes: () => [node()],
    node,
    onChange: () => () => {},
  }
  // So much is enough to see everything, however long this machine takes over it.
  const enough = new AbortController()
  let calls = 0
  const onCall = (call: RouterCall): void => {
    if (++calls >= CALLS) enough.abort()
    options.onCall?.(call)
  }
  const door = await startTcpDoor({ view }, { ...options, onCall })
  signals.set(door, enough.signal)
  port = door.port
  doors.push(door)
  return door
}

async function verify(door: TcpDoor, options: Partial<Parameters<typeof runVerify>[0]> = {}): Promise<VerifyReport> {
  return runVerify({
    servers: [`127.0.0.1:${door.port}`],
    seconds: 60,
    prefix: 'verify:',
    clients: 4,
    mode: 'all',
    thinkMs: 0,
    keep: false,
    signal: signals.get(door) ?? new AbortController().signal,
    ...options,
  })
}

function nameOf(call: RouterCall): string {
  return COMMANDS_BY_OPCODE.get(decodeCommand(call.command).opcode)?.name ?? ''
}

/** Says `reply` to every so-manieth of the commands with this name, and does nothing. */
function everyNth(name: string, n: number, reply: Uint8Array): MemoryRouterOptions {
  let count = 0
  return { refuse: (call) => (nameOf(call) === name && ++count % n === 0 ? reply : null) }
}

describe('verify', () => {
  it('finds nothing wrong with an honest cluster, and leaves nothing behind', async () => {
    const door = await open({})
    const report = await verify(door)
    expect(report).toMatchObject({ violations: [], uncertain: 0, failed: 0, clients: 11, kept: false })
    expect(report.operations).toBeGreaterThan(1_000)
    expect(report.casChain).toBeGreaterThan(100)
    expect(report.latencyMs.p999).toBeGreaterThan(0)
    expect(report.longestPauseMs).toBeGreaterThan(0)
    expect(report.pausesMs).toHaveLength(11)
    expect(door.router.machine.keyCount()).toBe(0)
    const { signal } = new AbortController()
    const kept = await verify(door, { keep: true, mode: 'contended-cas', clients: 3, seconds: 0.3, signal })
    expect(kept).toMatchObject({ violations: [], clients: 3, kept: true })
    expect(door.router.machine.keyCount()).toBe(1)
  })

  it('finds nothing wrong where outcomes are unknown', async () => {
    const unknown = latin1Bytes('-RETRYEXPIRED the time for retries of this write is over\r\n')
    let count = 0
    const door = await open({ refuse: (call) => (call.write && ++count % 50 === 0 ? unknown : null) })
    const report = await verify(door)
    expect(report.violations).toEqual([])
    expect(report.uncertain).toBeGreaterThan(10)
    expect(report.errors).toHaveProperty('OutcomeUnknown')
  })

  it.each<[string, MemoryRouterOptions, RegExp]>([
    ['an acknowledged SET that is lost', everyNth('set', 100, OK_REPLY), /holds .*, not|linearizable read gave/],
    ['an acknowledged DEL that is lost', everyNth('del', 5, integerReply(1)), /holds .*, not nothing/],
    ['an INCR that counts nothing', everyNth('incr', 50, integerReply(1)), /counts \d+, not/],
    ['a read of nothing', everyNth('get', 100, NULL_REPLY), /holds nothing, not|linearizable read gave 0/],
    [
      'a CAS that was not done',
      everyNth('kv.cas', 100, latin1Bytes('*2\r\n:1\r\n$1\r\nx\r\n')),
      /is lost|refused|holds/,
    ],
  ])('finds %s', async (_, lie, expected) => {
    const report = await verify(await open(lie))
    expect(report.violations.length).toBeGreaterThan(0)
    expect(report.violations.join('\n')).toMatch(expected)
  })

  it('finds an INCR that runs twice', async () => {
    let count = 0
    const door: TcpDoor = await open({
      onCall: (call) => {
        if (nameOf(call) === 'incr' && ++count % 50 === 0) door.router.writeNow(call.slot, call.command)
      },
    })
    expect((await verify(door)).violations.join('\n')).toMatch(/counts \d+, not/)
  })

  it('finds a lost update of the contended register alone', async () => {
    const report = await verify(await open(everyNth('kv.cas', 40, latin1Bytes('*2\r\n:1\r\n$1\r\nx\r\n'))), {
      mode: 'contended-cas',
    })
    expect(report.violations.join('\n')).toMatch(/replaced twice|is lost/)
  })
})
