// The model that whole clusters are compared with, compared with a real Redis itself: the same commands, the same replies.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Prng } from '../base/prng.ts'
import { encodeRequest, RawClient, type RealRedis, startRealRedis } from '../server/resp/tcp-door.testkit.ts'
import { CommandGenerator } from './command-generator.ts'
import { RedisModel } from './redis-model.ts'
import { sameReply } from './reply-comparison.ts'

let redis: RealRedis

beforeAll(async () => {
  redis = await startRealRedis()
})

afterAll(async () => {
  await redis?.stop()
})

/** More: QUORATE_MODEL_SEEDS=1000 npx vitest run src/simulation/redis-model.test.ts, a thousand commands a seed. */
const SEEDS = Number(process.env.QUORATE_MODEL_SEEDS ?? 110)
/** The two clocks differ by what one command takes, and 1000 s from now may or may not be later than 1000 s from a moment ago. */
const CLOSE = new Set(['expire', 'pexpire'])

async function compare(seed: number, protocol: 2 | 3): Promise<Set<string>> {
  const random = new Prng(seed)
  const generator = new CommandGenerator(random)
  const model = new RedisModel({ expiry: 'clock', roughTimes: true }, protocol)
  const client = await RawClient.connect(redis.port)
  await client.replies(encodeRequest(['hello', String(protocol)]) + encodeRequest(['flushall']), 2)
  const names = new Set<string>()
  for (let sent = 0; sent < 1000; ) {
    const batch = Array.from({ length: 1 + random.below(12) }, () => generator.next())
    model.nowMs = Date.now()
    const replies = await client.replies(batch.map(encodeRequest).join(''), batch.length)
    for (const [i, words] of batch.entries()) {
      const expected = model.run(words)
      const name = words[0].toLowerCase()
      const close = CLOSE.has(name) && ['gt', 'lt'].includes(words[3]?.toLowerCase())
      const same = close ? /^:[01]\r\n$/.test(replies[i]) : sameReply(words, expected, replies[i])
      if (!same) expect(replies[i], `seed ${seed}, command ${sent + i}: ${JSON.stringify(words)}`).toBe(expected)
      names.add(name)
    }
    sent += batch.length
  }
  client.end()
  return names
}

describe('the model is Redis', () => {
  it.each(Array.from({ length: SEEDS }, (_, i) => 1000 + i))(
    'in its replies to random commands, seed %i',
    async (seed) => {
      const names = await compare(seed, seed % 2 === 0 ? 2 : 3)
      expect(names.size).toBeGreaterThan(60)
    },
  )
})
