/**
 * The line that is being typed: readline, with a dim hint behind the cursor, messages printed above it, Ctrl-C that clears it, and a
 * history that joins the lines of one command.
 */
import { createInterface, type Interface } from 'node:readline'
import type { Writable } from 'node:stream'
import { argumentHint } from './argument-hint.ts'
import { complete } from './completion.ts'
import { continueCommand } from './continue-command.ts'
import { commandLine, holdsSecret, MAX_HISTORY_LINES, mayHoldSecret, type PromptHistory } from './prompt-history.ts'
import { PASTE_OFF, PASTE_ON, TerminalInput, type TerminalSource } from './terminal-input.ts'

/** As much of a terminal's output as is used. */
export type TerminalOutput = Writable & { readonly columns?: number; readonly isTTY?: boolean }

export interface EditorEvents {
  /** A line is complete; the next one waits until ask(). */
  line(text: string): void
  /** Ctrl-C has taken the line away, and those before it of the same command. */
  clear(): void
  /** Ctrl-C while no line is being typed. */
  interrupt(): void
  /** Ctrl-D, Ctrl-C on an empty line, or the end of the terminal. */
  leave(): void
}

/** Beyond it a hint costs more than it says. */
const MAX_HINTED_CHARACTERS = 1_024
const DEFAULT_COLUMNS = 80

export class LineEditor {
  readonly #output: TerminalOutput
  readonly #events: EditorEvents
  readonly #history: PromptHistory
  /** The newest first. */
  readonly #entries: string[]
  readonly #input: TerminalInput
  readonly #lines: Interface
  readonly #isDumb: boolean
  /** The lines before this one, of a command that goes on. */
  #before = ''
  #isAsking = false
  #isHinted = false
  #isClosed = false

  constructor(
    source: TerminalSource,
    output: TerminalOutput,
    environment: NodeJS.ProcessEnv,
    history: PromptHistory,
    events: EditorEvents,
  ) {
    this.#output = output
    this.#events = events
    this.#history = history
    this.#entries = history.load()
    this.#isDumb = environment.TERM === 'dumb'
    this.#input = new TerminalInput(source, {
      insert: (text) => this.#insert(text),
      enter: () => {
        this.#clearHint()
        this.#lines.write(null, { name: 'return' })
      },
      interrupt: () => events.interrupt(),
    })
    this.#lines = createInterface({
      input: this.#input,
      output,
      terminal: true,
      prompt: '',
      completer: complete,
      history: [...this.#entries],
      historySize: MAX_HISTORY_LINES,
    })
    this.#lines.on('line', (line) => this.#onLine(line))
    this.#lines.on('history', (lines) => this.#onHistory(lines))
    this.#lines.on('SIGINT', () => this.#onInterrupt())
    this.#lines.on('close', () => this.#onClose())
    // Around readline's own listener: the old hint goes before a key is done, the new one comes after it.
    this.#input.prependListener('keypress', () => this.#clearHint())
    this.#input.on('keypress', () => this.#showHint())
    if (!this.#isDumb) output.write(PASTE_ON)
  }

  /** Shows the prompt and lets the next line come; `before`: the lines of the command so far. */
  ask(prompt: string, before = ''): void {
    if (this.#isClosed) return
    this.#before = before
    this.#lines.setPrompt(prompt)
    this.#lines.prompt()
    this.#isAsking = true
    this.#input.release()
  }

  /** Whole lines, above the line being typed where there is one; it then has that prompt. */
  print(text: string, prompt: string): void {
    if (this.#isClosed || !this.#isAsking) {
      this.#output.write(text)
      return
    }
    this.#clearHint()
    const { rows } = this.#lines.getCursorPos()
    // readline redraws from as many rows above as the line took before: they are given back to it.
    this.#output.write(`${rows > 0 ? `\u001b[${rows}A` : ''}\r\u001b[J${text}${'\n'.repeat(rows)}`)
    if (this.#before === '') this.#lines.setPrompt(prompt)
    this.#lines.prompt(true)
    this.#showHint()
  }

  close(): void {
    this.#lines.close()
  }

  #onLine(line: string): void {
    if (this.#isClosed) return
    this.#isAsking = false
    this.#events.line(line)
  }

  #onInterrupt(): void {
    if (this.#lines.line === '' && this.#before === '') {
      this.close()
      return
    }
    // What was typed stays to be read; the rows are given back to readline, which redraws from above.
    this.#lines.write(null, { ctrl: true, name: 'e' })
    const { rows } = this.#lines.getCursorPos()
    this.#output.write(`^C\n${'\n'.repeat(rows)}`)
    this.#lines.write(null, { ctrl: true, name: 'u' })
    this.#isAsking = false
    this.#events.clear()
  }

  #onClose(): void {
    if (this.#isClosed) return
    this.#clearHint()
    this.#isClosed = true
    if (this.#isAsking) this.#output.write('\n')
    if (!this.#isDumb) this.#output.write(PASTE_OFF)
    this.#input.detach()
    this.#events.leave()
  }

  /** A tab is kept; other control characters would steer the terminal, and are left out. */
  #insert(text: string): void {
    this.#clearHint()
    this.#lines.write(text.replace(/(?!\t)\p{Cc}/gu, ''))
    this.#showHint()
  }

  /** readline lets its listener change the list: here the lines of one command become one, secrets go, and so do repetitions. */
  #onHistory(lines: string[]): void {
    const [line] = lines
    const step = continueCommand(this.#before, line)
    const isSecret = step.kind === 'command' ? holdsSecret(step.words) : mayHoldSecret(this.#before + line)
    const entry = this.#before !== '' && step.kind === 'command' ? commandLine(step.words) : line
    if (step.kind !== 'more' && !isSecret && this.#entries[0] !== entry) {
      this.#entries.unshift(entry)
      this.#entries.length = Math.min(this.#entries.length, MAX_HISTORY_LINES)
      this.#history.add(entry)
    }
    lines.splice(0, lines.length, ...this.#entries)
  }

  #clearHint(): void {
    if (this.#isHinted) this.#output.write('\u001b[K')
    this.#isHinted = false
  }

  #showHint(): void {
    const { line, cursor } = this.#lines
    if (!this.#isAsking || this.#isDumb || this.#before !== '' || this.#isClosed) return
    if (cursor !== line.length || line.length > MAX_HINTED_CHARACTERS) return
    const room = (this.#output.columns ?? DEFAULT_COLUMNS) - 1 - this.#lines.getCursorPos().cols
    const hint = argumentHint(line).slice(0, Math.max(0, room))
    if (hint === '') return
    this.#output.write(`\u001b[2m${hint}\u001b[22m\u001b[${hint.length}D`)
    this.#isHinted = true
  }
}
