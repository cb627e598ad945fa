/**
 * The bench's processes and its directory, and the promise that both are gone when it ends, however it ends: normally, by
 * an error or by a signal. Servers run until `clear`; generators run to their end.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from '../base/assert.ts'
import { processMark } from '../cli/process-life.ts'
import { setupError } from './bench-error.ts'

const TMPFS_MAGIC = 0x0102_1994
const STOP_GRACE_MS = 5_000
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024
const LOG_TAIL_BYTES = 2_000

export interface ProgramOutput {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

interface Server {
  readonly name: string
  readonly child: ChildProcess
  readonly logFile: string
}

export class Workshop {
  readonly directory: string
  readonly #servers: Server[] = []
  readonly #generators = new Set<ChildProcess>()
  /** Processes that a server started, and that may outlive it. */
  readonly #foreign = new Map<number, string>()
  #cleared: Promise<void> | null = null

  constructor() {
    // In memory a sync costs nothing, and the comparison would be about something else.
    const parent = [tmpdir(), process.cwd()].find((path) => statfsSync(path).type !== TMPFS_MAGIC)
    if (parent === undefined) {
      throw setupError(`${tmpdir()} and the working directory are in memory`, 'set TMPDIR to a directory on a disk')
    }
    this.directory = mkdtempSync(join(parent, 'quorate-bench-'))
  }

  /** A new directory for a server's data. */
  makeDirectory(name: string): string {
    const path = join(this.directory, name)
    mkdirSync(path, { recursive: true })
    return path
  }

  /** Its stderr, and stdout unless `onLine` takes that, go to a log in the directory. */
  startServer(name: string, command: string, args: readonly string[], onLine?: (line: string) => void): ChildProcess {
    assert(this.#cleared === null, 'Workshop.startServer: cleared already')
    const logFile = join(this.directory, `${name}.log`)
    const log = createWriteStream(logFile)
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: this.directory })
    child.stderr?.pipe(log, { end: false })
    child.on('error', (error) => log.write(`${error.message}\n`))
    if (onLine === undefined) child.stdout?.pipe(log, { end: false })
    else if (child.stdout !== null) eachLine(child.stdout, onLine)
    this.#servers.push({ name, child, logFile })
    return child
  }

  /** One of them, before the others. */
  async stopServer(name: string): Promise<void> {
    const at = this.#servers.findIndex((server) => server.name === name)
    assert(at >= 0, `Workshop.stopServer: there is no ${name}`)
    const [server] = this.#servers.splice(at, 1)
    await stop(server.child)
  }

  /** To be killed at the end if they are still there then. */
  watchOver(pids: readonly number[]): void {
    for (const pid of pids) {
      const mark = processMark(pid)
      if (mark !== null) this.#foreign.set(pid, mark)
    }
  }

  /** The first server that has ended, with the end of its log; null while all run. */
  fallenServer(): string | null {
    const fallen = this.#servers.find(({ child }) => child.exitCode !== null || child.signalCode !== null)
    if (fallen === undefined) return null
    const log = readFileSync(fallen.logFile, 'utf8')
    return `${fallen.name} ended (${fallen.child.exitCode ?? fallen.child.signalCode}):\n${log.slice(-LOG_TAIL_BYTES)}`
  }

  /** Runs a program to its end. Rejects where it cannot be started. */
  runProgram(command: string, args: readonly string[]): Promise<ProgramOutput> {
    assert(this.#cleared === null, 'Workshop.runProgram: cleared already')
    return new Promise((resolve, reject) => {
      const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: this.directory })
      this.#generators.add(child)
      const output = { stdout: '', stderr: '' }
      for (const name of ['stdout', 'stderr'] as const) {
        child[name].setEncoding('utf8')
        child[name].on('data', (text: string) => {
          if (output[name].length + text.length <= MAX_OUTPUT_BYTES) output[name] += text
        })
      }
      child.once('error', (error) => reject(setupError(`cannot run ${command}: ${error.message}`, 'is it installed?')))
      child.once('close', (code) => {
        this.#generators.delete(child)
        resolve({ code, ...output })
      })
    })
  }

  /** Ends everything in good order, then by force, and removes the directory. */
  clear(): Promise<void> {
    this.#cleared ??= this.#clear()
    return this.#cleared
  }

  /** For the very end, where nothing can be waited for. */
  clearAtOnce(): void {
    for (const child of [...this.#generators, ...this.#servers.map((server) => server.child)]) child.kill('SIGKILL')
    // By pid and start time: its pid may be another process's by now.
    for (const [pid, mark] of this.#foreign) if (processMark(pid) === mark) killIfThere(pid)
    rmSync(this.directory, { recursive: true, force: true })
  }

  async #clear(): Promise<void> {
    for (const child of this.#generators) child.kill('SIGKILL')
    await Promise.all(this.#servers.map(({ child }) => stop(child)))
    this.clearAtOnce()
  }
}

function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS)
    child.once('exit', () => {
      clearTimeout(force)
      resolve()
    })
    child.kill('SIGTERM')
  })
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Ended already: what we want.
  }
}

function eachLine(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  })
}
