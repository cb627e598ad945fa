import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { processMark } from '../cli/process-life.ts'
import { waitUntil } from './wait-until.ts'
import { Workshop } from './workshop.ts'

/** A server that says its pid, and a child's that would outlive it; it ignores SIGTERM where asked to. */
const STAYS = `
  const child = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => 0, 1000)'], { stdio: 'ignore', detached: true })
  if (process.argv[1] === 'stubborn') process.on('SIGTERM', () => 0)
  console.log(JSON.stringify([process.pid, child.pid]))
  setInterval(() => 0, 1000)`

async function startStaying(workshop: Workshop, manner: string): Promise<number[]> {
  const lines: string[] = []
  workshop.startServer('stays', process.execPath, ['-e', STAYS, manner], (line) => lines.push(line))
  const line = await waitUntil(workshop, 'it says its pid', 20_000, async () => lines[0] ?? null)
  return JSON.parse(line) as number[]
}

describe('Workshop', () => {
  it('leaves no server, no server’s child and no directory', async () => {
    const workshop = new Workshop()
    const pids = await startStaying(workshop, 'obeys')
    workshop.watchOver(pids)
    expect(pids.map(processMark)).not.toContain(null)
    expect(existsSync(workshop.directory)).toBe(true)
    await workshop.clear()
    expect(existsSync(workshop.directory)).toBe(false)
    await gone(pids)
  })

  it('ends what cannot be asked, at once, when there is no time left', async () => {
    const workshop = new Workshop()
    const pids = await startStaying(workshop, 'stubborn')
    workshop.watchOver(pids)
    workshop.clearAtOnce()
    expect(existsSync(workshop.directory)).toBe(false)
    await gone(pids)
  })

  it('says which server has fallen, and what it said last', async () => {
    const workshop = new Workshop()
    const child = workshop.startServer('falls', process.execPath, [
      '-e',
      'console.error("no such disk"); process.exitCode = 3',
    ])
    await once(child, 'close')
    await expect(waitUntil(workshop, 'it is ready', 20_000, async () => null)).rejects.toThrow(/falls ended \(3\)/)
    await workshop.clear()
  })

  it('gives the output and code of a program, and an error for one that is not there', async () => {
    const workshop = new Workshop()
    const program = 'console.log("out"); console.error("err"); process.exitCode = 4'
    expect(await workshop.runProgram(process.execPath, ['-e', program])).toEqual({
      code: 4,
      stdout: 'out\n',
      stderr: 'err\n',
    })
    await expect(workshop.runProgram('/nonexistent/program', [])).rejects.toThrow('cannot run')
    await workshop.clear()
  })
})

/** A killed process is gone once the kernel has got to it. */
async function gone(pids: readonly number[]): Promise<void> {
  await expect.poll(() => pids.map(processMark), { timeout: 20_000 }).toEqual(pids.map(() => null))
}
