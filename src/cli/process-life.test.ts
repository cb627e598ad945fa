// Watching a process that is not (only) ours.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { processesWithArguments, processMark, watchProcess } from './process-life.ts'

function sleeper(...args: string[]) {
  return spawn(process.execPath, ['-e', 'process.stdin.resume(); console.log("up")', '--', ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
}

test('the end of a watched process is noticed, once', async () => {
  const child = sleeper()
  await once(child.stdout, 'data')
  const pid = child.pid as number
  let calls = 0
  const gone = new Promise<void>((done) => {
    const stop = watchProcess(pid, 10, () => {
      calls++
      done()
    })
    expect(stop).not.toBeNull()
  })
  expect(processMark(pid)).not.toBeNull()
  child.kill('SIGKILL')
  // The watch's own timer does not keep a process alive; this test's runner does.
  await gone
  expect(calls).toBe(1)
  expect(watchProcess(pid, 10, () => {})).toBeNull()
})

test('a paused process is not gone', async () => {
  const child = sleeper()
  await once(child.stdout, 'data')
  const pid = child.pid as number
  const mark = processMark(pid)
  child.kill('SIGSTOP')
  expect(processMark(pid)).toBe(mark)
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(processMark(pid)).toBeNull()
})

test.runIf(process.platform === 'linux')('processes are found by words in their arguments', async () => {
  const child = sleeper('--supervisor', '4999999')
  await once(child.stdout, 'data')
  expect(processesWithArguments(['--supervisor', '4999999'])).toEqual([child.pid])
  expect(processesWithArguments(['--supervisor', '499999'])).toEqual([])
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(processesWithArguments(['--supervisor', '4999999'])).toEqual([])
})
