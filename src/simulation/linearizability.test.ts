import { describe, expect, it } from 'vitest'
import { Prng } from '../base/prng.ts'
import {
  at,
  bruteForceLinearizable,
  fewValues,
  getOrUniqueSet,
  linearizableHistory,
  mixedOperation,
} from './linearizability.testkit.ts'
import { type CheckVerdict, checkHistory } from './linearizability.ts'
import { type RegisterOperation, type RegisterRecord, type RegisterResult, registerModel } from './register-model.ts'
import type { Model } from './sequential-model.ts'

const get: RegisterOperation = { kind: 'get' }
const del: RegisterOperation = { kind: 'del' }
const incr: RegisterOperation = { kind: 'incr', by: 1 }
const ok: RegisterResult = { kind: 'ok' }
const set = (value: string): RegisterOperation => ({ kind: 'set', value })
const append = (value: string): RegisterOperation => ({ kind: 'append', value })
const cas = (expected: string | null, value: string): RegisterOperation => ({ kind: 'cas', expected, value })
const found = (value: string | null): RegisterResult => ({ kind: 'value', value })
const current = (value: string | null): RegisterResult => ({ kind: 'current', value })
const number = (value: number): RegisterResult => ({ kind: 'number', value })

const check = (history: readonly RegisterRecord[], maxStepsPerKey?: number): CheckVerdict =>
  checkHistory(registerModel, history, { maxStepsPerKey })

describe('good histories by hand', () => {
  const good: Record<string, RegisterRecord[]> = {
    'nothing at all': [],
    'a concurrent read may see the old or the new value': [
      at(1, 10, set('a'), ok),
      at(2, 3, get, found(null), 2),
      at(4, 5, get, found('a'), 2),
      at(6, 7, get, found('a'), 3),
    ],
    'an unknown write that took effect late': [
      at(1, 2, set('a'), 'unknown'),
      at(3, 4, set('b'), ok),
      at(5, 6, get, found('b')),
      at(7, 8, get, found('a')),
    ],
    'an unknown write that never happened': [at(1, 2, set('a'), 'unknown'), at(3, 4, get, found(null))],
    'a failed write may be returned by nothing, and bounds nothing': [
      at(1, 2, set('a'), 'failed'),
      at(3, 4, get, found(null)),
    ],
    'two unknown increments, one of which happened': [
      at(1, 2, incr, 'unknown'),
      at(3, 4, incr, 'unknown'),
      at(5, 6, incr, number(2)),
      at(7, 8, incr, number(4)),
    ],
    'a race of compare-and-set with one winner': [
      at(1, 10, cas(null, 'a'), current('c'), 1),
      at(2, 11, cas(null, 'b'), current('c'), 2),
      at(3, 12, cas(null, 'c'), ok, 3),
    ],
    'deletes and appends': [
      at(1, 2, append('ab'), number(2)),
      at(3, 4, append('c'), number(3)),
      at(5, 6, get, found('abc')),
      at(7, 8, incr, { kind: 'not-an-integer' }),
      at(9, 10, del, number(1)),
      at(11, 12, del, number(0)),
      at(13, 14, incr, number(1)),
    ],
    'a write stands behind a later-called one': [
      at(1, 10, set('a'), ok),
      at(2, 3, set('b'), ok, 2),
      at(11, 12, get, found('a'), 2),
    ],
  }
  for (const [name, history] of Object.entries(good)) {
    it(name, () => {
      expect(check(history).kind).toBe('linearizable')
      expect(bruteForceLinearizable(history)).toBe(true)
    })
  }
})

