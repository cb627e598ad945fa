// The nodes' log files: what a failed start shows of them, and that they do not grow for ever.
import { closeSync, existsSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { lastWords, openNodeLog } from './node-log.ts'

let directory: string
let log: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-node-log-'))
  log = join(directory, 'node-1.log')
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

test('the last words are the last line for people, not the stack below it', () => {
  expect(lastWords(log)).toBe('')
  writeFileSync(log, '')
  expect(lastWords(log)).toBe('')
  writeFileSync(log, '{"level":"info"}\nplain\n\n')
  expect(lastWords(log)).toBe('plain')
  writeFileSync(log, 'quorate: old\n{"level":"info"}\nquorate: this node ends: Error: x\n    at f (y.js:1)\n')
  expect(lastWords(log)).toBe('this node ends: Error: x')
})

test('a log is kept over starts, and moved aside once it is large', () => {
  writeFileSync(log, 'first\n')
  closeSync(openNodeLog(log))
  expect(statSync(log).size).toBe(6)
  truncateSync(log, 17 * 1024 * 1024)
  closeSync(openNodeLog(log))
  expect(statSync(log).size).toBe(0)
  expect(existsSync(`${log}.old`)).toBe(true)
})
