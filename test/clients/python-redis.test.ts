// A client in another language, as Debian ships it (python3-redis; the test script installs it where it can).
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, finished, startCluster } from '../support/cluster.ts'

const PYTHON = '/usr/bin/python3'
const HAS_PYTHON_REDIS = spawnSync(PYTHON, ['-c', 'import redis']).status === 0
const SCRIPT = fileURLToPath(new URL('./python-redis.py', import.meta.url))
const DIRECTORY = mkdtempSync(join(tmpdir(), 'quorate-python-'))

describe.skipIf(!HAS_PYTHON_REDIS)('python3-redis', () => {
  let cluster: Cluster

  beforeAll(async () => {
    cluster = await startCluster({ data: join(DIRECTORY, 'data') })
  }, 60_000)

  afterAll(async () => {
    await cluster.destroy()
    rmSync(DIRECTORY, { recursive: true, force: true })
  })

  test('all its stories', async () => {
    const child = spawn(PYTHON, [SCRIPT, String(cluster.port(1)), String(cluster.port(2))], { stdio: 'pipe' })
    const { code, stdout, stderr } = await finished(child, 60_000)
    expect(stderr).toBe('')
    expect(stdout.split('\n').filter((line) => !line.endsWith(' ok') && line !== '')).toEqual([])
    expect(stdout.split('\n').length).toBeGreaterThan(20)
    expect(code).toBe(0)
  }, 90_000)
})