describe('bad histories by hand', () => {
  /** Each with the number of operations that the explanation should need. */
  const bad: Record<string, { readonly core: number; readonly history: RegisterRecord[] }> = {
    'stale read': {
      core: 3,
      history: [at(1, 2, set('a'), ok), at(3, 4, set('b'), ok), at(5, 6, get, found('b')), at(7, 8, get, found('a'))],
    },
    'read of what was never written': { core: 1, history: [at(1, 2, set('a'), ok), at(3, 4, get, found('x'))] },
    'lost write': { core: 2, history: [at(1, 2, set('a'), ok), at(3, 4, get, found(null), 2)] },
    'lost update': { core: 2, history: [at(1, 9, incr, number(1)), at(2, 10, incr, number(1), 2)] },
    'increment applied twice': {
      core: 1,
      history: [at(1, 2, set('5'), ok), at(3, 4, incr, number(6)), at(5, 6, get, found('7'))],
    },
    'unknown increment applied twice': {
      core: 1,
      history: [at(1, 2, incr, 'unknown'), at(3, 4, get, found('2'))],
    },
    'dirty read of a failed write': {
      core: 1,
      history: [at(1, 2, set('a'), 'failed'), at(3, 4, get, found('a'), 2)],
    },
    'resurrected value': {
      core: 2,
      history: [at(1, 2, set('a'), ok), at(3, 4, del, number(1)), at(5, 6, get, found('a'))],
    },
    'reads of one concurrent write go backwards': {
      core: 2,
      history: [at(1, 20, set('a'), ok), at(2, 3, get, found('a'), 2), at(4, 5, get, found(null), 3)],
    },
    'an unknown write seen before it was called': {
      core: 1,
      history: [at(1, 2, get, found('a')), at(3, 4, set('a'), 'unknown')],
    },
    'two winners of one compare-and-set': {
      core: 2,
      history: [at(1, 10, cas(null, 'a'), ok), at(2, 11, cas(null, 'b'), ok, 2)],
    },
    'a compare-and-set that found what was gone': {
      core: 3,
      history: [at(1, 2, set('a'), ok), at(3, 4, set('b'), ok), at(5, 6, cas('x', 'c'), current('a'))],
    },
    'append applied twice': {
      core: 1,
      history: [at(1, 2, append('x'), number(1)), at(3, 4, get, found('xx'))],
    },
    'delete that removed nothing of what was there': {
      core: 2,
      history: [at(1, 2, set('a'), ok), at(3, 4, del, number(0))],
    },
  }
  for (const [name, { core, history }] of Object.entries(bad)) {
    it(name, () => {
      const verdict = check(history)
      expect(verdict.kind).toBe('violation')
      expect(bruteForceLinearizable(history)).toBe(false)
      const lines = verdict.kind === 'violation' ? verdict.explanation.split('\n') : []
      expect(lines.filter((line) => line.startsWith('  ') && line.includes('|')).length).toBe(core)
    })
  }

  it('prints only what contradicts, in order, with the culprit marked', () => {
    const noise = Array.from({ length: 300 }, (_, i) => [
      at(10 * i + 1, 10 * i + 4, set(`n${i}`), ok, 7),
      at(10 * i + 5, 10 * i + 8, get, found(`n${i}`), 8),
    ]).flat()
    const history = [
      ...noise,
      at(4001, 4003, set('a'), ok, 1),
      at(4005, 4009, set('b'), ok, 2),
      at(4010, 4014, get, found('a'), 3),
      at(4015, 4016, get, found('b'), 3),
    ]
    const verdict = check(history)
    expect(verdict.kind === 'violation' ? verdict.explanation : verdict.kind).toBe(
      [
        'key "k": no order of its operations gives get -> "a" (client 3).',
        "These operations alone contradict each other, whatever the key's other 601 did:",
        '  |----|                             client 1  4001.000 .. 4003.000 ms  set "a" -> ok',
        '            |--------|               client 2  4005.000 .. 4009.000 ms  set "b" -> ok',
        '                       |---------|   client 3  4010.000 .. 4014.000 ms  get -> "a"   <== fits nowhere',
        'Before the marked return the key could hold: "b".',
        'Other writes, of what the marked one found or last before its return:',
        '  client 7  2961.000 .. 2964.000 ms  set "n296" -> ok',
        '  client 7  2971.000 .. 2974.000 ms  set "n297" -> ok',
        '  client 7  2981.000 .. 2984.000 ms  set "n298" -> ok',
        '  client 7  2991.000 .. 2994.000 ms  set "n299" -> ok',
      ].join('\n'),
    )
  })

  it('names the failed write behind a dirty read', () => {
    const verdict = check([at(1, 2, set('a'), 'failed', 4), at(3, 4, get, found('a'), 2)])
    expect(verdict.kind === 'violation' ? verdict.explanation : '').toContain(
      'client 4  1.000 .. 2.000 ms  set "a" (failed)',
    )
  })
})

