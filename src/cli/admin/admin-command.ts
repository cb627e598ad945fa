/** `quorate admin`: asks the cluster, and shows the answer as a table or as one line of JSON. Exit codes: 0 good, 1 refused or failed, 2 usage. */
import { setTimeout as delay } from 'node:timers/promises'
import { type Failure, type Outcome, succeed } from '../../platform/failure.ts'
import { EXIT_FAILED, EXIT_GOOD, EXIT_USAGE, type ExitCode, reportFailure } from '../exit.ts'
import { isPassing } from '../master-calls.ts'
import { parseAddresses } from '../prompt/cluster-addresses.ts'
import { type Palette, paletteFor } from '../prompt/palette.ts'
import { type AdminLink, adminLink } from './admin-link.ts'
import { adminLines, fieldsOf, listOf, migrationLines } from './admin-tables.ts'
import { lookAt } from './admin-wait.ts'
import { type AdminTask, parseAdminWords, wantsJson } from './admin-words.ts'

const WATCH_EVERY_MS = 1_000
const LOOK_EVERY_MS = 200
/** While a new master takes over, looks are made again. */
const PATIENCE_MS = 30_000

export interface AdminOptions {
  readonly addr: string
  readonly json?: boolean
}

/** `words`: what stands behind `admin` and the options before the command. */
export async function runAdmin(words: readonly string[], options: AdminOptions): Promise<ExitCode> {
  const json = options.json === true || wantsJson(words)
  const refuse = (failure: Failure): ExitCode => {
    reportFailure(failure, json)
    return EXIT_USAGE
  }
  const parsed = parseAdminWords(words)
  if (!parsed.ok) return refuse(parsed.failure)
  const task = { ...parsed.value, json }
  const addresses = parseAddresses(task.addr ?? options.addr)
  if (!addresses.ok) return refuse(addresses.failure)
  const link = adminLink(addresses.value)
  const palette = paletteFor(process.stdout, process.env)
  return task.watch ? watch(link, task, palette) : once(link, task, palette)
}

async function once(link: AdminLink, task: AdminTask, palette: Palette): Promise<ExitCode> {
  const reply = await ask(link, task)
  if (!reply.ok) return failed(reply.failure, task)
  if (task.wait !== null) {
    if (!task.json) print(adminLines(task.call, reply.value, palette))
    const failure = await waitFor(link, task, reply.value)
    if (failure !== null) return failed(failure, task)
  }
  if (task.json) process.stdout.write(`${JSON.stringify(reply.value)}\n`)
  else print(task.wait === null ? adminLines(task.call, reply.value, palette) : ['done'])
  return EXIT_GOOD
}

/** One call; without a group `digest` is one call for each. */
async function ask(link: AdminLink, task: AdminTask): Promise<Outcome<unknown>> {
  if (task.call !== 'digest' || task.args.group !== undefined) return link(task.call, task.args)
  const groups = await link('groups', {})
  if (!groups.ok) return groups
  const digests: unknown[] = []
  for (const { id: group } of listOf(fieldsOf(groups.value).groups)) {
    const digest = await link('digest', { group })
    if (!digest.ok) return digest
    digests.push(digest.value)
  }
  return succeed({ groups: digests })
}

function failed(failure: Failure, { json }: AdminTask): ExitCode {
  reportFailure(failure, json)
  return EXIT_FAILED
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}

/** Null once it has come true. Progress goes to stderr: in one place on a terminal, else a block a second. */
async function waitFor(link: AdminLink, task: AdminTask, answer: unknown): Promise<Failure | null> {
  const screen = new Redrawn(process.stderr)
  let goodAtMs = performance.now()
  let shownAtMs = -Infinity
  for (;;) {
    const look = await lookAt(link, task, answer)
    const nowMs = performance.now()
    if (!look.ok) {
      const isPatient = isPassing(look.failure.code) || look.failure.code === 'unreachable'
      if (!isPatient || nowMs - goodAtMs > PATIENCE_MS) return look.failure
    } else {
      goodAtMs = nowMs
      if (look.value.isOver) {
        screen.clear()
        return look.value.failure
      }
      if (!task.json && nowMs - shownAtMs >= WATCH_EVERY_MS && look.value.migrations.length > 0) {
        screen.draw(migrationLines(look.value.migrations))
        shownAtMs = nowMs
      }
    }
    await delay(LOOK_EVERY_MS)
  }
}

/** Until Ctrl-C, or until nobody reads any more. */
async function watch(link: AdminLink, task: AdminTask, palette: Palette): Promise<ExitCode> {
  const stopped = new AbortController()
  const stop = (): void => stopped.abort()
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  process.stdout.once('error', stop)
  const screen = new Redrawn(process.stdout)
  while (!stopped.signal.aborted) {
    const reply = await Promise.race([ask(link, task), whenAborted(stopped.signal)])
    if (reply === null) break
    if (task.json) process.stdout.write(`${JSON.stringify(reply.ok ? reply.value : { error: reply.failure })}\n`)
    else if (reply.ok) screen.draw([...adminLines(task.call, reply.value, palette), ''])
    else screen.draw([palette.error(`${reply.failure.message}; ${reply.failure.mend}`), ''])
    await Promise.race([delay(WATCH_EVERY_MS), whenAborted(stopped.signal)])
  }
  return EXIT_GOOD
}

function whenAborted(signal: AbortSignal): Promise<null> {
  if (signal.aborted) return Promise.resolve(null)
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(null), { once: true }))
}

/** A block that is written over the one before on a terminal, and below it elsewhere. */
class Redrawn {
  readonly #stream: NodeJS.WriteStream
  #height = 0

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  draw(lines: readonly string[]): void {
    this.clear()
    this.#stream.write(`${lines.join('\n')}\n`)
    const { columns } = this.#stream
    // A line that the terminal breaks takes more than one of its own.
    const heights = lines.map((line) => Math.max(1, Math.ceil(line.length / (columns || 80))))
    this.#height = heights.reduce((sum, height) => sum + height, 0)
  }

  clear(): void {
    if (this.#stream.isTTY === true && this.#height > 0) this.#stream.write(`\u001b[${this.#height}A\u001b[J`)
    this.#height = 0
  }
}
