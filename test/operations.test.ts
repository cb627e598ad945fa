// The session of docs/operations.md, word for word, as an operator would type it: the cluster grows, shrinks and is mended under constant load, while
// `quorate verify` checks every answer. Only the ports and directories are others. What it may cost is stated there, and measured by `npm run bench -- migration`.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { finished, freePort, MAIN } from './support/cluster.ts'

const DOC_PORT = 7379
const NODES = 6
const SESSION = /<!-- session -->\n```sh\n([\s\S]*?)^```$/m

let directory = ''
let port = 0

/** The document's ports, of nodes 1, 2, 3..., in this run's place. */
function here(text: string): string {
  return text.replace(/\b7(\d)(\d)9\b/g, (all) => {
    const node = (Number(all) - DOC_PORT) / 10
    return node >= 0 && node < NODES ? String(port + node * 10) : all
  })
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-operations-'))
  port = await freePort(NODES)
  const bin = join(directory, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'npx'), `#!/bin/sh\nshift\nexec "${process.execPath}" "${MAIN}" "$@"\n`, { mode: 0o755 })
})

afterAll(() => rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 300 }))

test('grows, shrinks and is mended under load, and no client sees anything wrong', async () => {
  const [, block] = SESSION.exec(readFileSync('docs/operations.md', 'utf8')) ?? []
  expect(block, 'docs/operations.md has the session').toBeDefined()
  const script = ['set -eu', "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT", here(block ?? '')].join('\n')
  const child = spawn('bash', ['-c', script], {
    cwd: directory,
    env: { ...process.env, PATH: `${join(directory, 'bin')}:${process.env.PATH}`, QUORATE_ADDR: `127.0.0.1:${port}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { code, stdout, stderr } = await finished(child, 400_000)
  const transcript = `${stdout}\n--- stderr\n${stderr.slice(-4_000)}`
  expect(code, transcript).toBe(0)
  const verdict = JSON.parse(readFileSync(join(directory, 'verdict.json'), 'utf8'))
  expect(verdict.violations, transcript).toEqual([])
  expect(verdict.operations).toBeGreaterThan(1_000)
  const slots = JSON.parse(readFileSync(join(directory, 'slots-after-growing.json'), 'utf8'))
  expect(countsOf(slots)).toEqual({ 1: 256, 2: 256, 3: 512 })
  const drained = countsOf(JSON.parse(readFileSync(join(directory, 'slots-after-draining.json'), 'utf8')))
  expect(drained[1] ?? 0).toBe(0)
  expect(drained[2] + drained[3]).toBe(1024)
  const { replicas } = JSON.parse(readFileSync(join(directory, 'groups-after-mending.json'), 'utf8')).groups.find(
    ({ id }: { id: number }) => id === 2,
  )
  expect([...replicas].sort()).toEqual([1, 3, 5])
  expect(readFileSync(join(directory, 'keys.txt'), 'utf8').trim()).toBe('100000')
}, 420_000)

function countsOf({ ranges }: { ranges: readonly (readonly [number, number, number])[] }): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const [first, last, group] of ranges) counts[group] = (counts[group] ?? 0) + last - first + 1
  return counts
}
