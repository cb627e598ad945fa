/**
 * The prompt of `quorate cli` and `quorate dev`: lines into commands, results on the screen, one after the other, and the news of the
 * connection in between. The parts are in prompt/: the line (line-editor.ts), the commands (command-session.ts), the output.
 */
import { CommandSession } from './prompt/command-session.ts'
import { continueCommand } from './prompt/continue-command.ts'
import { LineEditor, type TerminalOutput } from './prompt/line-editor.ts'
import { type Palette, paletteFor } from './prompt/palette.ts'
import { PromptHistory } from './prompt/prompt-history.ts'
import { type Format, pushOutput, resultOutput } from './prompt/result-output.ts'
import type { TerminalSource } from './prompt/terminal-input.ts'

const TRANSACTION_SHOWN = { none: '', open: '(TX)', lost: '(TX lost)' } as const

export interface ReplOptions {
  readonly addresses: readonly string[]
  readonly input: TerminalSource
  readonly output: TerminalOutput
  readonly environment: NodeJS.ProcessEnv
  readonly signal: AbortSignal
  readonly format?: Format
  /** What the prompt calls the first address; left out: its address. */
  readonly home?: string
}

/** A prompt that runs. */
export interface Repl {
  /** Ends with `exit`, Ctrl-D, Ctrl-C on an empty line, the terminal, or the signal. */
  readonly ended: Promise<void>
  /** One line of news, above what is being typed. */
  say(line: string): void
}

const GREETING = '`help` shows the commands, Tab completes, Ctrl-D leaves.'

export function startRepl(options: ReplOptions): Repl {
  const running = new RunningRepl(options)
  return { ended: running.ended, say: (line) => running.say(line) }
}

class RunningRepl {
  readonly ended: Promise<void>
  readonly #options: ReplOptions
  readonly #format: Format
  readonly #palette: Palette
  readonly #session: CommandSession
  readonly #editor: LineEditor
  #before = ''
  #isStopping = false
  #isEnded = false
  /** Called by Ctrl-C, and by the loss of the connection, while messages are read. */
  #endMessages: (() => void) | null = null
  #end: () => void = () => {}

  constructor(options: ReplOptions) {
    this.#options = options
    this.#format = options.format ?? 'text'
    this.#palette = paletteFor(options.output, options.environment)
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    this.#session = new CommandSession(options.addresses, this.#palette, {
      push: (value) => this.#print(pushOutput(value, this.#format, this.#palette).stdout),
      notice: (text) => this.say(`-- ${text}`),
      lost: () => this.#onLost(),
    })
    const history = new PromptHistory(options.environment)
    this.#editor = new LineEditor(options.input, options.output, options.environment, history, {
      line: (text) => this.#onLine(text),
      clear: () => {
        this.#before = ''
        this.#ask()
      },
      interrupt: () => this.#onInterrupt(),
      leave: () => this.#leave(),
    })
    options.signal.addEventListener('abort', this.#abort, { once: true })
    if (options.signal.aborted) this.#abort()
    else void this.#begin()
  }

  say(line: string): void {
    this.#print(`${this.#palette.notice(line)}\n`)
  }

  async #begin(): Promise<void> {
    const opened = await this.#session.link.open()
    if (this.#isEnded) return
    this.#session.useCluster()
    if (opened.ok) this.#print(`${this.#palette.dim(GREETING)}\n`)
    else {
      this.#show({ kind: 'failure', failure: opened.failure, isSetUp: true })
      this.#session.link.keepTrying()
    }
    this.#ask()
  }

  #ask(): void {
    if (!this.#isEnded) this.#editor.ask(this.#prompt())
  }

  #prompt(): string {
    const { addresses, home } = this.#options
    const { address } = this.#session.link
    const name = address === null ? 'not connected' : address === addresses[0] ? (home ?? address) : address
    return `${name}${TRANSACTION_SHOWN[this.#session.transaction]}> `
  }

  #onLine(line: string): void {
    const step = continueCommand(this.#before, line)
    this.#before = ''
    if (step.kind === 'more') {
      this.#before = step.text
      this.#editor.ask('... ', step.text)
    } else if (step.kind === 'bad') {
      const { message, mend } = step
      this.#show({ kind: 'failure', failure: { code: 'bad-line', message, mend }, isSetUp: true })
      this.#ask()
    } else if (step.words.length === 0) this.#ask()
    else void this.#answer(step.words)
  }

  async #answer(words: readonly Buffer[]): Promise<void> {
    const result = await this.#session.run(words)
    if (this.#isEnded) return
    if (result.kind === 'leave') {
      this.#editor.close()
      return
    }
    this.#show(result)
    if (this.#session.isSubscribed) await this.#readMessages()
    // After a loss, and after Ctrl-C: the node that answers now shall stand in the prompt.
    const wasTried = result.kind === 'failure' && result.isSetUp
    if (this.#session.link.address === null && !wasTried) await this.#session.link.open()
    this.#isStopping = false
    this.#session.link.keepTrying()
    this.#ask()
  }

  async #readMessages(): Promise<void> {
    this.#print(`${this.#palette.dim('reading messages; Ctrl-C ends it')}\n`)
    await new Promise<void>((resolve) => {
      this.#endMessages = resolve
    })
    this.#endMessages = null
    await this.#session.unsubscribe()
  }

  #onInterrupt(): void {
    if (this.#isStopping) return
    this.#options.output.write('^C\n')
    if (this.#endMessages !== null) {
      this.#endMessages()
      return
    }
    this.#isStopping = true
    this.#session.stopWaiting()
  }

  #onLost(): void {
    if (this.#isEnded) return
    this.#endMessages?.()
    if (!this.#isStopping) this.#session.link.keepTrying()
  }

  #show(result: Parameters<typeof resultOutput>[0]): void {
    const { stdout, stderr } = resultOutput(result, this.#format, this.#palette)
    this.#print(stdout)
    if (stderr !== '') this.#print(stderr)
  }

  #print(text: string | Buffer): void {
    if (!this.#isEnded) this.#editor.print(text.toString(), this.#prompt())
  }

  readonly #abort = (): void => this.#editor.close()

  #leave(): void {
    this.#isEnded = true
    this.#options.signal.removeEventListener('abort', this.#abort)
    this.#session.close()
    this.#end()
  }
}
