/** The log on a real file system, across a process that is killed while it writes. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { asGroupId, asLogIndex, asReplicaId, asTerm } from '../base/brand.ts'
import { NodeClock } from '../platform/node-clock.ts'
import { NodeDisk } from '../platform/node-disk.ts'
import { SILENT_LOGGER } from '../ports/logger.ts'
import { ENTRY_COMMAND, type Entry } from '../protocol/entry.ts'
import { dumpLog } from './dump.ts'
import { openWriteAheadLog, WAL_DEFAULTS, type WalOpenResult, type WriteAheadLog } from './write-ahead-log.ts'

const G1 = asGroupId(1)
let directory = ''

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-wal-'))
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

function open(): Promise<WalOpenResult> {
  const options = { ...WAL_DEFAULTS, directory: join(directory, 'wal'), segmentBytes: 1024 * 1024, logId: 42 }
  return new Promise((done, fail) => {
    const fatal = (message: string): void => fail(new Error(message))
    openWriteAheadLog(new NodeDisk(), new NodeClock(), SILENT_LOGGER, options, () => [], fatal, done)
  })
}

async function opened(): Promise<{ log: WriteAheadLog; entries: readonly Entry[] }> {
  const result = await open()
  if (result.kind !== 'opened') throw new Error(result.message)
  return { log: result.log, entries: result.groups[0]?.entries ?? [] }
}

const flush = (log: WriteAheadLog): Promise<void> => new Promise((done) => log.flush(done))
const close = (log: WriteAheadLog): Promise<void> => new Promise((done) => log.close(done))

function entry(index: number): Entry {
  const payload = new Uint8Array(300).fill(index & 255)
  return { index: asLogIndex(index), term: asTerm(1), kind: ENTRY_COMMAND, payload }
}

describe('the log on a real disk', () => {
  it('rolls, recycles, closes and comes back', async () => {
    const { log } = await opened()
    log.append({ group: G1, replicaId: asReplicaId(1) })
    for (let i = 1; i <= 9000; i += 100) {
      log.append({ group: G1, entries: Array.from({ length: 100 }, (_, k) => entry(i + k)) })
      if (i % 1000 === 1) log.append({ group: G1, compaction: { index: asLogIndex(i), term: asTerm(1) } })
      await flush(log)
    }
    await close(log)
    const again = await opened()
    expect(again.entries).toHaveLength(9000 - 8001)
    expect(again.entries.at(-1)).toEqual(entry(9000))
    await close(again.log)
    // Nearly 3 MB went through files of 1 MiB; few are left.
    expect(readdirSync(join(directory, 'wal')).length).toBeLessThan(7)
  })

  it('can be read by the dump while it is open, and by the next process when this one never closed it', async () => {
    const first = await opened()
    first.log.append({ group: G1, replicaId: asReplicaId(1), entries: [entry(1), entry(2)] })
    await flush(first.log)
    const lines: string[] = []
    const dumped = await new Promise((done) =>
      dumpLog(new NodeDisk(), join(directory, 'wal'), (line) => lines.push(line), done),
    )
    expect(dumped).toEqual({ kind: 'done' })
    expect(lines[0]).toBe('# group 1 replica 1 term 0 vote 0 commit 0 compacted 0 base 0 last 2')
    // As after a SIGKILL: nothing is closed, and what was flushed is there.
    first.log.die('the test lets go of it', () => {})
    const second = await opened()
    expect(second.entries).toEqual([entry(1), entry(2)])
    await close(second.log)
  })
})