describe('against the definition, tried out literally', () => {
  const results: RegisterResult[] = [
    ok,
    ok,
    found(null),
    found('1'),
    found('2'),
    current('1'),
    current(null),
    number(0),
    number(1),
    number(2),
    { kind: 'not-an-integer' },
  ]

  /** Any operation with any result that its kind allows, over random intervals: mostly nonsense. */
  function anyHistory(random: Prng): RegisterRecord[] {
    const length = random.between(1, 7)
    const places = Array.from({ length: 2 * length }, (_, i) => i)
    for (let i = places.length - 1; i > 0; i--) {
      const j = random.below(i + 1)
      ;[places[i], places[j]] = [places[j], places[i]]
    }
    return Array.from({ length }, (_, i) => {
      const operation = fewValues(random)
      const dice = random.unit()
      const outcome = dice < 0.25 ? 'unknown' : dice < 0.3 ? 'failed' : fittingResult(random, operation)
      const [a, b] = [places[2 * i], places[2 * i + 1]]
      return at(Math.min(a, b), Math.max(a, b), operation, outcome, i)
    })
  }

  function fittingResult(random: Prng, operation: RegisterOperation): RegisterResult {
    const kinds: Record<RegisterOperation['kind'], RegisterResult['kind'][]> = {
      get: ['value'],
      set: ['ok'],
      cas: ['ok', 'current'],
      del: ['number'],
      incr: ['number', 'not-an-integer'],
      append: ['number'],
    }
    return random.pick(results.filter((result) => kinds[operation.kind].includes(result.kind)))
  }

  it('says the same on 30,000 tiny histories of random results', () => {
    const random = new Prng(1)
    const counts = { linearizable: 0, violation: 0 }
    for (let i = 0; i < 30_000; i++) {
      const history = anyHistory(random)
      const expected = bruteForceLinearizable(history) ? 'linearizable' : 'violation'
      if (check(history).kind !== expected) expect.fail(`expected ${expected}: ${JSON.stringify(history)}`)
      counts[expected]++
    }
    expect(Math.min(counts.linearizable, counts.violation)).toBeGreaterThan(5_000)
  })

  it('says the same on 5,000 tiny histories that are nearly right', () => {
    const random = new Prng(2)
    const counts = { linearizable: 0, violation: 0 }
    for (let seed = 0; seed < 5_000; seed++) {
      const good = linearizableHistory({
        seed,
        clients: 4,
        keys: 1,
        operations: 9,
        unknownChance: 0.25,
        failedChance: 0.05,
        nextOperation: fewValues,
      })
      expect(check(good).kind).toBe('linearizable')
      const spoilt = random.below(good.length)
      const history = good.map((record, i) =>
        i === spoilt && record.outcome.kind === 'ok'
          ? { ...record, outcome: { kind: 'ok', result: fittingResult(random, record.operation) } as const }
          : record,
      )
      const expected = bruteForceLinearizable(history) ? 'linearizable' : 'violation'
      if (check(history).kind !== expected)
        expect.fail(`seed ${seed}, expected ${expected}: ${JSON.stringify(history)}`)
      counts[expected]++
    }
    expect(Math.min(counts.linearizable, counts.violation)).toBeGreaterThan(1_000)
  })

  it('needs the cuts for speed only: without the facts they rest on, the verdicts are the same', () => {
    const plain: Model<string | null, RegisterOperation, RegisterResult> = {
      ...registerModel,
      isReadOnly: () => false,
      isBlind: () => false,
      sourceState: () => undefined,
      targetState: () => undefined,
      mayLeadTo: () => true,
    }
    const counts = { linearizable: 0, violation: 0, undecided: 0 }
    for (let seed = 0; seed < 160; seed++) {
      const history = linearizableHistory({
        seed,
        clients: 4,
        keys: 1,
        operations: 40,
        unknownChance: 0.05,
        failedChance: 0.05,
        nextOperation: seed % 2 === 0 ? fewValues : mixedOperation,
        distort: (result, _, sequence) => (sequence === 25 && result.kind === 'value' ? found('1') : result),
      })
      const verdict = check(history)
      const slow = checkHistory(plain, history, { maxStepsPerKey: 400_000 })
      counts[slow.kind]++
      if (slow.kind !== 'undecided') expect(verdict.kind).toBe(slow.kind)
    }
    expect(counts.linearizable).toBeGreaterThan(80)
    expect(counts.violation).toBeGreaterThan(10)
    expect(counts.undecided).toBeLessThan(16)
  })
})

