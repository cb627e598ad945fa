import { describe, expect, it } from 'vitest'
import { asLogIndex, asSlotId } from '../base/brand.ts'
import { FIRST_CURSOR, STAGE_KEYS } from '../protocol/move-command.ts'
import { DriverStory, partOf, R, standing, streamingAt } from './driver-story.testkit.ts'

const SLOT = asSlotId(0)

describe('an answer to a pull', () => {
  it('reads slot after slot until the bytes are used up, and says how far it came', () => {
    const story = new DriverStory('source', 4)
    story.readPart = (_id, slot, cursor) => partOf(slot, cursor, streamingAt(cursor.index + 1), 400)
    story.pulls(streamingAt(50))
    const { message } = story.sent[0]
    expect(message).toMatchObject({ type: 'parts', requestId: 1, appliedIndex: 100, logTimeMs: 5_000, slotsRead: 2 })
    expect(message.type === 'parts' && message.parts.map(({ slot }) => slot)).toEqual([0, 1])
  })

  it('takes a slot through its walk as far as there is room', () => {
    const story = new DriverStory('source', 2)
    const walk = { ...streamingAt(50), stage: STAGE_KEYS } as const
    story.readPart = (_id, slot, cursor) => {
      if (cursor.stage !== STAGE_KEYS) return null
      return partOf(slot, cursor, cursor.position < 2 ? { ...cursor, position: cursor.position + 1 } : streamingAt(50))
    }
    story.pulls(walk)
    const { message } = story.sent[0]
    expect(message.type === 'parts' && message.parts.map(({ slot }) => slot)).toEqual([0, 0, 0, 1, 1, 1])
  })

  it('looks at a bounded number of keys, whatever there is room for', () => {
    const story = new DriverStory('source', 100)
    let reads = 0
    const again = { ...streamingAt(50), stage: STAGE_KEYS, above: 10 } as const
    story.readPart = (_id, slot, cursor) => {
      reads++
      return { ...partOf(slot, cursor, { ...cursor, position: cursor.position + 1 }), items: [] }
    }
    story.pulls(again)
    expect(reads).toBeLessThanOrEqual(4)
  })

  it('trims the journal by what is confirmed, not by what is asked for, and never backwards', () => {
    const story = new DriverStory('source', 1)
    story.pulls(streamingAt(50), 0, streamingAt(90))
    story.pulls(streamingAt(40))
    story.pulls(streamingAt(60))
    expect(story.trimmed).toEqual(['0@50', '0@60'])
  })

  it('of a move that is over: ended, from applied state', () => {
    const story = new DriverStory('source', 1)
    story.phase = 'over'
    story.applied()
    story.pulls(streamingAt(50))
    expect(story.sent.at(-1)?.message).toMatchObject({ type: 'parts', standing: { kind: 'unknown' }, parts: [] })
    story.committed = true
    story.pulls(streamingAt(50))
    expect(story.sent.at(-1)?.message).toMatchObject({ type: 'parts', standing: { kind: 'ended' }, parts: [] })
  })
})

describe('DISABLE', () => {
  it('once every slot streams and nothing is left', () => {
    const story = new DriverStory('source', 2)
    story.pulls(FIRST_CURSOR)
    story.passes(10)
    story.pulls({ ...streamingAt(90), stage: STAGE_KEYS })
    expect(story.proposed).toEqual([])
    story.passes(10)
    story.pulls(streamingAt(90))
    expect(story.decisions()).toEqual(['disable'])
  })

  it('not while 256 KiB are to go: be it many keys, or a large value among few', () => {
    const many = new DriverStory('source', 1)
    many.pendingKeys = 20_000
    many.pulls(streamingAt(90))
    expect(many.proposed).toEqual([])
    const large = new DriverStory('source', 1)
    large.pendingKeys = 1
    large.readPart = (_id, slot, cursor) => partOf(slot, cursor, streamingAt(100), 300 * 1024)
    large.pulls(streamingAt(90))
    expect(large.proposed).toEqual([])
    large.passes(10)
    large.readPart = (_id, slot, cursor) => partOf(slot, cursor, streamingAt(100), 200 * 1024)
    large.pulls(streamingAt(90))
    expect(large.decisions()).toEqual(['disable'])
  })

  it('not where this leader has not applied yet what is confirmed', () => {
    const story = new DriverStory('source', 1)
    story.appliedIndex = 80
    story.pulls(streamingAt(90))
    expect(story.proposed).toEqual([])
  })

  it('once, however many pulls come; again only after a pause where it was not done', () => {
    const story = new DriverStory('source', 1)
    for (let i = 0; i < 5; i++) {
      story.pulls(streamingAt(90))
      story.passes(6)
    }
    expect(story.decisions()).toEqual(['disable'])
    story.settles('disable', 'unknown proposal')
    story.pulls(streamingAt(90))
    expect(story.proposed).toEqual([])
    story.passes(10)
    story.pulls(streamingAt(90))
    expect(story.decisions()).toEqual(['disable'])
  })

  it('a proposal that nobody answers counts as unknown after 10 s', () => {
    const story = new DriverStory('source', 1)
    story.pulls(streamingAt(90))
    story.forget()
    story.passes(9_900)
    story.pulls(streamingAt(90))
    expect(story.proposed).toEqual([])
    story.passes(200)
    story.pulls(streamingAt(90))
    expect(story.decisions()).toEqual(['disable'])
  })
})

