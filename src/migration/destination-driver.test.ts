import { describe, expect, it } from 'vitest'
import { asNodeId, asSlotId } from '../base/brand.ts'
import { FIRST_CURSOR } from '../protocol/move-command.ts'
import { DriverStory, partOf, R, standing, streamingAt } from './driver-story.testkit.ts'

const SLOT = asSlotId(0)

describe('pulling', () => {
  it('goes on from what was proposed, before it is applied; four STAGE entries at most are under way', () => {
    const story = new DriverStory('destination', 1)
    let at = FIRST_CURSOR
    for (let i = 1; i <= 4; i++) {
      expect(story.lastPull.slots[0].cursor).toEqual(at)
      expect(story.lastPull.slots[0].confirmed).toEqual(FIRST_CURSOR)
      const next = streamingAt(i)
      story.answers([partOf(0, at, next)])
      at = next
    }
    expect(story.decisions()).toEqual(['stage', 'stage', 'stage', 'stage'])
    story.forget()
    story.passes(1_000)
    expect(story.sent).toEqual([])
  })

  it('a STAGE that was not done: waits for all that are under way, then begins again with what is applied', () => {
    for (const outcome of ['other-cursor', 'refused proposal', 'unknown proposal'] as const) {
      const story = new DriverStory('destination', 1)
      story.answers([partOf(0, FIRST_CURSOR, streamingAt(1))])
      story.answers([partOf(0, streamingAt(1), streamingAt(2))])
      story.settles('stage', outcome)
      story.answers([partOf(0, streamingAt(2), streamingAt(3))])
      expect(story.decisions()).toEqual(['stage'])
      story.sent = []
      story.passes(300)
      expect(story.sent).toEqual([])
      story.settles('stage', 'other-cursor')
      expect(story.sent).toEqual([])
      expect(story.passes(10).length).toBeGreaterThan(0)
      expect(story.lastPull.slots[0].cursor).toEqual(FIRST_CURSOR)
    }
  })

  it('retries a STAGE that is not done ever more slowly, and asks for less where it is refused', () => {
    const story = new DriverStory('destination', 1)
    const pausesMs: number[] = []
    for (let i = 0; i < 9; i++) {
      story.answers([partOf(0, FIRST_CURSOR, streamingAt(100))])
      story.settles('stage', 'refused proposal')
      const fromMs = story.nowMs
      story.sent = []
      while (story.sent.length === 0) story.passes(1)
      pausesMs.push(story.nowMs - fromMs)
    }
    expect(pausesMs).toEqual([5, 10, 20, 40, 80, 160, 320, 500, 500])
    const large = new DriverStory('destination', 1, { maxStageBytes: 8_000 })
    large.answers([partOf(0, FIRST_CURSOR, streamingAt(100))])
    large.settles('stage', 'refused proposal')
    large.passes(5)
    expect(large.lastPull.maxBytes).toBe(4_000)
  })

  it('where there is nothing new, after 2 ms, 4, 8 ... 50; news begin anew', () => {
    const story = new DriverStory('destination', 1)
    story.answers([partOf(0, FIRST_CURSOR, streamingAt(100))])
    story.settles('stage', 'done')
    const pauses = (count: number): number[] => {
      const found: number[] = []
      while (found.length < count) {
        story.sent = []
        const fromMs = story.nowMs
        while (story.sent.length === 0) story.passes(1)
        found.push(story.nowMs - fromMs)
        story.answers([])
      }
      return found
    }
    expect(pauses(7)).toEqual([2, 4, 8, 16, 32, 50, 50])
    story.passes(50)
    story.answers([partOf(0, streamingAt(100), streamingAt(105))], { appliedIndex: 105 })
    expect(pauses(3)).toEqual([2, 4, 8])
  })

  it('at once where a slot has more', () => {
    const story = new DriverStory('destination', 1)
    story.answers([partOf(0, FIRST_CURSOR, streamingAt(90))], { appliedIndex: 100 })
    expect(story.lastPull.slots[0].cursor).toEqual(streamingAt(90))
  })

  it('names the slots in rotation: those that the source did not look at come first', () => {
    const story = new DriverStory('destination', 5)
    const named = (): number[] => story.lastPull.slots.map(({ slot }) => slot)
    expect(named()).toEqual([0, 1, 2, 3, 4])
    story.answers([partOf(0, FIRST_CURSOR, streamingAt(1))], { slotsRead: 2, appliedIndex: 1 })
    expect(named()).toEqual([2, 3, 4, 0, 1])
    story.answers([partOf(2, FIRST_CURSOR, streamingAt(1))], { slotsRead: 1, appliedIndex: 1 })
    expect(named()).toEqual([3, 4, 0, 1, 2])
  })

  it('several pulls of different slots at once, as soon as the node has answered one; and one where it falls silent', () => {
    const story = new DriverStory('destination', 100)
    const pulls = () => story.sent.flatMap(({ message }) => (message.type === 'pull' ? [message] : []))
    const named = (): number[][] => pulls().map(({ slots }) => slots.map(({ slot }) => slot))
    expect(named().map((slots) => slots.length)).toEqual([32])
    story.answers([partOf(0, FIRST_CURSOR, streamingAt(1))], { slotsRead: 1 })
    // The STAGE under way leaves room for all four; the slot that was looked at comes last.
    expect(named().map((slots) => slots.length)).toEqual([32, 25, 25, 25, 25])
    expect(new Set(named().slice(1).flat()).size).toBe(100)
    expect(named().at(-1)?.at(-1)).toBe(0)
    const [, , third] = pulls()
    story.forget()
    // One comes to nothing, so do the others; their answers count all the same where they fit.
    story.unreachable(21)
    story.passes(10)
    expect(named().map((slots) => slots.length)).toEqual([25])
    const { slot } = third.slots[0]
    story.hears({
      ...story.envelope(third.requestId),
      type: 'parts',
      standing: standing('begun'),
      appliedIndex: 100,
      logTimeMs: 0,
      lag: { keys: 0, bytes: 0 },
      slotsRead: 1,
      parts: [partOf(slot, FIRST_CURSOR, streamingAt(100))],
    })
    expect(story.decisions()).toEqual(['stage'])
  })

  it('a part that does not follow is left out, whoever asked for it', () => {
    const story = new DriverStory('destination', 1)
    story.answers([partOf(0, FIRST_CURSOR, streamingAt(50))])
    story.answers([partOf(0, FIRST_CURSOR, streamingAt(60))])
    expect(story.decisions()).toEqual(['stage'])
    // Late, but it follows.
    story.hears({
      ...story.envelope(999),
      type: 'parts',
      standing: standing('begun'),
      appliedIndex: 100,
      logTimeMs: 0,
      lag: { keys: 0, bytes: 0 },
      slotsRead: 1,
      parts: [partOf(0, streamingAt(50), streamingAt(100))],
    })
    expect(story.decisions()).toEqual(['stage', 'stage'])
  })

  it('keeps to its bytes per second, until the source has let go', () => {
    const story = new DriverStory('destination', 1, { bytesPerSecond: 10_000 })
    expect(story.lastPull.maxBytes).toBe(1000)
    story.answers([partOf(0, FIRST_CURSOR, streamingAt(50), 3_000)])
    story.sent = []
    story.passes(200)
    expect(story.sent).toEqual([])
    story.passes(120)
    expect(story.sentKinds()).toEqual(['pull to 21'])
    story.answers([partOf(0, streamingAt(50), streamingAt(60), 9_000)], { standing: standing('disabled', 99) })
    expect(story.lastPull).toMatchObject({ maxBytes: 1000, throughIndex: 99 })
  })
})

