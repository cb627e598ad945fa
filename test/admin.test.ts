// `quorate admin` against a real cluster: every command, what it answers and what comes of it.
import { expect, test } from 'vitest'
import { RespClient } from '../src/cli/resp-client.ts'
import { RespError } from '../src/cli/resp-reply.ts'
import { type Cluster, eventually, quorate, withCluster } from './support/cluster.ts'

const FLAGS = ['--nodes', '4', '--groups', '2', '--slots', '64']

class Admin {
  readonly #addr: string

  constructor(cluster: Cluster) {
    this.#addr = cluster.ready.nodes.map(({ resp }) => resp).join(',')
  }

  /** The one line that it prints. */
  async json(words: string, code = 0): Promise<Record<string, unknown>> {
    const ended = await quorate(['admin', ...words.split(' '), '--json', '--addr', this.#addr])
    expect([words, ended.code, ended.stderr]).toEqual([words, code, code === 0 ? '' : expect.any(String)])
    expect(ended.stdout.trimEnd().split('\n')).toHaveLength(1)
    return JSON.parse(ended.stdout)
  }

  async text(words: string): Promise<string> {
    const ended = await quorate(['admin', '--addr', this.#addr, ...words.split(' ')])
    expect([words, ended.code]).toEqual([words, 0])
    return ended.stdout
  }

  async refused(words: string, error: string, code = 1): Promise<void> {
    expect(await this.json(words, code)).toMatchObject({ error: { code: error, mend: expect.any(String) } })
  }
}

test('what a cluster says of itself', { timeout: 120_000 }, () =>
  withCluster(FLAGS, async (cluster) => {
    const admin = new Admin(cluster)
    expect(await admin.json('status')).toMatchObject({ slotCount: 64, activeMaster: expect.any(Number), problems: [] })
    expect(await admin.text('status')).toContain('all is well')
    expect(await admin.json('nodes')).toMatchObject({ nodes: [1, 2, 3, 4].map((id) => ({ id, away: false })) })
    expect(await admin.json('groups')).toMatchObject({
      groups: [
        { id: 1, slots: 32 },
        { id: 2, slots: 32 },
      ],
    })
    expect(await admin.json('slots')).toEqual({
      version: 1,
      slotCount: 64,
      ranges: [
        [0, 31, 1],
        [32, 63, 2],
      ],
    })
    expect(await admin.json('reconfigs')).toEqual({ last: 0, reconfigs: [] })
    expect(await admin.json('migrations')).toEqual({ migrations: [] })
    expect(await admin.json('reconfig 1')).toEqual({ upToDate: true, last: 0 })
    expect(await admin.json('digest')).toMatchObject({
      groups: [
        { group: 1, same: true },
        { group: 2, same: true },
      ],
    })
    expect(await admin.json('token')).toEqual({ token: expect.stringMatching(/^[0-9a-f]{32}$/) })
    const ofKey = await admin.json('key-group foo')
    expect(ofKey).toMatchObject({ slot: 47, group: 2 })
    await admin.refused('reconfig 0', 'malformed-id')
    await admin.refused('repair', 'not-built')
    await admin.refused('cancel 9', 'unknown-reconfig')
    await admin.refused('move 0-64 --to 1', 'unknown-slot')
    await admin.refused('move 0 --to 9', 'unknown-group')
    await admin.refused('fly', 'usage', 2)
    await admin.refused('move 0', 'usage', 2)
    await admin.refused('leave 9 --group 1', 'unknown-node')
    const client = await RespClient.connect(cluster.ready.nodes[0].resp, 5_000)
    try {
      const slots = await client.call('KV.MASTER', 'SLOTS')
      expect(JSON.parse(String(slots))).toMatchObject({ slotCount: 64 })
      const group = await client.call('KV.MASTER', 'GETKEYGROUP', 'foo')
      expect(JSON.parse(String(group))).toEqual(ofKey)
      const wrong = await client.call('KV.MASTER', 'GETRECONFIG', 'x')
      expect(wrong).toBeInstanceOf(RespError)
      expect((wrong as RespError).message).toMatch(/^ERR malformed-argument: .*; /)
      const addresses = { peer: '127.0.0.1:1', resp: '127.0.0.1:2', cluster: '127.0.0.1:3', roles: ['worker'] }
      const join = await client.call('KV.MASTER', 'JOIN', JSON.stringify({ token: 'x', ...addresses }))
      expect((join as RespError).message).toMatch(/^ERR wrong-token: /)
    } finally {
      client.close()
    }
  }),
)

test('slots, groups and members that come and go', { timeout: 180_000 }, () =>
  withCluster(FLAGS, async (cluster) => {
    const admin = new Admin(cluster)
    expect(await admin.json('move 0-3 --to 2 --wait')).toEqual({ reconfigId: 1, reconfigIds: [1] })
    expect(await admin.json('reconfig 1')).toMatchObject({ phase: 'done', from: 1, to: 2, slots: [[0, 3]] })
    expect(await admin.json('move 0-3 --to 2')).toEqual({ reconfigId: null, reconfigIds: [] })
    expect(await admin.json('move --key foo --to 1 --wait')).toMatchObject({ reconfigId: 2 })
    expect(await admin.json('rebalance --dry-run')).toMatchObject({ reconfigId: null })
    await admin.json('rebalance --wait')
    expect(await admin.json('group create --weight 10 --nodes 2,3,4 --wait')).toEqual({ group: 3 })
    await admin.json('group weight 3 20 --wait')
    expect(await admin.json('groups')).toMatchObject({
      groups: [{ slots: 16 }, { slots: 16 }, { id: 3, slots: 32 }],
    })
    await admin.refused('group remove 3', 'group-in-use')
    await admin.json('group drain 3')
    await admin.refused('move 0 --to 3', 'group-draining')
    await admin.json('group undrain 3 --wait')
    expect(await admin.json('groups')).toMatchObject({ groups: [{}, {}, { id: 3, slots: 32, draining: false }] })
    await admin.json('group drain 3 --wait')
    await admin.json('group remove 3')
    await admin.json('join 4 --group 1 --wait')
    expect(await admin.json('transfer 1 4')).toEqual({ group: 1, leader: 4 })
    await admin.json('leave 1 --group 1 --wait')
    await admin.json('replace 4 1 --wait')
    const { groups } = (await admin.json('groups')) as { groups: { members: { node: number }[] }[] }
    expect(groups[0].members.map(({ node }) => node)).not.toContain(4)
    expect(await admin.json('status')).toMatchObject({ problems: [] })
  }),
)

test('without a majority of the masters it can still be looked at, and says what is wrong', { timeout: 120_000 }, () =>
  withCluster(['--nodes', '3', '--groups', '1', '--slots', '16'], async (cluster) => {
    const admin = new Admin(cluster)
    // What a node has never read it cannot show.
    await eventually('node 1 to know the slot table', 20_000, async () => {
      const client = await cluster.connect(1)
      const table = JSON.parse(String(await client.call('KV.TABLE')))
      client.close()
      return table.version > 0 || null
    })
    await Promise.all([cluster.kill(2), cluster.kill(3)])
    const status = (await admin.json('status')) as { problems: string[]; groups: unknown[] }
    expect(status.problems.join('; ')).toMatch(/node 2 does not answer.*no master is active/)
    expect(status.groups).toHaveLength(1)
    expect(await admin.json('nodes')).toMatchObject({ nodes: [{ away: false }, { away: true }, { away: true }] })
    await admin.refused('group create --weight 1', 'unavailable')
    await Promise.all([cluster.restart(2), cluster.restart(3)])
    await admin.json('group create --weight 1 --nodes 1,2,3 --wait')
  }),
)