describe('a cancel', () => {
  it('is proposed in place of DISABLE, with the fence of its master, until it is done', () => {
    const story = new DriverStory('source', 1)
    expect(story.migration.cancel(R, 77, story.nowMs)).toBe(true)
    story.take()
    expect(story.proposed[0].command).toEqual({ kind: 'cancel', reconfigId: R, fence: 77 })
    story.pulls(streamingAt(90))
    story.settles('cancel', 'unknown proposal')
    story.pulls(streamingAt(90))
    expect(story.proposed).toEqual([])
    story.passes(10)
    expect(story.decisions()).toEqual(['cancel'])
    story.phase = 'over'
    story.settles('cancel', 'done')
    expect(story.migration.progress(story.nowMs)).toMatchObject([{ phase: 'cancelled' }])
    expect(story.migration.cancel(R, 77, story.nowMs)).toBe(false)
  })

  it.each(['too-late', 'fenced'] as const)('that is %s is given up, and the move goes on', (outcome) => {
    const story = new DriverStory('source', 1)
    story.migration.cancel(R, 1, story.nowMs)
    story.take()
    story.settles('cancel', outcome)
    story.passes(100)
    story.pulls(streamingAt(90))
    expect(story.decisions()).toEqual(['disable'])
  })
})

describe('after DISABLE', () => {
  function disabled(): DriverStory {
    const story = new DriverStory('source', 1)
    story.pulls(streamingAt(90))
    story.phase = 'disabled'
    story.disableIndex = 101
    story.appliedIndex = 101
    story.sent = []
    story.settles('disable', 'done')
    return story
  }

  it('gives what is left with the answer that tells of it', () => {
    const story = disabled()
    let through = 0
    story.readPart = (_id, _slot, _cursor, throughIndex) => {
      through = throughIndex
      return null
    }
    story.pulls(streamingAt(90))
    expect(through).toBe(101)
    expect(story.sent.at(-1)?.message).toMatchObject({ standing: { kind: 'disabled', disableIndex: 101 } })
  })

  it('asks until it is settled, ever more slowly, whoever pulled last first', () => {
    const story = disabled()
    expect(story.sentKinds()).toEqual(['ask to 21'])
    const pausesMs: number[] = []
    for (let i = 0; i < 9; i++) {
      const ask = story.sent[0].message
      story.hears({ ...story.envelope(ask.requestId), type: 'answer', standing: standing('staging') })
      const fromMs = story.nowMs
      story.sent = []
      while (story.sent.length === 0) story.passes(1)
      pausesMs.push(story.nowMs - fromMs)
    }
    expect(pausesMs).toEqual([5, 10, 20, 40, 80, 160, 320, 500, 500])
    expect(story.proposed).toEqual([])
  })

  it('begins to ask as soon as DISABLE is applied, also where a former leader had proposed it', () => {
    const story = new DriverStory('source', 1)
    expect(story.sent).toEqual([])
    story.phase = 'disabled'
    story.disableIndex = 101
    story.applied()
    expect(story.sentKinds()).toEqual(['ask to 21'])
  })

  it('committed: FORGET, and again until it is applied', () => {
    const story = disabled()
    story.hears({ ...story.envelope(0), type: 'answer', standing: standing('committed') })
    expect(story.decisions()).toEqual(['forget'])
    story.settles('forget', 'unknown proposal')
    story.passes(10)
    expect(story.decisions()).toEqual(['forget'])
    expect(story.migration.progress(story.nowMs)).toMatchObject([{ phase: 'cleaning' }])
    story.phase = 'over'
    story.owns = false
    story.settles('forget', 'done')
    expect(story.migration.progress(story.nowMs)).toMatchObject([{ phase: 'done' }])
  })

  it('refused: RESUME', () => {
    const story = disabled()
    story.hears({ ...story.envelope(0), type: 'answer', standing: standing('refused') })
    expect(story.decisions()).toEqual(['resume'])
    story.phase = 'over'
    story.settles('resume', 'done')
    expect(story.migration.progress(story.nowMs)).toMatchObject([{ phase: 'failed' }])
  })

  it('neither of these where the answer is that nothing is known', () => {
    const story = disabled()
    for (const kind of ['unknown', 'staging'] as const) {
      story.hears({ ...story.envelope(0), type: 'answer', standing: standing(kind) })
      story.passes(1_000)
    }
    expect(story.proposed).toEqual([])
  })
})

