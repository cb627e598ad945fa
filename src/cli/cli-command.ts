/** `quorate cli`: a prompt on a terminal, one command, or commands from a pipe. */
import type { Readable } from 'node:stream'
import { type Failure, fail } from '../platform/failure.ts'
import { EXIT_FAILED, EXIT_GOOD, EXIT_USAGE, type ExitCode, reportFailure } from './exit.ts'
import { type BatchOptions, runOneShot, runPiped } from './one-shot.ts'
import { parseAddresses } from './prompt/cluster-addresses.ts'
import { argumentBytes } from './prompt/program-arguments.ts'
import { startRepl } from './repl.ts'

export interface CliOptions {
  readonly addr: string
  readonly json?: boolean
  /** The last argument comes from standard input. */
  readonly stdin?: boolean
}

/** A value of the largest size, and more would be refused by the cluster. */
const MAX_STDIN_BYTES = 64 * 1024 * 1024

export const CLI_HELP = `
Without a command, on a terminal: a prompt with completion, hints, history (~/.quorate_history or $QUORATE_HISTORY) and \`help\`.
Without a command, from a pipe: every line is a command.
Options stand before the command; what follows its name belongs to it. On a terminal replies are shown with their types; else they
are raw bytes, one element of a list a line. Exit codes: 0 good, 1 an error reply or an unknown outcome, 2 usage or no node.

  quorate cli
  quorate cli SET greeting "hello world" EX 60
  quorate cli --json MGET greeting absent
  quorate cli --addr 127.0.0.1:7379,127.0.0.1:7389 KV.STATUS
  quorate cli --stdin SET picture < picture.png
  quorate cli < commands.txt
  quorate cli help SET`

export async function runCli(words: readonly string[], options: CliOptions): Promise<ExitCode> {
  const addresses = parseAddresses(options.addr)
  if (!addresses.ok) return refuse(addresses.failure, options)
  const { stdin, stdout, stderr, env } = process
  if (options.stdin === true && words.length === 0) {
    return refuse(
      fail('usage', '--stdin without a command', 'give the command whose last argument it is').failure,
      options,
    )
  }
  const signal = stopSignal()
  if (words.length === 0 && stdin.isTTY && stdout.isTTY) {
    const format = options.json ? 'json' : 'text'
    const repl = startRepl({
      addresses: addresses.value,
      input: stdin,
      output: stdout,
      environment: env,
      signal,
      format,
    })
    await repl.ended
    return EXIT_GOOD
  }
  const format = options.json ? 'json' : stdout.isTTY ? 'text' : 'raw'
  const batch: BatchOptions = { addresses: addresses.value, format, stdout, stderr, environment: env, signal }
  if (words.length === 0) return runPiped(stdin, batch)
  const given = argumentBytes(words)
  if (options.stdin !== true) return runOneShot(given, batch)
  const last = await readAll(stdin)
  if (last !== null) return runOneShot([...given, last], batch)
  const size = `${MAX_STDIN_BYTES / (1024 * 1024)} MiB`
  return refuse(fail('usage', `standard input is longer than ${size}`, 'give a shorter value').failure, options)
}

function refuse(failure: Failure, options: CliOptions): ExitCode {
  reportFailure(failure, options.json === true)
  return EXIT_USAGE
}

/** Null: too long. */
async function readAll(input: Readable): Promise<Buffer | null> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of input as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_STDIN_BYTES) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Ctrl-C once stops in good order; twice ends the process. Nobody to read the output is a reason to stop, too. */
function stopSignal(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(EXIT_FAILED)
      controller.abort()
    })
  }
  process.stdout.on('error', () => controller.abort())
  return controller.signal
}