describe('another node of the source', () => {
  it('after silence, each longer than the one before, and a pause that grows', () => {
    const story = new DriverStory('destination', 1)
    const startMs = story.nowMs
    story.forget()
    const sent: [number, number][] = []
    while (sent.length < 5) {
      story.passes(1)
      for (const { to } of story.sent) sent.push([to, story.nowMs - startMs])
      story.sent = []
    }
    expect(sent.map(([to]) => to)).toEqual([22, 23, 21, 22, 23])
    const gaps = sent.map(([, at], i) => at - (sent[i - 1]?.[1] ?? 0))
    expect(gaps).toEqual([310, 620, 1240, 2480, 4960])
  })

  it('where a redirect points, at once for the first time; not in circles', () => {
    const story = new DriverStory('destination', 1)
    const redirect = (leader: number | null): void => {
      const node = leader === null ? null : { nodeId: asNodeId(leader), address: `node-${leader}` }
      const { requestId } = story.lastPull
      story.sent = []
      story.hears({ ...story.envelope(requestId), type: 'redirect', leader: node })
    }
    redirect(23)
    expect(story.sentKinds()).toEqual(['pull to 23'])
    redirect(21)
    expect(story.sent).toEqual([])
    story.passes(20)
    expect(story.sentKinds()).toEqual(['pull to 21'])
    redirect(null)
    story.passes(40)
    expect(story.sentKinds()).toEqual(['pull to 22'])
    // One that the move did not begin with has joined since.
    redirect(29)
    story.passes(80)
    expect(story.sentKinds()).toEqual(['pull to 29'])
  })

  it('at once when the connection breaks, as far as the pause allows', () => {
    const story = new DriverStory('destination', 1)
    story.sent = []
    story.unreachable(21)
    story.passes(10)
    expect(story.sentKinds()).toEqual(['pull to 22'])
    story.unreachable(21)
    story.passes(100)
    expect(story.sentKinds()).toEqual(['pull to 22'])
  })
})

