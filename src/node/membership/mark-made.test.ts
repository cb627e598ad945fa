import { expect, test } from 'vitest'
import { asGroupId, asNodeId, asReplicaId } from '../../base/brand.ts'
import { genesisMembers, genesisOperations } from '../../master/cluster-genesis.ts'
import { decodeGenesis, type NodeRegistration } from '../../master/registrations.ts'
import { genesisPath } from '../../master/tree-layout.ts'
import { LocalMetadata, type LocalMetadataStore } from '../../metadata/tree/local-metadata.testkit.ts'
import { type MadeResult, markMade } from './mark-made.ts'

const GROUP = asGroupId(1)
const NODE: NodeRegistration = { peer: 'a:1', resp: 'a:2', cluster: 'a:3', roles: ['master', 'worker'] }

class Tree {
  readonly #queue: (() => void)[] = []
  readonly metadata = new LocalMetadata((callback) => this.#queue.push(callback))
  readonly store: LocalMetadataStore

  constructor() {
    this.store = this.metadata.open()
    this.run()
    const members = genesisMembers(0, [1, 2, 3].map(asNodeId))
    const groups = [{ groupId: GROUP, weight: 1, members }]
    this.store.multi(
      genesisOperations({ clusterEpoch: 0, slotCount: 16, nodes: [NODE, NODE, NODE], groups, masters: members }),
      () => {},
    )
    this.run()
  }

  run(): void {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) next()
  }

  mark(...replicas: number[]): MadeResult[] {
    const results: MadeResult[] = []
    for (const replica of replicas) {
      markMade(this.store, GROUP, asReplicaId(replica), (result) => results.push(result))
    }
    this.run()
    return results
  }

  made(): boolean[] {
    const reply = this.metadata.read({ kind: 'get', session: 0, path: genesisPath(GROUP) })
    if (reply.kind !== 'node' || reply.node === null) return []
    return decodeGenesis(GROUP, reply.node.data).replicas.map(({ made }) => made)
  }
}

test('each replica is marked once, and only its own entry changes', () => {
  const tree = new Tree()
  expect(tree.mark(2)).toEqual(['made'])
  expect(tree.made()).toEqual([false, true, false])
  expect(tree.mark(2)).toEqual(['was-made'])
  expect(tree.mark(9)).toEqual(['no-replica'])
  expect(tree.made()).toEqual([false, true, false])
})

test('of two at once one comes again, and none is lost', () => {
  const tree = new Tree()
  expect(tree.mark(1, 3)).toEqual(['made', 'retry'])
  expect(tree.mark(3)).toEqual(['made'])
  expect(tree.made()).toEqual([true, false, true])
})

test('a lost answer: asked again, it says that it was made', () => {
  const tree = new Tree()
  tree.store.loseAnswers(1, 'done')
  expect(tree.mark(1)).toEqual(['retry'])
  expect(tree.mark(1)).toEqual(['was-made'])
})
