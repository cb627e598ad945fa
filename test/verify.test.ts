// `quorate verify` against real processes: right through kills of leaders, in one line of JSON, and by its exit codes.
import { afterAll, expect, test } from 'vitest'
import { destroyClusters, eventually, freePort, quorate, withCluster } from './support/cluster.ts'

afterAll(destroyClusters)

test('it finds every answer right while leaders are killed, and says so', async () => {
  await withCluster([], async (cluster) => {
    const addr = cluster.addresses.join(',')
    const running = quorate(['verify', '--addr', addr, '--minutes', '0.25', '--json', '--clients', '8'])
    for (const group of [1, 2]) {
      const victim = await cluster.leader(group)
      await cluster.kill(victim)
      await cluster.restart(victim)
      await cluster.settled()
    }
    const { code, stdout, stderr } = await running
    expect(code, stderr).toBe(0)
    expect(stdout.trim().split('\n')).toHaveLength(1)
    const report = JSON.parse(stdout)
    expect(report).toMatchObject({ violations: [], clients: 15, kept: false })
    expect(report.operations).toBeGreaterThan(2_000)
    expect(report.casChain).toBeGreaterThan(100)
    expect(report.longestPauseMs).toBeGreaterThan(report.latencyMs.p999)
    // Nothing of it is left.
    const client = await cluster.connect()
    await eventually('no key to be left', 5_000, async () => (await client.call('DBSIZE')) === 0 || null)
    client.close()

    // Too little seen, and a run that is ended early.
    const short = await quorate(['verify', '--addr', addr, '--minutes', '0.0001', '--think-ms', '50'])
    expect([short.code, short.stdout]).toEqual([2, expect.stringContaining('nothing concluded')])
  })
}, 120_000)

test('it says what is wrong with its options, and where nobody answers', async () => {
  const nowhere = `127.0.0.1:${await freePort()}`
  for (const [args, expected] of [
    [['--minutes', 'soon'], /--minutes soon: no number above 0/],
    [['--clients', '0'], /--clients 0: 1 to 256/],
    [['--mode', 'fast'], /--mode fast: unknown.*own-keys/],
    [['--prefix', '{a}'], /braces would put all keys into one slot/],
    [['--addr', 'a b'], /is no address/],
  ] as const) {
    const { code, stderr } = await quorate(['verify', ...args])
    expect([code, stderr]).toEqual([2, expect.stringMatching(expected)])
  }
  const { code, stdout } = await quorate(['verify', '--addr', nowhere, '--json'])
  expect(code).toBe(2)
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'no-node', message: expect.stringMatching(/no server/) } })
}, 60_000)
