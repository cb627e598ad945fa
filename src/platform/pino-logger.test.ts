import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PinoLogger } from './pino-logger.ts'

test('one JSON line an event, below the level nothing, written before the call returns', () => {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-log-'))
  const path = join(directory, 'log')
  const fd = openSync(path, 'w')
  const logger = new PinoLogger('warn', { node: 3 }, fd)
  logger.info('not told')
  logger.warn('peer connection lost', { to: 2 })
  logger.error('disk is gone')
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  closeSync(fd)
  rmSync(directory, { recursive: true })
  expect(lines.length).toBe(2)
  expect(JSON.parse(lines[0])).toMatchObject({ level: 'warn', node: 3, to: 2, msg: 'peer connection lost' })
  expect(JSON.parse(lines[1])).toMatchObject({ level: 'error', node: 3, msg: 'disk is gone' })
})