it('a destination that has refused before DISABLE says so when it asks: RESUME', () => {
  const story = new DriverStory('source', 1)
  const ask = { ...story.envelope(4), type: 'ask', asked: 'source', slots: [SLOT] } as const
  story.hears({ ...ask, own: standing('staging') })
  expect(story.proposed).toEqual([])
  story.hears({ ...ask, own: standing('refused') })
  expect(story.decisions()).toEqual(['resume'])
  expect(story.sent.at(-1)?.message).toMatchObject({ type: 'answer', standing: { kind: 'begun' } })
})

it('writes are throttled after 10 s of streaming, and free again once the slots are gone', () => {
  const story = new DriverStory('source', 1)
  story.pendingKeys = 100_000
  for (let i = 0; i < 1_000; i++) {
    expect(story.migration.admittedBytesPerSecond(SLOT, story.nowMs)).toBe(null)
    story.pulls(streamingAt(50), i * 1_000)
    story.passes(10)
  }
  story.pulls(streamingAt(50), 1_000_000)
  const admitted = story.migration.admittedBytesPerSecond(SLOT, story.nowMs) ?? 0
  expect(Math.round(admitted / 1_000)).toBe(50)
  story.phase = 'disabled'
  expect(story.migration.admittedBytesPerSecond(SLOT, story.nowMs)).toBe(null)
  expect(story.migration.admittedBytesPerSecond(asSlotId(9), story.nowMs)).toBe(null)
})

describe('replies near the end', () => {
  function near(): DriverStory {
    const story = new DriverStory('source', 1)
    story.migration.cancel(R, 1, story.nowMs)
    story.pulls(streamingAt(90))
    return story
  }

  it('wait for the destination, and go when it has confirmed', () => {
    const story = near()
    expect(story.migration.holdsReply(SLOT, asLogIndex(101), 10, story.nowMs)).toBe(true)
    story.pulls(streamingAt(100))
    expect(story.migration.takeReleasedReplies(story.nowMs)).toEqual([])
    story.pulls(streamingAt(101))
    expect(story.migration.takeReleasedReplies(story.nowMs)).toEqual([101])
  })

  it('the node is told when they are due: 50 ms', () => {
    const story = near()
    const fromMs = story.nowMs
    story.migration.holdsReply(SLOT, asLogIndex(101), 10, story.nowMs)
    expect(story.migration.dueMs).toBeLessThanOrEqual(fromMs + 50)
    expect(story.migration.takeReleasedReplies(fromMs + 49)).toEqual([])
    expect(story.migration.takeReleasedReplies(fromMs + 50)).toEqual([101])
  })

  it('none waits while much is to go, or for a destination that is silent', () => {
    const story = near()
    story.passes(201)
    expect(story.migration.holdsReply(SLOT, asLogIndex(101), 10, story.nowMs)).toBe(false)
    story.pendingKeys = 1_000_000
    story.pulls(streamingAt(90))
    expect(story.migration.holdsReply(SLOT, asLogIndex(101), 10, story.nowMs)).toBe(false)
  })

  it('all go when the move is over', () => {
    const story = near()
    story.migration.holdsReply(SLOT, asLogIndex(101), 10, story.nowMs)
    story.phase = 'over'
    story.applied()
    expect(story.migration.takeReleasedReplies(story.nowMs)).toEqual([101])
  })
})
