// identity.json: what was written comes back, and nothing else is taken for an identity.
import { expect, test } from 'vitest'
import { sampleIdentity } from './identity.testkit.ts'
import { decodeIdentity, encodeIdentity, type NodeIdentity } from './identity.ts'

function failureOf(text: string): string {
  const outcome = decodeIdentity(text, 'DIR/identity.json')
  if (outcome.ok) throw new Error('was accepted')
  return `${outcome.failure.code}: ${outcome.failure.message}`
}

test('an identity comes back as it was written', () => {
  const identity = sampleIdentity({
    groups: sampleIdentity().groups.map((one) => ({ ...one, made: true })),
    incarnation: 41,
  })
  expect(decodeIdentity(encodeIdentity(identity), 'x')).toEqual({ ok: true, value: identity })
  const followed = { ...identity, masters: { epoch: 3, nodes: [4, 5] } }
  expect(decodeIdentity(encodeIdentity(followed), 'x')).toEqual({ ok: true, value: followed })
  for (const masters of [
    { epoch: 32, nodes: [] },
    { epoch: -1, nodes: [] },
    { epoch: 1, nodes: [0] },
  ]) {
    expect(failureOf(encodeIdentity({ ...identity, masters }))).toMatch(/masters are not an epoch and node ids/)
  }
})

test('every single flipped bit of the file is noticed', () => {
  const bytes = Buffer.from(encodeIdentity(sampleIdentity()), 'utf8')
  const accepted: string[] = []
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[at] ^= 1 << bit
      const outcome = decodeIdentity(flipped.toString('utf8'), 'x')
      // Flips in the white space between tokens, or from one white space to another, change nothing.
      if (outcome.ok && JSON.stringify(outcome.value) !== JSON.stringify(sampleIdentity())) {
        accepted.push(`byte ${at} bit ${bit}`)
      }
    }
  }
  expect(accepted).toEqual([])
})

test('a file cut short anywhere is corrupt', () => {
  const text = encodeIdentity(sampleIdentity()).trimEnd()
  for (let length = 0; length < text.length; length++) {
    expect(failureOf(text.slice(0, length))).toBe('corrupt-identity: DIR/identity.json is not valid JSON')
  }
})

test('a newer format says so, whatever else it holds', () => {
  expect(failureOf('{"format": 3, "unheardOf": true}')).toBe(
    'newer-format: DIR/identity.json has format 3, this version knows 2',
  )
})

test('the format before nodes could join says so, and what to do', () => {
  const outcome = decodeIdentity('{"format": 1, "genesis": "made"}', 'DIR/identity.json')
  expect(outcome).toMatchObject({ failure: { code: 'older-format', mend: expect.stringContaining('another --data') } })
})

test('every field is checked', () => {
  const problems: [Partial<Record<keyof NodeIdentity, unknown>>, string][] = [
    [{ clusterId: 'zz' }, 'clusterId is not 32 hex digits'],
    [{ hashKey: '0123' }, 'hashKey is not 16 hex digits'],
    [{ nodeId: 0 }, 'nodeId is not a positive integer'],
    [{ slotCount: 1000 }, 'slotCount is not a power of two up to 16384'],
    [{ host: '' }, 'host is not a name or address'],
    [{ port: 65535 }, 'port is out of range'],
    [{ secret: '' }, 'secret is not 32 hex digits'],
    [{ roles: [] }, 'roles are not master, worker, or both'],
    [{ roles: ['king'] }, 'roles are not master, worker, or both'],
    [{ incarnation: -1 }, 'incarnation is not a count'],
    [{ nodes: [node({}), node({})] }, 'nodes names node 1 twice'],
    [{ nodes: [node({ nodeId: 2 })] }, 'nodes does not name this node'],
    [{ nodes: [node({ peer: 'h' })] }, 'node 1 has no peer address'],
    [{ nodes: [node({ roles: ['king'] })] }, 'node 1 has no roles'],
    [{ groups: [group({ slots: [[0, 16]] })] }, 'group 1: a slot range is out of bounds'],
    [{ groups: [group({}), group({ groupId: 2 })] }, 'group 2: slot 0 has two owners'],
    [{ groups: [group({}), group({})] }, 'groups names group 1 twice'],
    [{ groups: [group({ replicas: null })] }, 'group 1: replicas is not a list'],
    [{ groups: [group({ weight: -1 })] }, 'group 1 has no weight'],
    [{ groups: [group({ made: undefined })] }, 'group 1: made is neither true nor false'],
  ]
  for (const [change, problem] of problems) {
    const text = JSON.stringify({ ...JSON.parse(encodeIdentity(sampleIdentity())), ...change })
    expect(failureOf(text)).toBe(`corrupt-identity: DIR/identity.json: ${problem}`)
  }
})

function group(change: object): object {
  return { ...sampleIdentity().groups[0], ...change }
}

function node(change: object): object {
  return { ...sampleIdentity().nodes[0], ...change }
}
