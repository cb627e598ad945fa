// A digest goes over many steps: the replica may close, or take up an image, between any two.
import { describe, expect, it } from 'vitest'
import { RouterWorld } from '../router-world.testkit.ts'
import { digestHere, type ReplicaDigest } from './group-digest.ts'

const KEYS = 1_200

/** A follower with more keys than one step takes. */
function loaded(seed: number): { world: RouterWorld; node: RouterWorld['nodes'][number] } {
  const world = new RouterWorld({ seed, nodes: 3 }, { maxUnanswered: 2 * KEYS })
  world.leader()
  const [node] = world.others()
  const writes = Array.from({ length: KEYS }, (_, i) => node.write('SET', `k${i}`, 'v'))
  for (const write of writes) expect(world.done(write)).toBe('+OK\r\n')
  world.replicas.runFor(500)
  return { world, node }
}

describe('the digest of a replica', () => {
  it('is that of its keys, and the same on every one', () => {
    const { world } = loaded(1)
    const answers: (ReplicaDigest | null)[] = []
    for (const { node } of world.nodes) {
      digestHere(node.replica, node.replica.applied, node.clock, (_error, answer) => answers.push(answer))
    }
    world.replicas.runFor(100)
    expect(answers).toHaveLength(3)
    expect(answers[0]).toMatchObject({ kind: 'digest', keys: KEYS })
    expect(answers[1]).toEqual(answers[0])
    expect(answers[2]).toEqual(answers[0])
  })

  // Before it begins, while it waits for the index, and between two steps.
  it.each([0, 1, 2])('is not had from a replica that closes after %i of its steps', (steps) => {
    const { world, node } = loaded(2)
    const { replica, clock } = node.node
    const answers: unknown[] = []
    digestHere(replica, replica.applied, clock, (error, answer) => answers.push([error, answer]))
    let turns = 0
    const close = (): void => {
      if (turns++ < steps) clock.defer(close)
      else replica.close(() => {})
    }
    close()
    world.replicas.runFor(2_000)
    expect(answers).toEqual([[null, { kind: 'behind', index: replica.applied }]])
  })
})