describe('the hand-over', () => {
  it('proposes the last STAGE and ENABLE back to back', () => {
    const story = new DriverStory('destination', 1)
    story.answers([partOf(0, FIRST_CURSOR, streamingAt(99))], { standing: standing('disabled', 99) })
    expect(story.decisions()).toEqual(['stage', 'enable'])
    expect(story.proposed[1].command).toMatchObject({ disableIndex: 99, sourceLogTimeMs: 7_000 })
  })

  it('begins as soon as the source says that it has let go, however slow the polls are by then', () => {
    const story = new DriverStory('destination', 1, { bytesPerSecond: 1_000 })
    story.answers([partOf(0, FIRST_CURSOR, streamingAt(100), 5_000)])
    story.settles('stage', 'done')
    story.sent = []
    story.passes(100)
    expect(story.sent).toEqual([])
    story.hears({
      ...story.envelope(1),
      type: 'ask',
      asked: 'destination',
      own: standing('disabled', 110),
      slots: [SLOT],
    })
    expect(story.sentKinds()).toEqual(['answer to 21', 'pull to 21'])
    // Not yet: the source's log time is not known, and expired keys would be back.
    expect(story.proposed).toEqual([])
    story.answers([partOf(0, streamingAt(100), streamingAt(110))], { standing: standing('disabled', 110) })
    expect(story.decisions()).toEqual(['stage', 'enable'])
  })

  it('not before every slot is through, and pulls for those at once', () => {
    const story = new DriverStory('destination', 2)
    const handed = { standing: standing('disabled', 99) }
    story.answers([partOf(0, FIRST_CURSOR, streamingAt(99)), partOf(1, FIRST_CURSOR, streamingAt(98))], handed)
    expect(story.decisions()).toEqual(['stage'])
    expect(story.lastPull.slots.map(({ slot }) => slot)).toEqual([1])
    story.answers([partOf(1, streamingAt(98), streamingAt(99))], handed)
    expect(story.decisions()).toEqual(['stage', 'stage', 'enable'])
  })

  it('of many slots: one round of pulls, sent together', () => {
    const story = new DriverStory('destination', 128, { maxStageBytes: 100_000 })
    for (const slot of story.cursors.keys()) story.cursors.set(slot, streamingAt(98))
    // Drivers begin with applied state: this is the new leader's.
    story.phase = 'over'
    story.applied()
    story.phase = 'staging'
    story.forget()
    story.applied()
    const handed = {
      ...story.envelope(story.lastPull.requestId),
      type: 'parts',
      standing: standing('disabled', 99),
    } as const
    const told = { logTimeMs: 7_000, lag: { keys: 0, bytes: 0 }, appliedIndex: 100 }
    const partsOf = (slots: number[]) => slots.map((slot) => partOf(slot, streamingAt(98), streamingAt(99)))
    const first = story.lastPull.slots.map(({ slot }) => slot)
    story.sent = []
    story.hears({ ...handed, ...told, slotsRead: first.length, parts: partsOf(first) })
    const rest = story.sent.flatMap(({ message }) => (message.type === 'pull' ? [message] : []))
    expect(rest.map(({ slots }) => slots.length)).toEqual([32, 32, 32])
    for (const pull of rest) {
      const slots = pull.slots.map(({ slot }) => slot)
      story.hears({ ...handed, ...told, requestId: pull.requestId, slotsRead: slots.length, parts: partsOf(slots) })
    }
    expect(story.decisions()).toEqual(['stage', 'stage', 'stage', 'stage', 'enable'])
  })

  it('an ENABLE that comes too early: looks at what is applied, pulls the rest, and tries again', () => {
    const story = new DriverStory('destination', 1)
    const handed = { standing: standing('disabled', 99) }
    story.answers([partOf(0, FIRST_CURSOR, streamingAt(99))], handed)
    story.settles('stage', 'unknown proposal')
    story.settles('enable', 'too-early')
    story.passes(20)
    expect(story.lastPull.slots[0].cursor).toEqual(FIRST_CURSOR)
    story.answers([partOf(0, FIRST_CURSOR, streamingAt(99))], handed)
    story.passes(20)
    expect(story.decisions()).toEqual(['stage', 'enable'])
  })

  it('tells the source, unasked, when it has enabled', () => {
    const story = new DriverStory('destination', 1)
    story.answers([partOf(0, FIRST_CURSOR, streamingAt(99))], { standing: standing('disabled', 99) })
    story.settles('stage', 'done')
    story.phase = 'over'
    story.committed = true
    story.forget()
    story.applied()
    expect(story.sent.map(({ message }) => message)).toMatchObject([
      { type: 'answer', standing: { kind: 'committed' } },
    ])
    expect(story.migration.progress(story.nowMs)).toMatchObject([{ phase: 'done', keys: 1, secondsLeft: 0 }])
    expect(story.migration.dueMs).toBe(Number.POSITIVE_INFINITY)
  })

  it('a new leader, with everything staged, asks where DISABLE was, and enables', () => {
    const before = new DriverStory('destination', 1)
    before.cursors.set(SLOT, streamingAt(99))
    // Drivers begin with applied state: this is the new leader's.
    const story = new DriverStory('destination', 1)
    story.phase = 'over'
    story.applied()
    story.cursors.set(SLOT, streamingAt(99))
    story.phase = 'staging'
    story.forget()
    story.applied()
    story.answers([], { standing: standing('disabled', 99) })
    expect(story.decisions()).toEqual(['enable'])
  })
})