describe('size', () => {
  it.each([
    {
      name: 'all kinds of operations',
      nextOperation: mixedOperation,
      unknownChance: 0.01,
      operations: 200_000,
      keys: 100,
    },
    { name: 'gets and unique sets', nextOperation: getOrUniqueSet, unknownChance: 0.05, operations: 50_000, keys: 25 },
    { name: 'values that come back', nextOperation: fewValues, unknownChance: 0.01, operations: 50_000, keys: 25 },
  ])('$name: $operations operations over $keys keys', ({ nextOperation, unknownChance, operations, keys }) => {
    const history = linearizableHistory({
      seed: 11,
      clients: keys,
      keys,
      operations,
      unknownChance,
      failedChance: 0.01,
      nextOperation,
    })
    const verdict = check(history)
    expect(verdict.kind).toBe('linearizable')
    // A step costs a fraction of a microsecond: this bound stands for seconds without a clock in the test.
    expect(verdict.steps).toBeLessThan(8 * operations)
  })

  it('one hot key under 64 clients', () => {
    const operations = 20_000
    const history = linearizableHistory({
      seed: 12,
      clients: 64,
      keys: 1,
      operations,
      unknownChance: 0.02,
      failedChance: 0,
      nextOperation: getOrUniqueSet,
    })
    const verdict = check(history)
    expect(verdict.kind).toBe('linearizable')
    expect(verdict.steps).toBeLessThan(30 * operations)
  })

  it('100 clients racing one compare-and-set, round after round', () => {
    const history = Array.from({ length: 50 }, (_, round) =>
      Array.from({ length: 100 }, (_, client) => {
        const from = round === 0 ? null : `r${round - 1}`
        const start = round * 1000 + client
        const won = client === 57
        return at(start, start + 500, cas(from, `r${round}`), won ? ok : current(`r${round}`), client)
      }),
    ).flat()
    const verdict = check(history)
    expect(verdict.kind).toBe('linearizable')
    expect(verdict.steps).toBeLessThan(5_000 * 10)
    const second = history.map((record) =>
      record.callOrder === 20_003 ? { ...record, outcome: { kind: 'ok', result: ok } as const } : record,
    )
    expect(check(second).kind).toBe('violation')
  })

  it('finds one stale read among 100,000 operations, and explains it in a few lines', () => {
    const stale = linearizableHistory({
      seed: 13,
      clients: 50,
      keys: 50,
      operations: 100_000,
      unknownChance: 0.01,
      failedChance: 0.01,
      nextOperation: getOrUniqueSet,
      distort: (result, operation, sequence) =>
        operation.kind === 'get' && sequence > 90_000 && sequence < 90_010 ? found(null) : result,
    })
    const verdict = check(stale)
    expect(verdict.kind).toBe('violation')
    if (verdict.kind === 'violation') expect(verdict.explanation.split('\n').length).toBeLessThan(12)
  })

  it('gives up where the bound is reached, and says on which key', () => {
    const history = linearizableHistory({
      seed: 14,
      clients: 32,
      keys: 1,
      operations: 2_000,
      unknownChance: 0.05,
      failedChance: 0,
      nextOperation: mixedOperation,
    })
    const verdict = check(history, 10_000)
    expect(verdict).toMatchObject({ kind: 'undecided', key: 'key0' })
    expect(verdict.steps).toBeLessThan(12_000)
  })

  it('a violation of one key wins over an undecided other', () => {
    const hard = linearizableHistory({
      seed: 14,
      clients: 32,
      keys: 1,
      operations: 2_000,
      unknownChance: 0.05,
      failedChance: 0,
      nextOperation: mixedOperation,
    })
    expect(check([...hard, at(1, 2, get, found('x'))], 10_000)).toMatchObject({ kind: 'violation', key: 'k' })
  })
})
