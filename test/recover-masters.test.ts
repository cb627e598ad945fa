// A majority of the masters is gone with its disks: data go on, a node that is left begins a new cluster epoch, and the old masters change nothing when they come back.
import { renameSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { RespClient } from '../src/cli/resp-client.ts'
import { type Cluster, eventually, quorate, withCluster } from './support/cluster.ts'

const LOST = [1, 2, 3]
const WITHIN_MS = 60_000

async function admin(cluster: Cluster, node: number, ...words: string[]): Promise<unknown> {
  const result = await quorate(['admin', '--json', '--addr', cluster.address(node), ...words], 90_000)
  expect(result, words.join(' ')).toMatchObject({ code: 0 })
  return JSON.parse(result.stdout)
}

function refusal(cluster: Cluster, node: number, ...words: string[]) {
  return quorate(['admin', '--addr', cluster.address(node), ...words], 90_000)
}

/** Writes one key after the other, until it is stopped; what was acknowledged. */
class Writer {
  readonly acknowledged = new Map<string, string>()
  readonly #client: RespClient
  readonly #ended: Promise<void>
  #stopped = false

  constructor(client: RespClient) {
    this.#client = client
    this.#ended = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#ended
    this.#client.close()
  }

  async #run(): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const [key, value] = [`key-${i % 500}`, String(i)]
      const reply = await this.#client.call('SET', key, value)
      expect(reply).toBe('OK')
      this.acknowledged.set(key, value)
    }
  }
}

async function expectAll(cluster: Cluster, node: number, written: ReadonlyMap<string, string>): Promise<void> {
  const client = await cluster.connect(node)
  try {
    for (const [key, value] of written) expect(String(await client.call('GET', key)), key).toBe(value)
  } finally {
    client.close()
  }
}

interface StatusAnswer {
  readonly activeMaster: number | null
  readonly masters: { readonly members: readonly { readonly node: number }[] }
}

async function status(cluster: Cluster, node: number, fits: (answer: StatusAnswer) => boolean): Promise<StatusAnswer> {
  return eventually(`the masters as node ${node} sees them`, WITHIN_MS, async () => {
    const result = await quorate(['admin', '--json', '--addr', cluster.address(node), 'status'])
    if (result.code !== 0) return null
    const answer = JSON.parse(result.stdout) as StatusAnswer
    return fits(answer) ? answer : null
  })
}

test(
  'three of five masters are lost: data are served, the masters are recovered, and the old ones are not heard',
  () =>
    withCluster(['--nodes', '5', '--slots', '64'], async (cluster) => {
      // All slots go to a group that has a majority on the nodes which stay.
      await admin(cluster, 1, 'group', 'create', '--weight', '10', '--nodes', '3,4,5', '--wait')
      for (const group of ['1', '2']) await admin(cluster, 1, 'group', 'drain', group, '--wait')
      for (const group of ['1', '2']) await admin(cluster, 1, 'group', 'remove', group)
      const writer = new Writer(await cluster.connect(4))
      expect((await refusal(cluster, 4, 'recover-masters', '--yes')).stderr).toMatch(/majority of the masters runs/)

      await Promise.all(LOST.map((node) => cluster.kill(node)))
      const aside = (node: number): string => `${cluster.ready.nodes[node - 1].data}-aside`
      for (const node of LOST) renameSync(cluster.ready.nodes[node - 1].data, aside(node))

      // Once the group has another leader, it takes writes; moves wait for masters.
      const before = writer.acknowledged.size
      await eventually('writes without masters', WITHIN_MS, () => writer.acknowledged.size > before || null)
      const plan = await admin(cluster, 4, 'recover-masters')
      expect(plan).toMatchObject({
        done: false,
        epoch: 1,
        master: 4,
        answered: [4, 5],
        silent: LOST,
        groups: [3],
        lost: [],
      })
      expect(await admin(cluster, 4, 'recover-masters', '--yes')).toMatchObject({ done: true, epoch: 1, master: 4 })
      for (const node of [4, 5]) await status(cluster, node, ({ activeMaster }) => activeMaster === 4)

      // Masters, groups and slots can be moved again.
      await admin(cluster, 5, 'join', '5', '--masters', '--wait')
      await admin(cluster, 5, 'group', 'create', '--weight', '10', '--nodes', '4,5', '--wait')
      await admin(cluster, 4, 'move', '0-9', '--to', '4', '--wait')
      expect(await admin(cluster, 4, 'key-group', 'key-1')).toBeDefined()
      // A restart finds the new masters by itself.
      await cluster.kill(5)
      await cluster.restart(5)

      // The old majority comes back with all that it had, and learns that it is over.
      for (const node of LOST) renameSync(aside(node), cluster.ready.nodes[node - 1].data)
      for (const node of LOST) await cluster.restart(node)
      for (const node of LOST) {
        const answer = await status(cluster, node, ({ activeMaster }) => activeMaster === 4 || activeMaster === 5)
        expect(answer.masters.members.map((member) => member.node)).toEqual([4, 5])
        await eventually(`node ${node} gives up its old masters' replica`, WITHIN_MS, async () => {
          const view = await cluster.status(node)
          return view !== null && view.masters === null ? true : null
        })
      }
      await admin(cluster, 1, 'join', '1', '--masters', '--wait')
      await admin(cluster, 2, 'move', '0-9', '--to', '3', '--wait')
      await writer.stop()
      expect(writer.acknowledged.size).toBeGreaterThan(100)
      for (const node of [1, 4]) await expectAll(cluster, node, writer.acknowledged)
      expect(cluster.crashes()).toEqual([])
    }),
  240_000,
)

test(
  'a group whose nodes are gone too is named as lost, or nothing is done',
  () =>
    withCluster(['--nodes', '3', '--slots', '64'], async (cluster) => {
      await admin(cluster, 1, 'group', 'create', '--weight', '10', '--nodes', '3', '--wait')
      await Promise.all([1, 2].map((node) => cluster.kill(node)))
      const refused = await refusal(cluster, 3, 'recover-masters', '--yes')
      expect(refused.code).toBe(1)
      expect(refused.stderr).toMatch(/of group 1, group 2 too few replicas answer.*--lost/)
      const done = await admin(cluster, 3, 'recover-masters', '--yes', '--lost', '1,2')
      expect(done).toMatchObject({ done: true, lost: [1, 2], groups: [3] })
      const { slotsOfLost } = done as { slotsOfLost: number }
      expect(slotsOfLost).toBeGreaterThan(0)
      expect(slotsOfLost).toBeLessThan(64)
      await status(cluster, 3, ({ activeMaster }) => activeMaster === 3)
    }),
  180_000,
)
