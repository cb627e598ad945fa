/**
 * The interactive prompt: `put get delete cas` with readable answers, and every RESP command as it is. It speaks to one
 * address; where that node is gone the next line connects again, to the next address in the list.
 */
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { quoted, replyText } from './reply-text.ts'
import { RespClient } from './resp-client.ts'
import { RespError, type RespReply } from './resp-reply.ts'
import { splitWords } from './split-words.ts'

const CONNECT_TIMEOUT_MS = 2_000

export const REPL_HELP = `put KEY VALUE              store a value
get KEY                    read it
delete KEY...              remove keys
cas KEY EXPECTED NEW       replace the value only where it is EXPECTED (NX: only where there is none)
help                       this page
exit                       leave
Anything else goes to the cluster as a Redis command: SET, INCR, EXPIRE, MULTI, INFO, KV.STATUS ...
Values with blanks stand in quotes: put greeting "hello world"`

interface Shorthand {
  readonly words: number
  readonly usage: string
  command(args: readonly Buffer[]): (string | Buffer)[]
  answer(reply: RespReply): string
}

const SHORTHANDS: Readonly<Record<string, Shorthand>> = {
  put: {
    words: 2,
    usage: 'put KEY VALUE',
    command: (args) => ['SET', ...args],
    answer: (reply) => (reply === 'OK' ? 'stored' : replyText(reply)),
  },
  get: {
    words: 1,
    usage: 'get KEY',
    command: (args) => ['GET', ...args],
    answer: (reply) => (reply === null ? '(no such key)' : replyText(reply)),
  },
  delete: {
    words: -1,
    usage: 'delete KEY...',
    command: (args) => ['DEL', ...args],
    answer: (reply) => (typeof reply === 'number' ? `${reply} removed` : replyText(reply)),
  },
  cas: {
    words: 3,
    usage: 'cas KEY EXPECTED NEW',
    command: (args) => ['KV.CAS', ...args],
    answer: casAnswer,
  },
}

function casAnswer(reply: RespReply): string {
  if (!Array.isArray(reply) || reply.length !== 2) return replyText(reply)
  const [swapped, value] = reply as readonly RespReply[]
  const shown = Buffer.isBuffer(value) ? quoted(value) : '(no such key)'
  return swapped === 1 ? `swapped: it is ${shown} now` : `not swapped: it is ${shown}`
}

/** One line's answer, or null to leave. Never rejects. */
export class ReplSession {
  readonly #addresses: readonly string[]
  #next = 0
  #client: RespClient | null = null

  constructor(addresses: readonly string[]) {
    this.#addresses = addresses
  }

  async answer(line: string): Promise<string | null> {
    const words = splitWords(line)
    if (words === null) return '(error) a quote is not closed'
    if (words.length === 0) return ''
    const name = words[0].toString('utf8').toLowerCase()
    if (words.length === 1 && (name === 'exit' || name === 'quit')) return null
    if (name === 'help') return REPL_HELP
    const shorthand = Object.hasOwn(SHORTHANDS, name) ? SHORTHANDS[name] : undefined
    if (shorthand === undefined) return this.#call(words, replyText)
    const args = words.slice(1)
    const fits = shorthand.words < 0 ? args.length >= -shorthand.words : args.length === shorthand.words
    if (!fits) return `(error) usage: ${shorthand.usage}`
    return this.#call(shorthand.command(args), shorthand.answer)
  }

  close(): void {
    this.#client?.close()
    this.#client = null
  }

  async #call(words: readonly (string | Buffer)[], text: (reply: RespReply) => string): Promise<string> {
    const client = await this.#connected()
    if (typeof client === 'string') return `(error) no node answers (${client})`
    try {
      const reply = await client.call(...words)
      return reply instanceof RespError ? replyText(reply) : text(reply)
    } catch (error) {
      this.close()
      return `(error) ${(error as Error).message}; what was asked may or may not have happened`
    }
  }

  /** The open connection, or a new one to the next address that accepts; else the last one's reason. */
  async #connected(): Promise<RespClient | string> {
    if (this.#client?.isOpen === true) return this.#client
    let failure = 'no address'
    for (let tries = 0; tries < this.#addresses.length; tries++) {
      const address = this.#addresses[this.#next]
      try {
        this.#client = await RespClient.connect(address, CONNECT_TIMEOUT_MS)
        return this.#client
      } catch (error) {
        failure = (error as Error).message
        this.#next = (this.#next + 1) % this.#addresses.length
      }
    }
    return failure
  }
}

/** Runs until `exit`, the end of input, or `signal`. */
export async function runRepl(
  addresses: readonly string[],
  input: Readable,
  output: Writable,
  signal: AbortSignal,
): Promise<void> {
  const session = new ReplSession(addresses)
  const lines = createInterface({ input, output, prompt: 'quorate> ' })
  const stop = (): void => lines.close()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  // readline takes Ctrl-C on a terminal for itself: it means "leave", as in a shell's REPLs.
  lines.on('SIGINT', stop)
  lines.prompt()
  for await (const line of lines) {
    const answer = await session.answer(line)
    if (answer === null) break
    if (answer !== '') output.write(`${answer}\n`)
    lines.prompt()
  }
  signal.removeEventListener('abort', stop)
  lines.close()
  session.close()
}
