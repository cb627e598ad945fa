// Stories of sessions whose outcomes are not always known: which replies are possible then, and which are not.
import { describe, expect, it } from 'vitest'
import { PossibleWorlds } from './possible-worlds.ts'

const NIL = '$-1\r\n'
const OK = '+OK\r\n'
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`

class Story {
  readonly worlds = new PossibleWorlds(16)

  answered(line: string, reply: string): this {
    expect(this.worlds.judge(line.split(' '), reply), `${line} -> ${reply}`).toBeNull()
    return this
  }

  impossible(line: string, reply: string): void {
    expect(this.worlds.judge(line.split(' '), reply), `${line} -> ${reply}`).not.toBeNull()
  }

  lost(line: string): this {
    this.worlds.unknown(line.split(' '))
    return this
  }

  refused(line: string): this {
    this.worlds.refused(line.split(' '))
    return this
  }
}

describe('what a session may see', () => {
  it('is one thing while every outcome is known', () => {
    const story = new Story().answered('SET a 1', OK).answered('INCR a', ':2\r\n').refused('SET a 9')
    expect(story.worlds.doubtful).toBe(false)
    story.answered('GET a', bulk('2')).impossible('GET a', bulk('9'))
  })

  it('is either side of a lost write, and once seen it stays', () => {
    const story = () => new Story().answered('SET a 1', OK).lost('SET a 2')
    story().answered('GET a', bulk('1')).answered('GET a', bulk('1')).answered('GET a', bulk('2'))
    story().answered('GET a', bulk('2')).impossible('GET a', bulk('1'))
    story().impossible('GET a', bulk('3'))
  })

  it('is a late write over a later one, but never twice', () => {
    const story = () => new Story().answered('SET n 1', OK).lost('INCR n').answered('SET n 10', OK)
    story().answered('GET n', bulk('10')).answered('GET n', bulk('11')).impossible('GET n', bulk('12'))
    story().answered('INCR n', ':12\r\n').impossible('GET n', bulk('13'))
  })

  it('is a transaction as a whole, or nothing of it', () => {
    const story = () =>
      new Story()
        .answered('MULTI', OK)
        .answered('SET {t}a 1', '+QUEUED\r\n')
        .answered('SET {t}b 1', '+QUEUED\r\n')
        .lost('EXEC')
    const array = (...items: string[]): string => `*${items.length}\r\n${items.join('')}`
    story().answered('MGET {t}a {t}b', array(bulk('1'), bulk('1')))
    story().answered('MGET {t}a {t}b', array(NIL, NIL))
    story().impossible('MGET {t}a {t}b', array(bulk('1'), NIL))
  })

  it('is part of an MSET over several slots, whether it was lost or partly refused', () => {
    const lost = new Story().lost('MSET a 1 b 1')
    lost.answered('GET a', NIL).answered('GET b', bulk('1')).answered('GET a', bulk('1')).impossible('GET b', NIL)
    new Story().refused('MSET a 1 b 1').answered('GET b', bulk('1')).answered('GET a', NIL)
    new Story().refused('MSET {t}a 1 {t}b 1').impossible('GET {t}b', bulk('1'))
  })

  it('is the end of a short life at any moment, once', () => {
    const story = () => new Story().answered('SET a x PX 100', OK).answered('GET a', bulk('x'))
    story().answered('GET a', NIL).impossible('GET a', bulk('x'))
    story().answered('APPEND a y', ':1\r\n').answered('GET a', bulk('y'))
    story().answered('PERSIST a', ':1\r\n').impossible('GET a', NIL)
  })

  it('is an aborted transaction after a WATCH that was refused, or of a key that was not there', () => {
    const watched = (story: Story): Story => story.answered('MULTI', OK).answered('SET a 2', '+QUEUED\r\n')
    watched(new Story().answered('SET a 1', OK).refused('WATCH a')).impossible('EXEC', '*1\r\n+OK\r\n')
    watched(new Story().answered('SET a 1', OK).answered('WATCH a', OK)).impossible('EXEC', '*-1\r\n')
    watched(new Story().answered('WATCH a', OK)).answered('EXEC', '*-1\r\n')
    watched(new Story().answered('WATCH a', OK)).answered('EXEC', '*1\r\n+OK\r\n').answered('GET a', bulk('2'))
  })

  it('is too much to follow where too much is unknown', () => {
    const story = new Story()
    for (const key of ['a', 'b', 'c', 'd']) story.lost(`SET ${key} 1`)
    expect(story.worlds.tooMany).toBe(true)
    story.worlds.forgetKeys()
    story.impossible('GET a', bulk('1'))
  })
})
