/** `quorate cli COMMAND`, and commands by the line from a pipe: replies to stdout, an exit code that says how it went. */
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { EXIT_FAILED, EXIT_GOOD, EXIT_USAGE, type ExitCode } from './exit.ts'
import { byteLines } from './prompt/byte-lines.ts'
import { CommandSession, isFailed, type Result } from './prompt/command-session.ts'
import { MAX_COMMAND_CHARACTERS, singleCommand, tooLong } from './prompt/continue-command.ts'
import { type Palette, paletteFor } from './prompt/palette.ts'
import { type Format, type Output, pushOutput, resultOutput } from './prompt/result-output.ts'

export interface BatchOptions {
  readonly addresses: readonly string[]
  readonly format: Format
  readonly stdout: Writable & { readonly isTTY?: boolean }
  readonly stderr: Writable
  readonly environment: NodeJS.ProcessEnv
  /** Aborted by Ctrl-C, or by the end of whoever reads the output. */
  readonly signal: AbortSignal
}

export async function runOneShot(words: readonly Buffer[], options: BatchOptions): Promise<ExitCode> {
  const batch = new Batch(options)
  const result = await batch.run(words)
  await batch.close()
  if (result.kind === 'failure' && result.isSetUp) return EXIT_USAGE
  return isFailed(result) || batch.wasCutOff ? EXIT_FAILED : EXIT_GOOD
}

/** Every line is a command; the first that fails does not keep the others from being run. */
export async function runPiped(input: Readable, options: BatchOptions): Promise<ExitCode> {
  const batch = new Batch(options)
  const start = await batch.begin()
  if (start !== EXIT_GOOD) return start
  const stop = (): void => void input.destroy()
  options.signal.addEventListener('abort', stop, { once: true })
  let lineNumber = 0
  let isGood = true
  try {
    for await (const line of byteLines(input, MAX_COMMAND_CHARACTERS)) {
      lineNumber++
      const step = line === null ? tooLong() : singleCommand(line.toString('latin1'), 'latin1')
      if (step.kind === 'command' && step.words.length === 0) continue
      const result: Result =
        step.kind === 'command' ? await batch.run(step.words, lineNumber) : await batch.refuse(step, lineNumber)
      if (result.kind === 'leave' || options.signal.aborted) break
      isGood &&= !isFailed(result)
    }
  } catch (error) {
    if (!options.signal.aborted) throw error
  }
  options.signal.removeEventListener('abort', stop)
  await batch.close()
  return isGood && !batch.wasCutOff && !options.signal.aborted ? EXIT_GOOD : EXIT_FAILED
}

class Batch {
  readonly #options: BatchOptions
  readonly #palette: Palette
  readonly #session: CommandSession
  #endMessages: (() => void) | null = null
  /** The connection was lost while messages were read. */
  wasCutOff = false

  constructor(options: BatchOptions) {
    this.#options = options
    this.#palette = paletteFor(options.stdout, options.environment)
    this.#session = new CommandSession(options.addresses, this.#palette, {
      push: (value) => void this.#write(pushOutput(value, options.format, this.#palette)),
      notice: (text) => void options.stderr.write(`quorate: ${text}\n`),
      lost: () => {
        this.wasCutOff ||= this.#endMessages !== null && !options.signal.aborted
        this.#endMessages?.()
      },
    })
    options.signal.addEventListener('abort', () => this.#session.stopWaiting(), { once: true })
  }

  async begin(): Promise<ExitCode> {
    const opened = await this.#session.link.open()
    if (opened.ok) {
      this.#session.useCluster()
      return EXIT_GOOD
    }
    await this.#write(
      resultOutput({ kind: 'failure', failure: opened.failure, isSetUp: true }, this.#format, this.#palette),
    )
    return EXIT_USAGE
  }

  async run(words: readonly Buffer[], lineNumber?: number): Promise<Result> {
    const result = await this.#session.run(words)
    await this.#show(result, lineNumber)
    // Messages come until Ctrl-C, or the end of the connection.
    if (this.#session.isSubscribed && !this.#options.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#endMessages = resolve
      })
      this.#endMessages = null
    }
    return result
  }

  async refuse({ message, mend }: { message: string; mend: string }, lineNumber: number): Promise<Result> {
    const result: Result = { kind: 'failure', failure: { code: 'bad-line', message, mend }, isSetUp: true }
    await this.#show(result, lineNumber)
    return result
  }

  async close(): Promise<void> {
    this.#session.close()
    await this.#write({ stdout: '', stderr: '' })
  }

  get #format(): Format {
    return this.#options.format
  }

  async #show(result: Result, lineNumber: number | undefined): Promise<void> {
    const output = resultOutput(result, this.#format, this.#palette)
    const stderr =
      output.stderr === '' || lineNumber === undefined
        ? output.stderr
        : output.stderr.replace(/^quorate: /, `quorate: line ${lineNumber}: `)
    await this.#write({ stdout: output.stdout, stderr })
  }

  /** Waits where the reader is slower than the cluster. */
  async #write({ stdout, stderr }: Output): Promise<void> {
    if (stderr !== '') this.#options.stderr.write(stderr)
    if (stdout.length === 0 || this.#options.signal.aborted) return
    if (!this.#options.stdout.write(stdout)) {
      await once(this.#options.stdout, 'drain', { signal: this.#options.signal }).catch(() => {})
    }
  }
}
