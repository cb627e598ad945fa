// npm run build: src/ to dist/, incrementally, one build at a time. Two test runs in one clone may both ask for it: the
// second waits, then finds everything up to date and rewrites nothing under the first one's running processes.
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ROOT, run } from './run.mjs'

const LOCK = join(ROOT, 'node_modules', '.quorate-build')
const OWNER = join(LOCK, 'pid')
const PATIENCE_MS = 5 * 60_000

async function lock() {
  const deadlineMs = Date.now() + PATIENCE_MS
  for (;;) {
    try {
      mkdirSync(LOCK)
      writeFileSync(OWNER, String(process.pid))
      return
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (ownerIsGone() || Date.now() > deadlineMs) rmSync(LOCK, { recursive: true, force: true })
    else await delay(100)
  }
}

let unreadable = 0

/** Between mkdir and the pid's writing lies a moment: only an owner that stays unknown for 2 s counts as gone. */
function ownerIsGone() {
  let pid
  try {
    pid = Number(readFileSync(OWNER, 'utf8'))
  } catch {
    pid = 0
  }
  if (!(pid > 0)) return ++unreadable > 20
  unreadable = 0
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return error.code === 'ESRCH'
  }
}

await lock()
try {
  process.exitCode = run('tsc', ['-b', 'tsconfig.json']).code
  if (process.exitCode === 0) chmodSync(join(ROOT, 'dist', 'cli', 'main.js'), 0o755)
} finally {
  rmSync(LOCK, { recursive: true, force: true })
}