describe('a move that is called off', () => {
  it('is dropped when the source says that it is over, not before', () => {
    const story = new DriverStory('destination', 1)
    story.answers([], { standing: standing('unknown') })
    story.passes(5_000)
    expect(story.proposed).toEqual([])
    story.answers([], { standing: standing('ended') })
    expect(story.decisions()).toEqual(['drop'])
    story.settles('drop', 'refused proposal')
    story.passes(10)
    expect(story.decisions()).toEqual(['drop'])
    story.phase = 'over'
    story.settles('drop', 'done')
    expect(story.migration.progress(story.nowMs)).toMatchObject([{ phase: 'cancelled' }])
  })

  it('told to refuse: REFUSE, then asks until the source has resumed, then DROP', () => {
    const story = new DriverStory('destination', 1)
    story.answers([])
    story.forget()
    expect(story.migration.refuse(R, story.nowMs)).toBe(true)
    story.take()
    expect(story.decisions()).toEqual(['refuse'])
    story.phase = 'refused'
    story.settles('refuse', 'done')
    expect(story.sent.map(({ message }) => message)).toMatchObject([
      { type: 'ask', asked: 'source', own: { kind: 'refused' } },
    ])
    const ask = story.sent[0].message
    story.hears({ ...story.envelope(ask.requestId), type: 'answer', standing: standing('disabled', 99) })
    expect(story.proposed).toEqual([])
    story.hears({ ...story.envelope(ask.requestId), type: 'answer', standing: standing('ended') })
    expect(story.decisions()).toEqual(['drop'])
    story.phase = 'over'
    story.settles('drop', 'done')
    expect(story.migration.progress(story.nowMs)).toMatchObject([{ phase: 'failed' }])
  })

  it('generations of a slot that are used up are a reason to refuse', () => {
    const story = new DriverStory('destination', 1)
    story.answers([partOf(0, FIRST_CURSOR, streamingAt(1))])
    story.settles('stage', 'exhausted')
    expect(story.decisions()).toEqual(['refuse'])
  })
})
