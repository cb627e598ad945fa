// The data directory on the real file system: made once, refused where it is not ours, kept over restarts.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { bumpIncarnation, checkExpected, createNodeDirectory, readIdentity } from './data-directory.ts'
import { LOCK_FILE, lockDataDirectory } from './directory-lock.ts'
import type { Outcome } from './failure.ts'
import { sampleIdentity } from './identity.testkit.ts'
import type { NodeIdentity } from './identity.ts'

let root: string
let directory: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'quorate-data-directory-'))
  directory = join(root, 'deep', 'node-1')
})

afterEach(() => rmSync(root, { recursive: true, force: true }))

function identityOf(outcome: Outcome<NodeIdentity>): NodeIdentity {
  if (!outcome.ok) throw new Error(outcome.failure.message)
  return outcome.value
}

function codeOf(outcome: Outcome<unknown>): string {
  return outcome.ok ? 'ok' : outcome.failure.code
}

test('a new directory is made with its parents and read back', () => {
  expect(codeOf(createNodeDirectory(directory, sampleIdentity()))).toBe('ok')
  expect(identityOf(readIdentity(directory))).toMatchObject(sampleIdentity())
  expect(readdirSync(directory)).toEqual(['identity.json'])
})

test('a second creation is refused and leaves the first identity alone', () => {
  createNodeDirectory(directory, sampleIdentity())
  expect(codeOf(createNodeDirectory(directory, sampleIdentity({ nodeId: 3 })))).toBe('exists')
  expect(identityOf(readIdentity(directory)).nodeId).toBe(1)
})

test("a lock leaves a file behind that is nobody's data", async () => {
  mkdirSync(directory, { recursive: true })
  const lock = await lockDataDirectory(directory, 'wait')
  expect(codeOf(await lockDataDirectory(directory, 'wait'))).toBe('locked')
  if (lock.ok) await lock.value.release()
  expect(readdirSync(directory)).toEqual([LOCK_FILE])
  expect(codeOf(readIdentity(directory))).toBe('no-node')
  expect(codeOf(createNodeDirectory(directory, sampleIdentity()))).toBe('ok')
})

test('a crash between writing and renaming leaves nothing in the way', () => {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'identity.json.new'), '{"form')
  expect(codeOf(createNodeDirectory(directory, sampleIdentity()))).toBe('ok')
})

test('a directory with foreign files is not touched', () => {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'thesis.txt'), 'do not lose')
  expect(codeOf(createNodeDirectory(directory, sampleIdentity()))).toBe('foreign-directory')
  expect(codeOf(readIdentity(directory))).toBe('foreign-directory')
  expect(readdirSync(directory)).toEqual(['thesis.txt'])
  expect(readFileSync(join(directory, 'thesis.txt'), 'utf8')).toBe('do not lose')
})

test('an absent and an empty directory hold no node', () => {
  expect(codeOf(readIdentity(directory))).toBe('no-node')
  mkdirSync(directory, { recursive: true })
  expect(codeOf(readIdentity(directory))).toBe('no-node')
})

test('what cannot be read or is no directory says so', () => {
  writeFileSync(join(root, 'plain'), '')
  expect(codeOf(readIdentity(join(root, 'plain')))).toBe('not-a-directory')
  mkdirSync(join(directory, 'identity.json'), { recursive: true })
  expect(codeOf(readIdentity(directory))).toBe('unreadable')
})

test('each start is counted on disk', () => {
  let identity = identityOf(createNodeDirectory(directory, sampleIdentity()))
  identity = identityOf(bumpIncarnation(directory, identity))
  expect(identity.incarnation).toBe(1)
  identity = identityOf(bumpIncarnation(directory, identityOf(readIdentity(directory))))
  expect(identityOf(readIdentity(directory))).toMatchObject({ incarnation: 2 })
})

test('another node id or port than the directory has is refused with the right one named', () => {
  const identity = sampleIdentity()
  expect(codeOf(checkExpected(directory, identity, { nodeId: 1, port: 7379 }))).toBe('ok')
  expect(codeOf(checkExpected(directory, identity, {}))).toBe('ok')
  expect(codeOf(checkExpected(directory, identity, { nodeId: 2 }))).toBe('wrong-node')
  expect(checkExpected(directory, identity, { port: 7380 })).toMatchObject({
    failure: { code: 'wrong-port', mend: 'start it with --port 7379, or leave out --port' },
  })
})
